// Files of jobs on a worker: what is asked for, what follows from what comes, and where files are
// placed.

import FoundationEssentials
import Glibc
import MusterModel
import MusterTLS
import MusterWire
import NIOCore
import Testing

@testable import MusterWorker

/// A directory with a base for placing and a place for what is kept.
private final class Ground {
    let path: String
    var files: JobFiles

    init(limit: Int = 1 << 20) throws {
        var template = Array("/tmp/muster-place-XXXXXX\0".utf8).map { CChar(bitPattern: $0) }
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        mkdir("\(path)/items", 0o700)
        files = JobFiles(path: "\(path)/files", limit: limit)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var items: String { "\(path)/items" }

    func mode(_ name: String) -> UInt32? {
        var status = stat()
        return lstat("\(items)/\(name)", &status) == 0 ? status.st_mode : nil
    }

    func text(_ name: String) -> String? {
        let file = open("\(items)/\(name)", O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1000)
        return String(decoding: bytes[..<max(0, read(file, &bytes, 1000))], as: UTF8.self)
    }

    /// Has the file arrive.
    func take(_ blob: Blob, needed: Set<String> = []) throws -> JobFiles.News {
        try files.take(blob.part(0, blob.bytes.count), needed: needed)
    }
}

private struct Blob {
    var bytes: [UInt8]
    var file: JobFile

    init(_ text: String, as name: String, isExecutable: Bool = false) throws {
        bytes = Array(text.utf8)
        file = JobFile(
            name: name, bytes: bytes.count, digest: LibCrypto.hex(try LibCrypto.sha256(bytes)),
            isExecutable: isExecutable)
    }

    func part(_ from: Int, _ to: Int) -> FilePart {
        FilePart(
            digest: file.digest, offset: UInt64(from), total: UInt64(file.bytes),
            bytes: ByteBuffer(bytes: bytes[from..<to]))
    }
}

private let (one, two) = (JobID(1), JobID(2))

@Suite("Files of jobs on a worker")
struct JobFilesTests {
    @Test("Each content is asked for once; jobs are ready when they have all of theirs")
    func wanted() throws {
        let ground = try Ground()
        let (a, b) = (try Blob("aaaa", as: "a"), try Blob("bb", as: "b"))
        let first = try ground.files.learn(one, [a.file, b.file])
        #expect(first.wanted == [a.file.digest, b.file.digest] && first.ready == [])
        let second = try ground.files.learn(two, [b.file])
        #expect(second.wanted == [] && second.ready == [])
        #expect(try ground.files.take(a.part(0, 2), needed: []).ready == [])
        #expect(try ground.files.take(a.part(2, 4), needed: []).ready == [])
        #expect(try ground.take(b).ready == [one, two])
        let third = try ground.files.learn(JobID(3), [a.file, b.file])
        #expect(third.wanted == [] && third.ready == [JobID(3)])
    }

    @Test("A content that is wrong is asked for once more; then its jobs are hopeless, not others")
    func mismatch() throws {
        let ground = try Ground()
        let (a, b) = (try Blob("aaaa", as: "a"), try Blob("bb", as: "b"))
        _ = try ground.files.learn(one, [a.file])
        _ = try ground.files.learn(two, [b.file])
        var wrong = a
        wrong.bytes = Array("abba".utf8)
        #expect(try ground.take(wrong).wanted == [a.file.digest])
        let news = try ground.take(wrong)
        #expect(news.ready == [one] && news.wanted == [])
        #expect(news.hopeless[one]?.contains("SHA-256") ?? false)
        #expect(try ground.take(b).ready == [two])
    }

    @Test("What the coordinator cannot give, and a full cache, make a job hopeless")
    func refused() throws {
        let ground = try Ground(limit: 5)
        let (a, b) = (try Blob("aaaa", as: "a"), try Blob("bb", as: "b"))
        _ = try ground.files.learn(one, [a.file, b.file])
        let news = ground.files.failed(a.file.digest, "lost")
        #expect(news.ready == [one] && news.hopeless[one]?.contains("lost") ?? false)
        #expect(ground.files.failed(a.file.digest, "again").ready == [])
        #expect(try ground.take(b).ready == [], "the job is hopeless already")
        _ = try ground.files.learn(two, [a.file])
        let full = try ground.take(a, needed: [b.file.digest])
        #expect(full.hopeless[two]?.contains("room") ?? false)
        _ = try ground.files.learn(two, [a.file])
        #expect(try ground.take(a).ready == [two], "what nobody needs makes room")
    }

    @Test("Parts that nobody asked for are a breach, the rest of one given up is not")
    func breach() throws {
        let ground = try Ground()
        let a = try Blob("aaaa", as: "a")
        #expect(throws: MusterError.self) { try ground.files.take(a.part(0, 2), needed: []) }
        _ = try ground.files.learn(one, [a.file])
        _ = try ground.files.take(a.part(0, 2), needed: [])
        let error = #expect(throws: MusterError.self) {
            try ground.files.take(a.part(3, 4), needed: [])
        }
        #expect(error?.code == .malformed)
        _ = ground.files.failed(a.file.digest, "lost")
        #expect(try ground.files.take(a.part(2, 4), needed: []).ready == [])
    }

    @Test("After the end of a session everything is asked for again, and what came is kept")
    func clear() throws {
        let ground = try Ground()
        let (a, b) = (try Blob("aaaa", as: "a"), try Blob("bb", as: "b"))
        _ = try ground.files.learn(one, [a.file, b.file])
        _ = try ground.take(b)
        _ = try ground.files.take(a.part(0, 2), needed: [])
        ground.files.clear()
        #expect(try ground.files.learn(one, [a.file, b.file]).wanted == [a.file.digest])
        #expect(try ground.take(a).ready == [one])
    }

    @Test("Files are placed under their names, read only, programs executable")
    func placed() throws {
        let ground = try Ground()
        let data = try Blob("data", as: "deep/er/data")
        let program = try Blob("#!/bin/sh\n", as: "run", isExecutable: true)
        _ = try ground.files.learn(one, [data.file, program.file])
        _ = try ground.take(data)
        _ = try ground.take(program)
        try ground.files.place([data.file, program.file], in: ground.items)
        #expect(ground.text("deep/er/data") == "data")
        #expect(ground.mode("deep/er/data").map { $0 & 0o7777 } == 0o400)
        #expect(ground.mode("run").map { $0 & 0o7777 } == 0o500)
        #expect(throws: MusterError.self, "it is there already") {
            try ground.files.place([program.file], in: ground.items)
        }
    }

    @Test("A file of this machine is linked to, and needs no cache")
    func byPath() throws {
        let ground = try Ground()
        var file = JobFile(name: "hosts", bytes: 0, digest: "", isExecutable: false)
        file.path = "/etc/hostname"
        #expect(try ground.files.learn(one, [file]).ready == [one])
        try ground.files.place([file], in: ground.items)
        #expect(ground.mode("hosts").map { $0 & S_IFMT } == S_IFLNK)
    }

    @Test("No name leads out of the directory, and no link is followed on the way")
    func escapes() throws {
        let ground = try Ground()
        let a = try Blob("aaaa", as: "a")
        _ = try ground.files.learn(one, [a.file])
        _ = try ground.take(a)
        mkdir("\(ground.path)/outside", 0o700)
        #expect(symlink("../outside", "\(ground.items)/link") == 0)
        for name in ["../outside/a", "/tmp/a", "link/a", "link/../a", "a/", ""] {
            var file = a.file
            file.name = name
            #expect(throws: MusterError.self, "\(name)") {
                try ground.files.place([file], in: ground.items)
            }
        }
        #expect(access("\(ground.path)/outside/a", F_OK) != 0)
        #expect(symlink(ground.items, "\(ground.path)/other") == 0)
        #expect(throws: MusterError.self) {
            try ground.files.place([a.file], in: "\(ground.path)/other")
        }
    }
}
