/// Programs run to their end, and small helpers around files, processes and JSON.

import FoundationEssentials
import Glibc

enum Shell {
    /// The `muster` that is tested: `MUSTER_BINARY`, or the one built beside the tests.
    static let muster: String = {
        if let given = getenv("MUSTER_BINARY") { return String(cString: given) }
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        _ = readlink("/proc/self/exe", &path, path.count - 1)
        let program = path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let text = String(decoding: program, as: UTF8.self)
        return text.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/muster"
    }()

    /// Another program that is built beside it.
    static func beside(_ name: String) -> String {
        muster.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/" + name
    }

    /// Runs a program to its end.
    static func run(
        _ words: [String], input: [UInt8] = [], environment: [String: String],
        directory: String = "/", seconds: Double = 60
    ) throws -> Child.Ended {
        try run(
            bytes: words.map { Array($0.utf8) }, input: input, environment: environment,
            directory: directory, seconds: seconds)
    }

    static func run(
        bytes words: [[UInt8]], input: [UInt8] = [], environment: [String: String],
        directory: String = "/", seconds: Double = 60
    ) throws -> Child.Ended {
        let child = try Child(
            words, environment: environment, directory: directory, input: input)
        return try child.finish(seconds: seconds)
    }

    /// The processes whose command line holds the text.
    static func processes(with marker: String) -> [pid_t] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var found: [pid_t] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let pid = pid_t(name), pid != getpid(),
                let line = try? File.read("/proc/\(pid)/cmdline")
            else { continue }
            let text = line.map { CChar(bitPattern: $0 == 0 ? 32 : $0) } + [0]
            if strstr(text, marker) != nil { found.append(pid) }
        }
        return found
    }
}

enum File {
    static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw HarnessError("cannot open \(path)") }
        defer { close(file) }
        var bytes: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &room, room.count)
            guard count > 0 else { return bytes }
            bytes += room[..<count]
        }
    }

    static func text(_ path: String) -> String {
        String(decoding: (try? read(path)) ?? [], as: UTF8.self)
    }

    static func write(_ text: String, to path: String) throws {
        try write(Array(text.utf8), to: path)
    }

    static func write(_ bytes: [UInt8], to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw HarnessError("cannot write \(path)") }
        defer { close(file) }
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else {
            throw HarnessError("cannot write all of \(path)")
        }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Compares as fast as memory goes, which `==` in a debug build does not.
    static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && memcmp(left, right, left.count) == 0
    }
}

/// A directory that is removed with everything in it.
final class TemporaryDirectory {
    let path: String

    init() throws {
        let template = Array("/tmp/muster-e2e-XXXXXX\0".utf8).map { CChar(bitPattern: $0) }
        var bytes = template
        guard mkdtemp(&bytes) != nil else { throw HarnessError("cannot make a directory") }
        path = String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// A path inside.
    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }
}

/// Any JSON value; reading one proves that the text is JSON.
indirect enum JSON: Decodable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case array([JSON])
    case object([String: JSON])

    init(_ text: String) throws {
        self = try JSONDecoder().decode(JSON.self, from: Data(text.utf8))
    }

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let array = try? value.decode([JSON].self) {
            self = .array(array)
        } else {
            self = .object(try value.decode([String: JSON].self))
        }
    }

    subscript(_ key: String) -> JSON? {
        guard case .object(let object) = self else { return nil }
        return object[key]
    }

    var elements: [JSON] {
        guard case .array(let array) = self else { return [] }
        return array
    }

    var text: String? {
        guard case .text(let text) = self else { return nil }
        return text
    }

    var number: Double? {
        guard case .number(let number) = self else { return nil }
        return number
    }
}
