// What items print. In: descriptors 1 and 2. Out: the text that came since the last look, for the
// item that just ended (MapFunction.swift).
//
// Both descriptors are files in the runner's own directory, so that what an item wrote before it
// ended the whole process is still there for the worker. A look costs two system calls; how often
// one is worth it is decided by the caller.

@preconcurrency internal import Glibc
internal import Synchronization

/// What an item wrote to standard output and standard error.
struct PrintedText {
    var out: [UInt8]
    var errors: [UInt8]
}

final class OutputCapture: @unchecked Sendable {
    /// Bytes of each stream that are kept of one item.
    static let keptBytes = 1 << 20
    /// Bytes after which a file is cut while an item still writes to it: the disk must not fill.
    static let cutBytes = 16 << 20
    /// Looks without any text after which one stops looking after every item.
    private static let patience = 1000

    private let monitor = Monitor()
    private let isOn: Bool
    /// Bytes of each stream that were cut away since the last look.
    private var lost = [1: 0, 2: 0]
    private let watch = Atomic<Int>(0)

    /// Redirects both descriptors into files of the directory, which is the runner's alone. (The
    /// working directory may be one that runners share.)
    init(directory: String) {
        var isOn = true
        for (target, name) in [(Int32(1), "stdout"), (Int32(2), "stderr")] {
            let file = open(
                "\(directory)/\(name)", O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
            if file >= 0 {
                if dup2(file, target) < 0 { isOn = false }
                close(file)
            } else {
                isOn = false
            }
        }
        self.isOn = isOn
        // By lines: an item that ends the process takes at most the last one with it.
        setvbuf(stdout, nil, _IOLBF, 64 << 10)
    }

    /// Something was printed not long ago, so that it is worth a look after every item.
    @inline(__always)
    var isWatched: Bool { watch.load(ordering: .relaxed) > 0 }

    /// What was printed since the last time; nil when nothing was.
    func take() -> PrintedText? {
        guard isOn else { return nil }
        return monitor.locked {
            flushStandardOutput()
            let sizes = (lseek(1, 0, SEEK_END), lseek(2, 0, SEEK_END))
            guard sizes.0 > 0 || sizes.1 > 0 else {
                let left = watch.load(ordering: .relaxed)
                if left > 0 { watch.store(left - 1, ordering: .relaxed) }
                return nil
            }
            watch.store(Self.patience, ordering: .relaxed)
            return PrintedText(out: text(1, sizes.0), errors: text(2, sizes.1))
        }
    }

    /// Cuts the files of an item that prints without end; called now and then while items run.
    func limitFiles() {
        guard isOn else { return }
        monitor.locked {
            for stream in [1, 2] {
                let size = lseek(Int32(stream), 0, SEEK_END)
                guard size > Self.cutBytes else { continue }
                lost[stream, default: 0] += size - Self.keptBytes
                _ = ftruncate(Int32(stream), Self.keptBytes)
            }
        }
    }

    private func flushStandardOutput() {
        guard let stream = stdout else { return }
        if stream.pointee._IO_write_ptr != stream.pointee._IO_write_base { fflush(stream) }
    }

    private func text(_ stream: Int, _ size: Int) -> [UInt8] {
        guard size > 0 else { return [] }
        let kept = min(size, Self.keptBytes)
        var bytes = [UInt8](unsafeUninitializedCapacity: kept) { buffer, filled in
            filled = max(pread(Int32(stream), buffer.baseAddress, kept, 0), 0)
        }
        _ = ftruncate(Int32(stream), 0)
        let gone = size - kept + lost[stream, default: 0]
        lost[stream] = 0
        if gone > 0 {
            let note =
                "\n[muster: only the first \(kept) bytes are kept, \(gone) more were written]\n"
            bytes.append(contentsOf: note.utf8)
        }
        return bytes
    }
}
