// Which item each lane runs, for the worker to read when this process is no more. In: the path of a
// file of 16 bytes a lane. Out: memory that is the file: a store is enough, and survives.

internal import Glibc

final class ProgressFile: @unchecked Sendable {
    static let laneBytes = 16

    private let start: UnsafeMutableRawPointer
    /// Lanes that the file has room for.
    let lanes: Int

    /// - Throws: `.environment` when the file cannot be mapped.
    init(path: String) throws(RunnerError) {
        let file = open(path, O_RDWR | O_CLOEXEC)
        guard file >= 0 else { throw Self.refusal(path, "opened") }
        defer { close(file) }
        let size = Int(lseek(file, 0, SEEK_END))
        lanes = size / Self.laneBytes
        guard lanes > 0,
            let start = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0),
            start != MAP_FAILED
        else { throw Self.refusal(path, "mapped") }
        self.start = start
    }

    /// Memory that nobody reads, for lanes that the worker made no room for.
    init(unread lanes: Int) {
        self.lanes = lanes
        let bytes = max(lanes, 1) * Self.laneBytes
        start = .allocate(byteCount: bytes, alignment: 8)
        start.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    }

    /// A lane's place: its item + 1, or 0, and when that item began.
    func lane(_ index: Int) -> UnsafeMutablePointer<UInt64> {
        (start + min(index, lanes - 1) * Self.laneBytes).assumingMemoryBound(to: UInt64.self)
    }

    private static func refusal(_ path: String, _ verb: String) -> RunnerError {
        let reason = String(cString: strerror(errno))
        return RunnerError(
            .environment,
            "The progress file \(path) cannot be \(verb) (\(reason)); it must have 16 bytes a lane."
        )
    }
}
