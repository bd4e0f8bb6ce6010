// The driver of ProgressPainter.swift: asks the terminal for its width and writes to it. Whoever
// writes results to stdout tells it before and after, so that line and results do not mix.

import Glibc

/// The progress line on a descriptor. Used by one thread at a time.
package final class ProgressTerminal {
    private let descriptor: Int32
    private var painter: ProgressPainter
    /// Whether results go to a terminal too.
    private let sharesTerminal: Bool
    /// Results ended in the middle of a line: painting would overwrite it.
    private var inLine = false
    /// Writing failed: nobody looks any more.
    private var isGone = false

    /// - Parameters:
    ///   - descriptor: where the line goes, as a rule 2.
    ///   - output: where results go, as a rule 1.
    package init(descriptor: Int32, output: Int32, painter: ProgressPainter) {
        self.descriptor = descriptor
        self.painter = painter
        sharesTerminal =
            SystemTerminal.isTerminal(descriptor) && SystemTerminal.isTerminal(output)
    }

    /// Shows a snapshot, ten times a second at most.
    package func show(_ snapshot: ProgressSnapshot, now: Double) {
        guard !inLine else { return }
        put(painter.paint(snapshot, now: now, width: SystemTerminal.width(descriptor)))
    }

    /// Shows the last snapshot, which stays.
    package func finish(_ snapshot: ProgressSnapshot) {
        if inLine { put([UInt8(ascii: "\n")]) }
        inLine = false
        put(painter.finish(snapshot, width: SystemTerminal.width(descriptor)))
    }

    /// Takes the line away for good, as before an error message.
    package func clear() {
        put(painter.erase())
    }

    /// To be called before results are written.
    package func willWriteOutput() {
        if sharesTerminal { put(painter.erase()) }
    }

    /// To be called after results were written.
    ///
    /// - Parameter lastByte: the last byte written.
    package func didWriteOutput(lastByte: UInt8) {
        guard sharesTerminal else { return }
        inLine = lastByte != UInt8(ascii: "\n")
        if !inLine { put(painter.repaint()) }
    }

    private func put(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty, !isGone {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&waiting, 1, -1)
            } else if errno != EINTR {
                isGone = true
            }
        }
    }
}
