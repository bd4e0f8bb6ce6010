// A directory of its own for each test, and a store on it whose commits can be awaited. In come
// changes and texts, out come results, blocks, and copies of the directory as a crash would leave
// it.

import FoundationEssentials
import Glibc
import MusterDisk
import MusterModel
import MusterStore
import NIOCore
import NIOPosix
import Testing

final class Folder: Sendable {
    let path: String

    init(below parent: String = "/tmp") throws {
        var name = Array("\(parent)/muster-store-XXXXXX".utf8CString)
        try #require(mkdtemp(&name) != nil, "no directory below \(parent)")
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private init(copyOf other: Folder) throws {
        path = "/tmp/muster-store-copy-\(UInt64.random(in: 0...UInt64.max))"
        try FileManager.default.copyItem(atPath: other.path, toPath: path)
    }

    /// What a machine that stops now would leave, the page cache included.
    func copy() throws -> Folder { try Folder(copyOf: self) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// All files below, sorted.
    var files: [String] {
        ((try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []).sorted()
            .filter { !$0.hasSuffix("/") && FileManager.default.isFile("\(path)/\($0)") }
    }

    func bytes(of file: String) throws -> [UInt8] {
        try [UInt8](#require(FileManager.default.contents(atPath: "\(path)/\(file)")))
    }

    func write(_ bytes: [UInt8], to file: String) {
        _ = FileManager.default.createFile(atPath: "\(path)/\(file)", contents: Data(bytes))
    }
}

extension FileManager {
    fileprivate func isFile(_ path: String) -> Bool {
        var isFolder = false
        return fileExists(atPath: path, isDirectory: &isFolder) && !isFolder
    }
}

struct Harness {
    let store: DiskStore
    let state: RecoveredState

    init(_ folder: Folder, segmentBytes: UInt64 = 64 << 20) throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        store = try DiskStore(
            directory: folder.path, callbackLoop: loop, segmentBytes: segmentBytes)
        do {
            state = try store.recover()
        } catch {
            store.close()
            throw error
        }
    }

    func commit(_ changes: StoreChange...) async throws { try await commit(changes) }

    func commit(_ changes: [StoreChange]) async throws {
        try await withCheckedThrowingContinuation {
            (answer: CheckedContinuation<Void, any Error>) in
            store.commit(changes) { answer.resume(with: $0.mapError { $0 as any Error }) }
        }
    }

    func append(
        _ text: String, _ kind: LogKind = .results, of job: JobID = 1, items: Range<Int> = 0..<1
    ) throws -> StoredBlock {
        let place = try store.log(kind, of: job).append(ByteBuffer(string: text))
        return StoredBlock(form: kind == .inputs ? .inputs : .records, items: items, place: place)
    }

    func text(
        _ block: StoredBlock, _ kind: LogKind = .results, of job: JobID = 1
    ) throws -> String {
        String(buffer: try store.log(kind, of: job).read(block.place))
    }

    func close() { store.close() }
}

extension JobID: ExpressibleByIntegerLiteral {
    package init(integerLiteral value: UInt64) { self.init(value) }
}

extension StoredJob {
    static func test(_ id: JobID, key: String? = nil) -> StoredJob {
        StoredJob(id: id, key: key, user: "ada", spec: Array("{}".utf8), submitted: 1.5)
    }
}
