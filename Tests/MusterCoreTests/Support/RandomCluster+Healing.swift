/// All faults of a random cluster are over: everything must end now.

@testable import MusterCore
@testable import MusterModel

extension RandomCluster {
    func heal() {
        if isHeld { run(.hold(false)) }
        // Some never come back.
        for worker in away.keys.sorted() where random.once(in: 2) { comeBack(worker) }
        for worker in workerIDs where peers[worker]?.hasLied ?? false { run(.leave(worker)) }
        for worker in workerIDs { run(.resume(worker)) }
        let living = peers.values.filter { !$0.isMute }
        if !living.contains(where: { $0.platform == "odd" }) { join(platform: "odd") }
        for id in jobIDs { run(.inputEnded(id)) }
        var rounds = 0
        while failure == nil, rounds < 300, jobIDs.contains(where: { !(jobs[$0]?.saidEnd ?? true) })
        {
            rounds += 1
            for worker in workerIDs where !(peers[worker]?.isMute ?? true) {
                while failure == nil, !(peers[worker]?.down ?? []).isEmpty { tell(worker) }
                let slots = peers[worker]?.machine.machine.runningCount ?? 0
                for _ in 0..<slots { finish(worker, healed: true) }
                while failure == nil, !(peers[worker]?.up ?? []).isEmpty { hear(worker) }
            }
            for id in jobIDs { acknowledge(id, all: true) }
            pass(nanoseconds: 500_000_000)
        }
        for id in jobIDs {
            guard let job = jobs[id] else { continue }
            check(
                job.saidEnd, "job \(id) does not end: \(String(describing: scheduler.view(of: id)))"
            )
            check(job.items.allSatisfy { $0.final != nil }, "job \(id) ended with items left")
            check(job.ready == job.items.count, "job \(id) is not ready to its end")
        }
    }
}
