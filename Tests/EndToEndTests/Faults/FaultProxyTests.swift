// What the proxy between members and coordinator does to bytes, seen from both ends of a
// connection of its own.

import Glibc
import Testing

@Suite("The fault proxy", .serialized, .timeLimit(.minutes(1)))
struct FaultProxyTests {
    /// A connection through a proxy: both its ends are here.
    private struct Line {
        let proxy: FaultProxy
        let member: Int32
        let coordinator: Int32
        private let listener: Int32

        init() throws {
            let port = try Ports.freePair()
            listener = try Socket.listen(port)
            proxy = try FaultProxy(to: port)
            member = Socket.dial(proxy.port)
            coordinator = Socket.accept(listener)
            guard member >= 0, coordinator >= 0 else { throw HarnessError("no connection") }
            for file in [member, coordinator] { Socket.quicken(file) }
        }

        func end() {
            for file in [member, coordinator, listener] { close(file) }
            proxy.stop()
        }
    }

    private enum Seen: Equatable { case bytes([UInt8]), end, reset, nothing }

    /// The next thing that a socket has to say.
    private static func next(_ file: Int32, seconds: Double = 10) -> Seen {
        var waiting = [pollfd(fd: file, events: Int16(POLLIN), revents: 0)]
        guard poll(&waiting, 1, Int32(seconds * 1000)) > 0 else { return .nothing }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(file, &bytes, bytes.count, 0)
        if count > 0 { return .bytes(Array(bytes[..<count])) }
        return count == 0 ? .end : .reset
    }

    /// So many bytes, and in how many reads they came.
    private static func take(_ count: Int, from file: Int32) throws -> ([UInt8], reads: Int) {
        var all: [UInt8] = []
        var reads = 0
        while all.count < count {
            guard case .bytes(let bytes) = next(file) else {
                throw HarnessError("\(all.count) of \(count) bytes came")
            }
            all += bytes
            reads += 1
        }
        return (all, reads)
    }

    private static func say(_ text: String, _ file: Int32) {
        let bytes = Array(text.utf8)
        #expect(write(file, bytes, bytes.count) == bytes.count)
    }

    private static func with(_ body: (Line) throws -> Void) throws {
        let line = try Line()
        defer { line.end() }
        try body(line)
    }

    @Test("Without faults bytes pass both ways, and so does an end")
    func passes() throws {
        try Self.with { line in
            Self.say("up", line.member)
            #expect(Self.next(line.coordinator) == .bytes(Array("up".utf8)))
            Self.say("down", line.coordinator)
            #expect(Self.next(line.member) == .bytes(Array("down".utf8)))
            shutdown(line.member, Int32(SHUT_WR))
            #expect(Self.next(line.coordinator) == .end)
            Self.say("still", line.coordinator)
            #expect(Self.next(line.member) == .bytes(Array("still".utf8)))
            #expect(line.proxy.counts.bytesUp == 2)
        }
    }

    @Test("Delay and jitter keep bytes for so long, and in order")
    func delays() throws {
        try Self.with { line in
            line.proxy.set(LinkFaults(delay: 0.15, jitter: 0.1))
            let began = Monotonic.now
            for digit in 0..<10 { Self.say("\(digit)", line.member) }
            let (bytes, _) = try Self.take(10, from: line.coordinator)
            #expect(bytes == Array("0123456789".utf8))
            #expect(Monotonic.now - began >= 0.15)
        }
    }

    @Test("A cut is a reset on both sides")
    func cuts() throws {
        try Self.with { line in
            line.proxy.cut()
            #expect(Self.next(line.member) == .reset)
            #expect(Self.next(line.coordinator) == .reset)
        }
    }

    @Test("A cut of one side leaves the other talking to nobody", arguments: [true, false])
    func halfOpen(member: Bool) throws {
        try Self.with { line in
            line.proxy.cut(member ? .member : .coordinator)
            let (gone, left) =
                member ? (line.member, line.coordinator) : (line.coordinator, line.member)
            #expect(Self.next(gone) == .reset)
            Self.say("anybody?", left)
            #expect(Self.next(left, seconds: 0.2) == .nothing)
            Self.say("anybody?", left)
        }
    }

    @Test("One way may be held while the other passes; what was held comes later, whole")
    func oneWay() throws {
        try Self.with { line in
            line.proxy.change { $0.up.flow = .held }
            Self.say("late", line.member)
            Self.say("down", line.coordinator)
            #expect(Self.next(line.member) == .bytes(Array("down".utf8)))
            #expect(Self.next(line.coordinator, seconds: 0.2) == .nothing)
            line.proxy.heal()
            #expect(Self.next(line.coordinator) == .bytes(Array("late".utf8)))
        }
    }

    @Test("What is swallowed never comes")
    func swallows() throws {
        try Self.with { line in
            line.proxy.change { $0.up.flow = .swallowed }
            Self.say("gone", line.member)
            #expect(Self.next(line.coordinator, seconds: 0.2) == .nothing)
            line.proxy.heal()
            Self.say("here", line.member)
            #expect(Self.next(line.coordinator) == .bytes(Array("here".utf8)))
        }
    }

    @Test("One bit of each n-th byte is turned over, over reads of any size")
    func flips() throws {
        try Self.with { line in
            line.proxy.change { $0.up.flipsEvery = 7 }
            var expected: [UInt8] = []
            for number in 0..<40 {
                let text = "\(number),"
                Self.say(text, line.member)
                expected += Array(text.utf8)
                _ = try Self.take(0, from: line.coordinator)
            }
            let (bytes, _) = try Self.take(expected.count, from: line.coordinator)
            for (place, (sent, came)) in zip(expected, bytes).enumerated() {
                #expect(came == (place % 7 == 6 ? sent ^ 0x10 : sent), "byte \(place)")
            }
        }
    }

    @Test("Split bytes come one by one")
    func splits() throws {
        try Self.with { line in
            line.proxy.change { $0.up.isSplit = true }
            let text = String(repeating: "abcdefgh", count: 64)
            Self.say(text, line.member)
            let (bytes, reads) = try Self.take(512, from: line.coordinator)
            #expect(bytes == Array(text.utf8))
            #expect(reads > 50, "\(reads) reads")
        }
    }

    @Test("Bandwidth is what was said, and the sender feels it")
    func bandwidth() throws {
        try Self.with { line in
            line.proxy.change { $0.up.bytesPerSecond = 1 << 20 }
            let began = Monotonic.now
            Self.say(String(repeating: "x", count: 1 << 17), line.member)
            Self.say(String(repeating: "x", count: 1 << 17), line.member)
            Self.say(String(repeating: "x", count: 1 << 17), line.member)
            _ = try Self.take(3 << 17, from: line.coordinator)
            let seconds = Monotonic.now - began
            #expect(seconds > 0.3 && seconds < 3, "\(seconds) s")
        }
    }

    @Test("New connections may be refused, and are taken again later")
    func refuses() throws {
        try Self.with { line in
            line.proxy.change { $0.refuses = true }
            let refused = Socket.dial(line.proxy.port)
            #expect(Self.next(refused) == .reset)
            close(refused)
            line.proxy.heal()
            let taken = Socket.dial(line.proxy.port)
            try Monotonic.wait(for: "two connections", seconds: 5) {
                line.proxy.counts.connections == 2
            }
            close(taken)
        }
    }
}
