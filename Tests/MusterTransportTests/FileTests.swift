// Files on their way: a directory of proved contents, parts that come as they should and as they
// should not.

import Glibc
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore
import Testing

/// A directory that is removed with its files.
final class Scratch: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/muster-files-XXXXXX\0".utf8).map { CChar(bitPattern: $0) }
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in names() { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    func names() -> [String] {
        guard let listing = opendir(path) else { return [] }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    func content(_ name: String) -> [UInt8]? {
        let file = open("\(path)/\(name)", O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 8 << 20)
        return Array(bytes[..<max(0, read(file, &bytes, bytes.count))])
    }
}

/// Bytes with their digest.
struct Sample {
    var bytes: [UInt8]
    var digest: String

    init(_ bytes: [UInt8]) throws {
        self.bytes = bytes
        digest = LibCrypto.hex(try LibCrypto.sha256(bytes))
    }

    init(_ count: Int, seed: UInt8 = 1) throws {
        try self.init((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) &+ seed })
    }

    func part(_ from: Int, _ to: Int, total: Int? = nil) -> FilePart {
        FilePart(
            digest: digest, offset: UInt64(from), total: UInt64(total ?? bytes.count),
            bytes: ByteBuffer(bytes: bytes[from..<to]))
    }

    /// Puts it into the directory.
    func arrive(in directory: ContentDirectory) throws {
        let file = try directory.begin(digest, total: bytes.count) { _ in false }
        #expect(try file.append(part(0, bytes.count)))
    }
}

@Suite("Files by content")
struct ContentTests {
    @Test("A file that comes in parts has its name when it is whole, and not before")
    func parts() throws {
        let scratch = try Scratch()
        let directory = try ContentDirectory(path: scratch.path)
        let sample = try Sample(10)
        let file = try directory.begin(sample.digest, total: 10) { _ in false }
        #expect(try !file.append(sample.part(0, 4)))
        #expect(try !file.append(sample.part(4, 9)))
        #expect(!directory.has(sample.digest, bytes: 10))
        #expect(!scratch.names().contains(sample.digest))
        #expect(try file.append(sample.part(9, 10)))
        #expect(directory.has(sample.digest, bytes: 10))
        #expect(scratch.content(sample.digest) == sample.bytes)
        #expect(scratch.names() == [sample.digest])
    }

    @Test("An empty file travels too")
    func empty() throws {
        let scratch = try Scratch()
        let directory = try ContentDirectory(path: scratch.path)
        let sample = try Sample([])
        try sample.arrive(in: directory)
        #expect(directory.has(sample.digest, bytes: 0))
    }

    @Test("Parts that overlap, leave a gap, say another total or nothing at all are refused")
    func hostileParts() throws {
        let scratch = try Scratch()
        let directory = try ContentDirectory(path: scratch.path)
        let sample = try Sample(10)
        let other = try Sample(10, seed: 9)
        let second = [
            sample.part(3, 6), sample.part(5, 6), sample.part(0, 4), sample.part(4, 4),
            sample.part(4, 6, total: 11), other.part(4, 6),
            FilePart(digest: sample.digest, offset: .max, total: 10, bytes: ByteBuffer()),
            FilePart(
                digest: sample.digest, offset: 4, total: 10,
                bytes: ByteBuffer(repeating: 0, count: 7)),
        ]
        for part in second {
            let file = try directory.begin(sample.digest, total: 10) { _ in false }
            #expect(try !file.append(sample.part(0, 4)))
            let error = #expect(throws: MusterError.self) { try file.append(part) }
            #expect(error?.code == .malformed)
            #expect(throws: MusterError.self, "it is over") { try file.append(sample.part(4, 10)) }
            #expect(scratch.names() == [], "nothing is left of it")
        }
    }

    @Test("A content that is not what its digest says gets no name")
    func mismatch() throws {
        let scratch = try Scratch()
        let directory = try ContentDirectory(path: scratch.path)
        let (sample, other) = (try Sample(10), try Sample(10, seed: 9))
        let file = try directory.begin(sample.digest, total: 10) { _ in false }
        var part = other.part(0, 10)
        part.digest = sample.digest
        let error = #expect(throws: MusterError.self) { try file.append(part) }
        #expect(error?.code == .conflict)
        #expect(scratch.names() == [])
        #expect(!directory.has(sample.digest, bytes: 10))
    }

    @Test("What is given up leaves nothing and takes no room")
    func givenUp() throws {
        let scratch = try Scratch()
        let directory = try ContentDirectory(path: scratch.path, limit: 10)
        let sample = try Sample(10)
        for _ in 0..<3 {
            let file = try directory.begin(sample.digest, total: 10) { _ in false }
            _ = try file.append(sample.part(0, 4))
        }
        #expect(scratch.names() == [])
        try sample.arrive(in: directory)
    }

    @Test("The least recently used go first, and never one that is needed")
    func eviction() throws {
        let scratch = try Scratch()
        let directory = try ContentDirectory(path: scratch.path, limit: 30)
        let samples = try (0..<3).map { try Sample(10, seed: UInt8($0)) }
        for sample in samples { try sample.arrive(in: directory) }
        #expect(directory.has(samples[0].digest, bytes: 10), "now the second is the oldest")
        let more = try Sample(15, seed: 50)
        let file = try directory.begin(more.digest, total: 15) { $0 == samples[1].digest }
        #expect(try file.append(more.part(0, 15)))
        #expect(directory.has(samples[1].digest, bytes: 10))
        #expect(!directory.has(samples[2].digest, bytes: 10))
        #expect(!directory.has(samples[0].digest, bytes: 10))
        let error = #expect(throws: MusterError.self) {
            try directory.begin(samples[0].digest, total: 20) { _ in true }
        }
        #expect(error?.code == .limit)
        #expect(scratch.names() == [samples[1].digest, more.digest].sorted())
    }

    @Test("Files that arrive count against the limit before they are whole")
    func arriving() throws {
        let scratch = try Scratch()
        let directory = try ContentDirectory(path: scratch.path, limit: 30)
        let sample = try Sample(20)
        let file = try directory.begin(sample.digest, total: 20) { _ in false }
        #expect(throws: MusterError.self) {
            try directory.begin(try Sample(11).digest, total: 11) { _ in false }
        }
        _ = try file.append(sample.part(0, 20))
    }

    @Test("A restart finds whole files and removes torn ones; what was used last stays longest")
    func restart() throws {
        let scratch = try Scratch()
        let samples = try (0..<3).map { try Sample(10, seed: UInt8($0)) }
        do {
            let directory = try ContentDirectory(path: scratch.path)
            for sample in samples { try sample.arrive(in: directory) }
        }
        // As a crash in the middle would leave them.
        for name in [".arriving-1x", try Sample(5).digest] {
            let file = open("\(scratch.path)/\(name)", O_WRONLY | O_CREAT, 0o600)
            write(file, "torn", 4)
            close(file)
        }
        let again = try ContentDirectory(path: scratch.path)
        #expect(scratch.names() == samples.map(\.digest).sorted())
        for sample in samples { #expect(again.has(sample.digest, bytes: 10)) }
        let smaller = try ContentDirectory(path: scratch.path, limit: 20)
        #expect(scratch.names().count == 2, "the limit holds from the start")
        _ = smaller
    }

    @Test("A file that somebody wrote to is not believed any more", arguments: [10, 9])
    func tampered(count: Int) throws {
        let scratch = try Scratch()
        let directory = try ContentDirectory(path: scratch.path)
        let sample = try Sample(10)
        try sample.arrive(in: directory)
        let path = directory.path(of: sample.digest)
        chmod(path, 0o600)
        let file = open(path, O_WRONLY | (count == 10 ? 0 : O_TRUNC))
        #expect(write(file, Array(repeating: UInt8(7), count: count), count) == count)
        close(file)
        #expect(!directory.has(sample.digest, bytes: 10))
        #expect(scratch.names() == [])
        try sample.arrive(in: directory)
        #expect(directory.has(sample.digest, bytes: 10))
    }

    @Test("The directory is nobody else's")
    func rights() throws {
        let scratch = try Scratch()
        chmod(scratch.path, 0o777)
        let directory = try ContentDirectory(path: scratch.path)
        var status = stat()
        #expect(stat(directory.path, &status) == 0 && status.st_mode & 0o777 == 0o700)
        #expect(throws: MusterError.self) { try ContentDirectory(path: "/proc/nowhere/files") }
    }
}
