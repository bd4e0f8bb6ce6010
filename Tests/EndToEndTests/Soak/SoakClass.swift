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
        case .coordinator: 0.1...1.5
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
        case .coordinator, .client, .clientLink, .disk, .packets:
            Recovery.stands ? nil : "the coordinator does not come back yet"
        default: nil
        }
    }
}

extension SoakRound {
    func strike(_ fault: SoakClass) throws {
        switch fault {
        case .worker: try killWorker()
        case .runner:
            guard let victim = cluster.runners.sorted().randomElement(using: &numbers) else {
                return
            }
            kill(victim, SIGKILL)
        case .coordinator: try killCoordinator()
        case .client: killReader()
        case .stop: stop()
        case .link:
            guard let proxy = proxies.randomElement(using: &numbers) else { return }
            disturb(proxy)
        case .clientLink: disturb(clientProxy)
        case .disk: try fillDisk()
        case .packets: try dropPackets()
        }
        strikes[fault, default: 0] += 1
    }

    private func killWorker() throws {
        guard let name = cluster.workers.keys.sorted().randomElement(using: &numbers) else {
            return
        }
        cluster.killWorker(name)
        after(0.1...0.8) { try $0.cluster.addWorker(name, slots: SoakRound.slots) }
    }

    private func killCoordinator() throws {
        guard !isDown else { return }
        isDown = true
        cluster.coordinator.end()
        recordings.append(try Recording(of: cluster.state, ledger: job.ledger))
        after(0...0.7) {
            try $0.cluster.restartCoordinator()
            $0.isDown = false
        }
    }

    private func stop() {
        var victims = Array(cluster.workers.values)
        if Recovery.stands && !isDown { victims.append(cluster.coordinator) }
        victims.sort { $0.pid < $1.pid }
        guard let victim = victims.randomElement(using: &numbers) else { return }
        victim.send(SIGSTOP)
        let isLong = Int.random(in: 0..<8, using: &numbers) == 0
        after(isLong ? 10...12 : 0.05...3) { _ in victim.send(SIGCONT) }
    }

    private func disturb(_ proxy: FaultProxy) {
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
    }

    private func fillDisk() throws {
        let ballast = "\(cluster.state)/ballast"
        guard !File.exists(ballast) else { return }
        // It ends with an error when no byte is left.
        _ = try cluster.run(["dd", "if=/dev/zero", "of=\(ballast)", "bs=64k"])
        after(0.5...2.5) { _ in unlink(ballast) }
    }

    private func dropPackets() throws {
        let way = Bool.random(using: &numbers) ? "dport" : "sport"
        let share = Bool.random(using: &numbers) ? "numgen random mod 100 < 30" : ""
        let rule = "add rule inet muster_soak in tcp \(way) \(cluster.port) \(share) drop"
        _ = try cluster.run(["/usr/sbin/nft", rule])
        after(0.5...5) {
            _ = try $0.cluster.run(["/usr/sbin/nft", "flush chain inet muster_soak in"])
        }
    }
}
