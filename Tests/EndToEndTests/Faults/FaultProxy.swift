/// A TCP proxy that tests put between members and coordinator, to do to their bytes what networks
/// do. What it does may be changed while it runs, each way by itself. Bytes of members come in, the
/// same or worse go out; one thread (`ProxyPump`) moves them.

import Glibc
import Synchronization

/// What happens to the bytes of one direction.
struct LinkFaults: Equatable, Sendable {
    enum Flow: Equatable, Sendable {
        case passes
        /// Nothing goes on until it passes again: every packet is lost and sent again later.
        case held
        /// Bytes are taken and gone, as if all was well.
        case swallowed
    }

    var flow = Flow.passes
    /// Seconds that each byte spends on the way.
    var delay = 0.0
    /// Up to so many seconds more, at random for each read; the order stays.
    var jitter = 0.0
    var bytesPerSecond: Int?
    /// Each byte is sent by itself.
    var isSplit = false
    /// One bit of each byte with this number (of each connection's) is turned over.
    var flipsEvery: Int?

    static let none = LinkFaults()
}

final class FaultProxy: Sendable {
    enum Side: Sendable { case member, coordinator }

    struct Settings: Sendable {
        /// From members to the coordinator, and back.
        var up = LinkFaults.none
        var down = LinkFaults.none
        /// New connections are closed at once.
        var refuses = false
    }

    struct State: Sendable {
        var settings = Settings()
        /// What the pump's next turn does.
        var orders: [Order] = []
        var stops = false
        var counts = Counts()
    }

    enum Order: Sendable {
        /// All connections end with a reset, on one side only or on both.
        case cut(Side?)
    }

    struct Counts: Sendable {
        /// Connections so far, and those that are there now.
        var connections = 0
        var open = 0
        var bytesUp = 0
        var bytesDown = 0
    }

    let port: Int
    private let state: Mutex<State>
    /// A byte here ends the pump's wait.
    private let wakeEnd: Int32

    /// Listens on two ports side by side, for the same two of the target.
    init(to target: Int) throws {
        _ = signal(SIGPIPE, SIG_IGN)
        state = Mutex(State())
        port = try Ports.freePair()
        let first = try Socket.listen(port)
        let second = try Socket.listen(port + 1)
        let wake = try Socket.pair()
        wakeEnd = wake.0
        let pump = ProxyPump(
            listeners: [(first, target), (second, target + 1)], wake: wake.1, proxy: self)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { pointer in
                guard let pointer else { return nil }
                Unmanaged<ProxyPump>.fromOpaque(pointer).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(pump).toOpaque())
        guard code == 0 else { throw HarnessError("no thread for the proxy") }
        pthread_detach(thread)
    }

    var counts: Counts { state.withLock { $0.counts } }

    /// Both ways, from now on.
    func set(_ faults: LinkFaults) { change { ($0.up, $0.down) = (faults, faults) } }

    func change(_ body: (inout Settings) -> Void) {
        state.withLock { body(&$0.settings) }
        wake()
    }

    /// Ends all connections with a reset. Of one side only: the other is left with a connection
    /// that nobody answers.
    func cut(_ side: Side? = nil) {
        state.withLock { $0.orders.append(.cut(side)) }
        wake()
    }

    /// No faults from now on; connections that were half cut end.
    func heal() {
        state.withLock { $0.settings = Settings() }
        wake()
    }

    /// Closes everything.
    func stop() {
        state.withLock { $0.stops = true }
        wake()
    }

    private func wake() {
        var byte: UInt8 = 1
        _ = write(wakeEnd, &byte, 1)
    }

    // MARK: For the pump

    /// What is to be done now; orders are handed out once.
    func next() -> (settings: Settings, orders: [Order], stops: Bool) {
        state.withLock { state in
            defer { state.orders = [] }
            return (state.settings, state.orders, state.stops)
        }
    }

    var refuses: Bool { state.withLock { $0.settings.refuses } }

    func count(_ body: (inout Counts) -> Void) { state.withLock { body(&$0.counts) } }
}

enum Socket {
    static func listen(_ port: Int) throws -> Int32 {
        let file = socket(AF_INET, stream, 0)
        var yes: Int32 = 1
        setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard withAddress(port, { bind(file, $0, $1) }) == 0, Glibc.listen(file, 128) == 0 else {
            close(file)
            throw HarnessError("cannot listen on port \(port)")
        }
        return file
    }

    /// Connected, or -1.
    static func dial(_ port: Int) -> Int32 {
        let file = socket(AF_INET, stream, 0)
        guard withAddress(port, { connect(file, $0, $1) }) == 0 else {
            close(file)
            return -1
        }
        return file
    }

    static func pair() throws -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, stream | nonBlocking, 0, &ends) == 0 else {
            throw HarnessError("no pair of sockets")
        }
        return (ends[0], ends[1])
    }

    static func accept(_ listener: Int32) -> Int32 {
        let file = Glibc.accept(listener, nil, nil)
        // Swift's Glibc shows no `accept4`; the gap until here is some microseconds.
        if file >= 0 { _ = fcntl(file, F_SETFD, FD_CLOEXEC) }
        return file
    }

    /// No waiting for more before a packet is sent, and no waiting at all.
    static func quicken(_ file: Int32) {
        var yes: Int32 = 1
        setsockopt(file, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        _ = fcntl(file, F_SETFL, O_NONBLOCK)
    }

    /// Closes it so that the other end gets a reset.
    static func reset(_ file: Int32) {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(file, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        close(file)
    }

    private static let stream = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    private static let nonBlocking = Int32(SOCK_NONBLOCK.rawValue)

    private static func withAddress(
        _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
