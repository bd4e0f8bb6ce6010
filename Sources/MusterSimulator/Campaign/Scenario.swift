/// One seed from its start to its verdict: trouble, healing, then every job has to end and to be
/// what its items were.

import MusterModel

struct Verdict: Sendable {
    var seed: UInt64
    var steps: Int
    var hash: String
    var simulatedSeconds: Double
    var broken: [String]
}

enum Scenario {
    /// Nothing takes so long once all is well.
    private static let patience: Int64 = 1_200_000_000_000

    static func run(seed: UInt64, events: Int?, tell: ((String) -> Void)? = nil) -> Verdict {
        let world = World(seed: seed)
        world.tell = tell
        let knobs = Knobs(seed: seed)
        let cluster = Cluster(world, knobs)
        let most = events ?? 2_000_000
        world.note(
            "\(knobs.workers.count) workers, \(knobs.jobs.count) clients, "
                + "\(knobs.troubles.keys.map(\.rawValue).sorted().joined(separator: " "))")
        cluster.begin()
        let faults = Faults(cluster)
        faults.begin()
        world.run(until: world.now + knobs.trouble, steps: most)
        faults.heal()
        world.run(until: world.now + patience, steps: most) { cluster.isDone }
        if world.broken.isEmpty && !cluster.isDone { world.fail(cluster.whyNotDone) }
        if world.broken.isEmpty { readAgain(cluster, most) }
        let verdict = Verdict(
            seed: seed, steps: world.steps, hash: world.hash.text,
            simulatedSeconds: Double(world.now) / 1e9, broken: world.broken)
        cluster.end()
        return verdict
    }

    /// Everything that was kept is read from its start by somebody new.
    private static func readAgain(_ cluster: Cluster, _ most: Int) {
        let kept = cluster.keptJobs
        guard !kept.isEmpty else { return }
        for job in kept { job.isDone = false }
        cluster.addReader(kept).begin()
        let world = cluster.world
        world.run(until: world.now + patience, steps: most) { cluster.isDone }
        if world.broken.isEmpty && !cluster.isDone { world.fail(cluster.whyNotDone) }
    }
}
