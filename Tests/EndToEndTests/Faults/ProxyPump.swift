/// The thread behind `FaultProxy`: waits for sockets and for times that are due, moves bytes
/// through `ProxyStream`, one for each direction of a connection.

import Glibc

final class ProxyPump {
    private final class Connection {
        var member: Int32
        var coordinator: Int32
        let up = ProxyStream()
        let down = ProxyStream()

        init(member: Int32, coordinator: Int32) {
            self.member = member
            self.coordinator = coordinator
        }

        var isOver: Bool { member < 0 && coordinator < 0 }
        /// One side was cut off, the other does not know.
        var isHalf: Bool { (member < 0) != (coordinator < 0) }

        func reset(_ side: FaultProxy.Side) {
            switch side {
            case .member:
                if member >= 0 { Socket.reset(member) }
                member = -1
            case .coordinator:
                if coordinator >= 0 { Socket.reset(coordinator) }
                coordinator = -1
            }
        }
    }

    private let listeners: [(file: Int32, target: Int)]
    private let wake: Int32
    private let proxy: FaultProxy
    private var connections: [Connection] = []

    init(listeners: [(Int32, Int)], wake: Int32, proxy: FaultProxy) {
        self.listeners = listeners
        self.wake = wake
        self.proxy = proxy
    }

    func run() {
        while true {
            let (settings, orders, stops) = proxy.next()
            guard !stops else { break }
            for case .cut(let side) in orders { cut(side) }
            let now = Monotonic.now
            for connection in connections { move(connection, settings, now) }
            connections.removeAll(where: \.isOver)
            proxy.count { $0.open = connections.count }
            wait(settings)
        }
        for connection in connections {
            connection.reset(.member)
            connection.reset(.coordinator)
        }
        for listener in listeners { close(listener.file) }
        close(wake)
    }

    private func cut(_ side: FaultProxy.Side?) {
        for connection in connections {
            if side != .coordinator { connection.reset(.member) }
            if side != .member { connection.reset(.coordinator) }
        }
    }

    private func move(_ connection: Connection, _ settings: FaultProxy.Settings, _ now: Double) {
        if connection.isHalf {
            // The side that is left may talk into the void.
            let file = max(connection.member, connection.coordinator)
            guard !ProxyStream.discards(file) else { return }
            connection.reset(.member)
            connection.reset(.coordinator)
            return
        }
        let up = connection.up.move(
            from: connection.member, to: connection.coordinator, settings.up, now)
        let down = connection.down.move(
            from: connection.coordinator, to: connection.member, settings.down, now)
        proxy.count {
            $0.bytesUp += up.bytes
            $0.bytesDown += down.bytes
        }
        guard up.isBroken || down.isBroken || (connection.up.isOver && connection.down.isOver)
        else { return }
        connection.reset(.member)
        connection.reset(.coordinator)
    }

    private func accept(_ listener: (file: Int32, target: Int)) {
        let member = Socket.accept(listener.file)
        guard member >= 0 else { return }
        // As it is said now, not when this turn began.
        let coordinator = proxy.refuses ? -1 : Socket.dial(listener.target)
        guard coordinator >= 0 else { return Socket.reset(member) }
        Socket.quicken(member)
        Socket.quicken(coordinator)
        connections.append(Connection(member: member, coordinator: coordinator))
        proxy.count { $0.connections += 1 }
    }

    /// A socket of which nothing is wanted is not asked: its end would be said again and again.
    private static func entry(_ file: Int32, _ events: Int32) -> pollfd {
        pollfd(fd: events == 0 ? -1 : file, events: Int16(events), revents: 0)
    }

    /// Until a socket can be read or written, a byte is due, or the settings change.
    private func wait(_ settings: FaultProxy.Settings) {
        let now = Monotonic.now
        var due = now + 1
        var waiting = listeners.map { pollfd(fd: $0.file, events: Int16(POLLIN), revents: 0) }
        waiting.append(pollfd(fd: wake, events: Int16(POLLIN), revents: 0))
        for connection in connections {
            let (up, down) = (connection.up, connection.down)
            var member: Int32 = 0
            var coordinator: Int32 = 0
            if up.canRead(settings.up) || connection.isHalf { member |= POLLIN }
            if down.canRead(settings.down) || connection.isHalf { coordinator |= POLLIN }
            if !connection.isHalf {
                if up.isBlocked { coordinator |= POLLOUT }
                if down.isBlocked { member |= POLLOUT }
                due = min(due, up.due(settings.up, now), down.due(settings.down, now))
            }
            waiting.append(Self.entry(connection.member, member))
            waiting.append(Self.entry(connection.coordinator, coordinator))
        }
        let milliseconds = Int32(max(0, (due - now) * 1000).rounded(.up))
        _ = poll(&waiting, nfds_t(waiting.count), milliseconds)
        if waiting[listeners.count].revents != 0 {
            var room = [UInt8](repeating: 0, count: 64)
            while read(wake, &room, room.count) > 0 {}
        }
        for (listener, entry) in zip(listeners, waiting) where entry.revents != 0 {
            accept(listener)
        }
    }
}
