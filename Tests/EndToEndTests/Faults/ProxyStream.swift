/// One direction of a connection through `FaultProxy`: bytes are read, wait until they are due, and
/// are written, as the faults of the moment say.

import Glibc

final class ProxyStream {
    /// So many bytes may wait here; more is left to the sender, as a slow link leaves it.
    private static let room = 1 << 20

    private var waiting: [(due: Double, bytes: ArraySlice<UInt8>)] = []
    private var waitingBytes = 0
    /// How many bytes have been read.
    private var position = 0
    /// Bytes that the bandwidth allows now, and since when.
    private var allowance = 0.0
    private var lastTurn: Double?
    private var sawEnd = false
    private var saidEnd = false
    /// The receiver takes no more for now.
    private(set) var isBlocked = false

    /// All that came has gone out, and the end of it was said.
    var isOver: Bool { saidEnd }

    func canRead(_ faults: LinkFaults) -> Bool {
        !sawEnd && (faults.flow == .swallowed || waitingBytes < Self.room)
    }

    /// When there is something to write next, if time alone decides.
    func due(_ faults: LinkFaults, _ now: Double) -> Double {
        guard let first = waiting.first, faults.flow == .passes, !isBlocked else {
            return .infinity
        }
        guard let rate = faults.bytesPerSecond, allowance < 1 else { return first.due }
        return max(first.due, now + (1 - allowance) / Double(rate))
    }

    /// Moves what can be moved now. Returns how many bytes went out, and whether the connection is
    /// broken.
    func move(
        from source: Int32, to target: Int32, _ faults: LinkFaults, _ now: Double
    ) -> (bytes: Int, isBroken: Bool) {
        if let rate = faults.bytesPerSecond {
            // A twentieth of a second may be saved up.
            let most = max(1, Double(rate) / 20)
            allowance = min(most, allowance + Double(rate) * (now - (lastTurn ?? now)))
        }
        lastTurn = now
        guard read(from: source, faults, now) else { return (0, true) }
        guard faults.flow == .passes else { return (0, false) }
        var moved = 0
        isBlocked = false
        while let first = waiting.first, first.due <= now, !isBlocked {
            var most = first.bytes.count
            if faults.bytesPerSecond != nil { most = min(most, Int(allowance)) }
            if faults.isSplit { most = min(most, 1) }
            guard most > 0 else { break }
            let sent = first.bytes.prefix(most).withUnsafeBytes {
                send(target, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else {
                guard errno == EAGAIN || errno == EINTR else { return (moved, true) }
                isBlocked = true
                break
            }
            moved += sent
            waitingBytes -= sent
            allowance -= faults.bytesPerSecond == nil ? 0 : Double(sent)
            waiting[0].bytes = first.bytes.dropFirst(sent)
            if waiting[0].bytes.isEmpty { waiting.removeFirst() }
            // One byte a turn, so that the receiver has the time to see it alone.
            if faults.isSplit { break }
        }
        if sawEnd && waiting.isEmpty && !saidEnd {
            saidEnd = true
            shutdown(target, Int32(SHUT_WR))
        }
        return (moved, false)
    }

    /// False when the connection is broken.
    private func read(from source: Int32, _ faults: LinkFaults, _ now: Double) -> Bool {
        while canRead(faults) {
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let count = recv(source, &bytes, bytes.count, 0)
            guard count != 0 else {
                sawEnd = true
                return true
            }
            guard count > 0 else {
                if errno == EAGAIN || errno == EINTR { return true }
                // Where nothing passes, the news of a reset does not pass either.
                sawEnd = faults.flow != .passes
                return sawEnd
            }
            defer { position += count }
            guard faults.flow != .swallowed else { continue }
            if let every = faults.flipsEvery, every > 0 {
                let first = (every - position % every - 1)
                for place in stride(from: first, to: count, by: every) { bytes[place] ^= 0x10 }
            }
            let pause = faults.delay + (faults.jitter > 0 ? .random(in: 0...faults.jitter) : 0)
            let due = max(now + pause, waiting.last?.due ?? 0)
            waiting.append((due, bytes[..<count]))
            waitingBytes += count
        }
        return true
    }

    /// Takes what a side says and forgets it. False at its end.
    static func discards(_ file: Int32) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(file, &bytes, bytes.count, 0)
            guard count <= 0 else { continue }
            return count < 0 && (errno == EAGAIN || errno == EINTR)
        }
    }
}
