/// What of a job is kept as JSON: its spec and the notes of its failures, rare and read by people.

import FoundationEssentials
import MusterModel

enum StoredJSON {
    static func bytes(_ value: some Encodable) -> [UInt8] {
        // Values of our own types always encode.
        guard let data = try? JSONEncoder().encode(value) else { return [] }
        return Array(data)
    }

    static func value<T: Decodable>(_: T.Type, from bytes: [UInt8]) throws -> T {
        try JSONDecoder().decode(T.self, from: Data(bytes))
    }
}
