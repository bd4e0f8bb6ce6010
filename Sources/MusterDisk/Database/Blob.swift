/// Bytes on their way into and out of columns. GRDB speaks of blobs as Foundation's `Data`, which
/// is FoundationEssentials' on Linux; nothing else here knows it.

import FoundationEssentials
import GRDB

enum Blob {
    static func data(_ bytes: [UInt8]) -> Data { Data(bytes) }

    static func bytes(_ value: DatabaseValue) -> [UInt8]? {
        Data.fromDatabaseValue(value).map { [UInt8]($0) }
    }
}
