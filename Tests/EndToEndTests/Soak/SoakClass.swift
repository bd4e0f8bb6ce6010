/// The classes of faults of a soak, and how each strikes.

import Glibc

enum SoakClass: String, CaseIterable {
    /// kill -9 of an agent; it is started again.
    case worker
    /// kill -9 of a process that serves functions.
    case runner
    /// kill -9 of the coordinator; it is started again.
    case coordinator
    /// kill -9 of who reads results; another goes on behind the last line.
    case client
    /// SIGSTOP of an agent or the coordinator for a while, now and then for longer than a lease.
    case stop
    /// What networks do to a worker's link, and to the client's.
    case link
    case clientLink = "client-link"
    /// The disk of the coordinator is full for a while.
    case disk
    /// Packets to or from the coordinator are dropped, some or all.
    case packets

    /// Seconds between strikes.
    var pauses: ClosedRange<Double> {
        switch self {
        case .worker: 0.6...2.0
        case .runner: 0.4...1.2
        case .coordinator: 0.1...3.0
        case .client: 0.2...1.0
        case .stop: 1.0...4.0
        case .link, .clientLink: 0.5...2.5
        case .disk, .packets: 2.0...5.0
        }
    }

    /// Why it cannot be done here, or nil.
    func obstacle(_ options: SoakOptions) -> String? {
        switch self {
        case .disk where getuid() != 0: "mounting a small filesystem takes root"
        case .packets where !options.ownsNetwork:
            "dropping packets takes root, a network namespace and nft"
        default: nil
        }
    }
}

extension SoakRound {
    func strike(_ fault: SoakClass) throws {
        let hasStruck =
            switch fault {
            case .worker: try killWorker()
            case .runner: killRunner()
            case .coordinator: try killCoordinator()
            case .client: killReader()
            case .stop: stop()
            case .link: disturb(proxies.randomElement(using: &numbers))
            case .clientLink: disturb(clientProxy)
            case .disk: try fillDisk()
            case .packets: try dropPackets()
            }
        if hasStruck { strikes[fault, default: 0] += 1 }
    }

    // Each says whether there was something to strike.

    private func killWorker() throws -> Bool {
        guard let name = cluster.workers.keys.sorted().randomElement(using: &numbers) else {
            return false
        }
        cluster.killWorker(name)
        after(0.1...0.8) { try $0.cluster.addWorker(name, slots: SoakRound.slots) }
        return true
    }

    private func killRunner() -> Bool {
        guard let victim = cluster.runners.sorted().randomElement(using: &numbers) else {
            return false
        }
        return kill(victim, SIGKILL) == 0
    }

    private func killCoordinator() throws -> Bool {
        guard !isDown else { return false }
        isDown = true
        cluster.coordinator.end()
        recordings.append(try Recording(of: cluster.state, ledger: job.ledger))
        after(0...0.7) { try $0.startCoordinator() }
        return true
    }

    /// One that finds its disk full says so and ends; its unit starts it again.
    private func startCoordinator() throws {
        do {
            try cluster.restartCoordinator()
            isDown = false
        } catch  where File.exists("\(cluster.state)/ballast") {
            after(0.3...0.6) { try $0.startCoordinator() }
        }
    }

    private func stop() -> Bool {
        var victims = Array(cluster.workers.values)
        if !isDown { victims.append(cluster.coordinator) }
        victims.sort { $0.pid < $1.pid }
        guard let victim = victims.randomElement(using: &numbers) else { return false }
        victim.send(SIGSTOP)
        let isLong = Int.random(in: 0..<8, using: &numbers) == 0
        after(isLong ? 10...12 : 0.05...3) { _ in victim.send(SIGCONT) }
        return true
    }

    private func disturb(_ proxy: FaultProxy?) -> Bool {
        guard let proxy else { return false }
        switch Int.random(in: 0..<9, using: &numbers) {
        case 0: proxy.set(LinkFaults(delay: 0.05, jitter: 0.1))
        case 1: proxy.set(LinkFaults(bytesPerSecond: 50_000))
        case 2: proxy.set(LinkFaults(isSplit: true))
        case 3: proxy.change { $0.up.flipsEvery = 8000 }
        case 4: proxy.change { $0.down.flipsEvery = 8000 }
        case 5: proxy.change { $0.up.flow = .held }
        case 6: proxy.change { $0.down.flow = .held }
        case 7: proxy.cut(Bool.random(using: &numbers) ? .member : .coordinator)
        default: proxy.cut()
        }
        after(0.2...4) { _ in proxy.heal() }
        return true
    }

    private func fillDisk() throws -> Bool {
        let ballast = "\(cluster.state)/ballast"
        guard !File.exists(ballast) else { return false }
        // It ends with an error when no byte is left.
        _ = try cluster.run(["dd", "if=/dev/zero", "of=\(ballast)", "bs=64k"])
        after(0.5...2.5) { _ in unlink(ballast) }
        return true
    }

    private func dropPackets() throws -> Bool {
        let way = Bool.random(using: &numbers) ? "dport" : "sport"
        let share = Bool.random(using: &numbers) ? "numgen random mod 100 < 30" : ""
        let rule = "add rule inet muster_soak in tcp \(way) \(cluster.port) \(share) drop"
        _ = try cluster.run(["/usr/sbin/nft", rule])
        after(0.5...5) {
            _ = try $0.cluster.run(["/usr/sbin/nft", "flush chain inet muster_soak in"])
        }
        return true
    }
}
