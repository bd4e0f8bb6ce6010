// A full disk: nothing changes, reading goes on, removing jobs is possible, and with room the same
// may be tried again. On a small file system in memory, which only root can mount.

import FoundationEssentials
import Glibc
import MusterModel
import MusterStore
import NIOCore
import Testing

@testable import MusterDisk

/// A file system of a few MiB.
final class SmallDisk: Sendable {
    let folder: Folder

    init(mebibytes: Int) throws {
        folder = try Folder()
        let result = mount("tmpfs", folder.path, "tmpfs", 0, "size=\(mebibytes)m")
        try #require(result == 0, "mount: \(String(cString: strerror(errno)))")
    }

    /// Takes all room but so many bytes.
    func fill(leaving bytes: Int) throws {
        let path = "\(folder.path)/ballast"
        let file = open(path, O_RDWR | O_CREAT, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        var status = statvfs()
        try #require(statvfs(folder.path, &status) == 0)
        let free = Int(status.f_bavail) * Int(status.f_frsize) - bytes
        var size = stat()
        try #require(fstat(file, &size) == 0)
        if free > 0 { try #require(posix_fallocate(file, size.st_size, off_t(free)) == 0) }
    }

    func empty() { _ = unlink("\(folder.path)/ballast") }

    deinit { _ = umount2(folder.path, Int32(MNT_DETACH)) }

    static let isPossible: Bool = {
        guard geteuid() == 0, let folder = try? Folder() else { return false }
        guard mount("tmpfs", folder.path, "tmpfs", 0, "size=1m") == 0 else { return false }
        return umount2(folder.path, Int32(MNT_DETACH)) == 0
    }()
}

@Suite(
    "Space", .serialized, .enabled(if: SmallDisk.isPossible, "only root may mount a small disk"))
struct SpaceTests {
    private static func isNoSpace(_ error: (any Error)?) -> Bool {
        if case StoreError.noSpace(let path, let needed)? = error {
            return !path.isEmpty && needed > 0
        }
        return false
    }

    @Test("A block that does not fit changes nothing, and fits when there is room")
    func append() async throws {
        let disk = try SmallDisk(mebibytes: 16)
        var harness = try Harness(disk.folder)
        let first = try harness.append("first")
        try await harness.commit(.submitted(.test(1)), .results(1, first))
        try disk.fill(leaving: 64 << 10)
        let large = String(repeating: "x", count: 300_000)
        let end = harness.store.log(.results, of: 1).diskBytes
        for _ in 0..<3 {
            let error = #expect(throws: StoreError.self) { try harness.append(large) }
            #expect(Self.isNoSpace(error))
        }
        #expect(harness.store.log(.results, of: 1).diskBytes == end)
        #expect(try harness.text(first) == "first")
        let small = try harness.append("fits", items: 1..<2)
        disk.empty()
        let second = try harness.append(large, items: 2..<3)
        try await harness.commit(.results(1, small), .results(1, second))
        harness.close()
        harness = try Harness(disk.folder)
        #expect(harness.state.jobs.map(\.results) == [[first, small, second]])
        #expect(try harness.text(second) == large)
        harness.close()
    }

    @Test("On a disk without room the store of a life before is opened, with its reserve's space")
    func opens() async throws {
        let disk = try SmallDisk(mebibytes: 16)
        var harness = try Harness(disk.folder)
        let block = try harness.append("kept")
        try await harness.commit(.submitted(.test(1)), .results(1, block))
        harness.close()
        try disk.fill(leaving: 0)
        harness = try Harness(disk.folder)
        #expect(try harness.text(block) == "kept")
        #expect(harness.state.jobs.map(\.results) == [[block]])
        harness.close()
    }

    @Test("A commit that does not fit changes nothing, and may be tried again")
    func commit() async throws {
        let disk = try SmallDisk(mebibytes: 16)
        var harness = try Harness(disk.folder)
        try await harness.commit(.submitted(.test(1)))
        try disk.fill(leaving: 0)
        var refused = 0
        var committed = 0
        let event = String(repeating: "e", count: 100_000)
        for _ in 0..<20 {
            do {
                try await harness.commit(.event(1, event))
                committed += 1
            } catch {
                #expect(Self.isNoSpace(error))
                refused += 1
            }
        }
        #expect(refused > 0)
        let copy = try Harness(disk.folder.copy())
        #expect(copy.state.jobs.map(\.events.count) == [committed])
        copy.close()
        disk.empty()
        try await harness.commit(.event(1, event))
        harness.close()
        harness = try Harness(disk.folder)
        #expect(harness.state.jobs.map(\.events.count) == [committed + 1])
        harness.close()
    }

    @Test("Jobs can be removed on a disk that is full to the last byte")
    func removal() async throws {
        let disk = try SmallDisk(mebibytes: 16)
        let harness = try Harness(disk.folder)
        let block = try harness.append(String(repeating: "x", count: 2 << 20))
        try await harness.commit(
            [.submitted(.test(1)), .results(1, block)]
                + (0..<500).map { .note(1, item: $0, json: Array(repeating: 7, count: 1000)) })
        try disk.fill(leaving: 0)
        let error = await #expect(throws: StoreError.self) {
            for _ in 0..<100 {
                try await harness.commit(.event(1, String(repeating: "e", count: 200_000)))
                try disk.fill(leaving: 0)
            }
        }
        #expect(Self.isNoSpace(error))
        try await harness.commit(.removed(1))
        var status = statvfs()
        #expect(statvfs(disk.folder.path, &status) == 0 && status.f_bavail > 0)
        try await harness.commit(.submitted(.test(2)))
        harness.close()
        let next = try Harness(disk.folder)
        #expect(next.state.jobs.map(\.job.id) == [2])
        next.close()
    }

    @Test("The doctor says that there is little room")
    func doctor() throws {
        let disk = try SmallDisk(mebibytes: 16)
        try Harness(disk.folder).close()
        let warnings = StoreDoctor.examine(directory: disk.folder.path)
            .filter { $0.severity == .warning }
        #expect(warnings.map { $0.text.contains("MiB free on the disk of") } == [true])
    }
}
