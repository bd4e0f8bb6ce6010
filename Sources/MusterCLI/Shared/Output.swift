/// How every command speaks: results on stdout, everything else on stderr, one renderer for
/// tables, TAB-separated text, JSON and ids only.

import ArgumentParser
import FoundationEssentials
import Glibc
import Muster
import MusterModel

/// An exit code that is no error of its own: everything was said already.
struct ExitStatus: Error {
    var code: Int32
    init(_ code: Int32) { self.code = code }
}

/// `--json`, `--plain`, `-q` of the reading verbs.
struct OutputFlags: ParsableArguments {
    @Flag(help: "One JSON value.") var json = false
    @Flag(help: "TAB-separated, no wrapping.") var plain = false
    @Flag(name: .shortAndLong, help: "Ids only.") var quiet = false
}

enum Output {
    /// Writes all bytes. Returns false when the reader has gone away.
    @discardableResult
    static func write(_ bytes: some Collection<UInt8>, to descriptor: Int32 = 1) -> Bool {
        let all = Array(bytes)
        return all.withUnsafeBytes { write($0, to: descriptor) }
    }

    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
        var done = 0
        while done < bytes.count {
            let n = Glibc.write(
                descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
            if n > 0 {
                done += n
            } else if errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&waiting, 1, -1)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    /// The other end of this pipe is closed: whatever is written next would be lost.
    static func hasNoReader(_ descriptor: Int32) -> Bool {
        var look = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&look, 1, 0) == 1 && look.revents & Int16(POLLERR) != 0
    }

    /// A line on stdout. Ends the program quietly when nobody reads any more.
    static func line(_ text: String) {
        if !write(Array((text + "\n").utf8)) { exit(141) }
    }

    /// A line on stderr for people.
    static func note(_ text: String) { write(Array(("muster: " + text + "\n").utf8), to: 2) }

    /// A value as JSON: objects get `"schema": 1` first.
    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        line(String(decoding: try encoder.encode(WithSchema(value: value)), as: UTF8.self))
    }

    static func table(_ table: TextTable, plain: Bool) {
        let text = plain ? table.plain() : table.aligned(width: SystemTerminal.width(1))
        write(Array(text.utf8))
    }

    /// UTC, ISO 8601, seconds.
    static func time(_ seconds: Double) -> String {
        Date(timeIntervalSince1970: seconds.rounded(.down)).formatted(.iso8601)
    }
}

/// A value with the number of its JSON schema beside its own fields.
private struct WithSchema<Value: Encodable>: Encodable {
    let value: Value
    private enum Key: String, CodingKey { case schema }

    func encode(to encoder: any Encoder) throws {
        try value.encode(to: encoder)
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(1, forKey: .schema)
    }
}
