// Files, pipes, command lines and text shared by the tests of this target.

import ArgumentParser
import Glibc
import MusterCLI
import Testing

/// A directory that is removed with what it holds when the test ends.
final class TemporaryDirectory {
    let path: String
    private var files: [String] = []

    init() throws {
        var template = Array("/tmp/muster-test-XXXXXX".utf8CString)
        path = try #require(
            template.withUnsafeMutableBufferPointer { buffer in
                buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
            })
    }

    deinit {
        files.forEach { _ = unlink($0) }
        rmdir(path)
    }

    /// Writes a file and gives its path as bytes.
    func file(_ bytes: [UInt8], named name: String = "input") throws -> [UInt8] {
        let path = "\(self.path)/\(name)"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        files.append(path)
        try writeAll(bytes, to: descriptor)
        return Array(path.utf8)
    }

    func file(_ text: String, named name: String = "input") throws -> [UInt8] {
        try file(Array(text.utf8), named: name)
    }
}

func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        try #require(count > 0)
        rest = rest.dropFirst(count)
    }
}

/// Both ends of a pipe, closed with the object.
final class TestPipe {
    let readEnd: Int32
    private var writeEnd: Int32

    init() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(readEnd)
        finish()
    }

    func send(_ text: String) throws { try writeAll(Array(text.utf8), to: writeEnd) }

    func finish() {
        if writeEnd >= 0 { close(writeEnd) }
        writeEnd = -1
    }
}

/// A terminal of our own: `terminal` is what a program would write to, `control` what a user would
/// see.
final class TestTerminal {
    let control: Int32
    let terminal: Int32

    init() throws {
        control = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        var locked: Int32 = 0
        // TIOCSPTLCK unlocks the other end, TIOCGPTPEER opens it; both macros do not reach Swift.
        try #require(control >= 0 && ioctl(control, 0x4004_5431, &locked) == 0)
        terminal = ioctl(control, 0x5441, O_RDWR | O_NOCTTY)
        try #require(terminal >= 0)
        var settings = termios()
        tcgetattr(terminal, &settings)
        settings.c_oflag &= ~tcflag_t(OPOST)
        tcsetattr(terminal, TCSANOW, &settings)
    }

    deinit {
        close(terminal)
        close(control)
    }

    func resize(columns: UInt16) throws {
        var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        try #require(ioctl(control, UInt(TIOCSWINSZ), &size) == 0)
    }

    /// What has been written to the terminal so far and not read yet.
    func seen() -> String {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        var waiting = pollfd(fd: control, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, 0) == 1 else { return "" }
        let count = read(control, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }
}

func texts(_ fields: [[UInt8]]) -> [String] { fields.map { String(decoding: $0, as: UTF8.self) } }

extension InputPlan {
    /// All items that are left, each joined by `|`.
    mutating func rest() throws -> [String] {
        var items: [String] = []
        while let item = try next() { items.append(texts(item).joined(separator: "|")) }
        return items
    }
}

func words(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }

func parse(_ texts: [String]) throws -> RunOptions {
    try RunOptions.parse(FlagScanner(words: words(texts)).arguments)
}

func usageError(_ texts: [String]) -> UsageError? {
    do {
        _ = try FlagScanner(words: words(texts))
        return nil
    } catch {
        return error
    }
}
