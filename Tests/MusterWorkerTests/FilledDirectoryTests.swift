// Private directories with files of a job in them: reused for the job's next item only as they were
// given.

import FoundationEssentials
import Glibc
import MusterModel
import MusterTLS
import MusterWire
import NIOCore
import Testing

@testable import MusterWorker

@Suite("Private directories with files", .timeLimit(.minutes(2)))
struct FilledDirectoryTests {
    private static func file(_ text: String, as name: String) throws -> JobFile {
        JobFile(
            name: name, bytes: text.utf8.count,
            digest: LibCrypto.hex(try LibCrypto.sha256(Array(text.utf8))), isExecutable: true)
    }

    /// A base, and a directory with files in it that hold their own names.
    private func withFilled(
        _ names: [String], _ body: (PrivateDirectoryBase, PrivateDirectory) throws -> Void
    ) throws {
        let folder = "/tmp/muster-filled-\(UInt64.random(in: 0 ... .max))"
        try #require(mkdir(folder, 0o700) == 0 && mkdir("\(folder)/base", 0o700) == 0)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var kept = JobFiles(path: "\(folder)/files", limit: 1 << 20)
        let files = try names.map { try Self.file($0, as: $0) }
        _ = try kept.learn(JobID(1), files)
        for file in files {
            let part = FilePart(
                digest: file.digest, offset: 0, total: UInt64(file.bytes),
                bytes: ByteBuffer(string: file.name))
            _ = try kept.take(part, needed: [])
        }
        let base = try PrivateDirectoryBase(path: "\(folder)/base")
        let directory = try base.make()
        try kept.place(files, in: directory.path)
        try body(base, base.filled(directory, with: files))
        try base.remove(directory)
    }

    @Test(
        "Only one that is as it was given serves the next item",
        arguments: [
            (":", true), ("cat a b", true), (": > c", false), (": > c; rm c", true),
            ("rm a", false), ("chmod 600 a; echo x >> a", false),
            ("rm a; echo a > a", false), ("rm a; ln -s b a", false), ("mv a c", false),
            ("chmod 755 .", false), ("mkdir d", false),
        ] as [(String, Bool)])
    func untouched(command: String, isPristine: Bool) throws {
        for start in [0, UInt64.max] {
            try withFilled(["a", "b"]) { base, directory in
                try #require(system("cd '\(directory.path)' && { \(command); } > /dev/null") == 0)
                #expect(base.isPristine(directory, since: start) == isPristine, "\(start)")
            }
        }
    }

    @Test("One with files further below is always made anew")
    func below() throws {
        try withFilled(["a/b"]) { base, directory in
            #expect(!base.isPristine(directory, since: 0))
            #expect(!base.isPristine(directory, since: .max))
        }
    }

    @Test("Files go with the directory, their contents stay for others")
    func removed() throws {
        try withFilled(["a"]) { base, directory in
            try base.remove(directory)
            #expect(access(directory.path, F_OK) != 0)
            let digest = try Self.file("a", as: "a").digest
            #expect(access("\(base.path)/../files/\(digest)", F_OK) == 0)
        }
    }
}
