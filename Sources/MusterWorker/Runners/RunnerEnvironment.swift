/// The environment of runners: that of items without what belongs to one job or one item, since a
/// runner serves several. Comes from `RunnerProgram.swift`.

extension ItemEnvironment {
    /// What libraries read to size their pools in a process, however many of its threads call.
    private static let processThreadCounts = [
        "GOMAXPROCS", "JULIA_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS",
        "POLARS_MAX_THREADS",
    ]

    /// - Parameters:
    ///   - cpus: cores for one item.
    ///   - processCPUs: cores for the whole process where several items run in it; nil = the same.
    /// - Throws: `.invalidLaunch` when an entry of the job's is not NAME=VALUE.
    static func runner(
        inheriting inheritance: Inheritance, agent: [[UInt8]], job: [[UInt8]], worker: String,
        cpus: Int, processCPUs: Int?
    ) throws(WorkerError) -> EnvironmentBlock {
        let inherited = agent.filter { entry in
            // A runner inside a runner's process would speak on its parent's pipes.
            !entry.starts(with: "MUSTER_RUNNER".utf8)
        }
        var own = job
        if let processCPUs {
            let names = processThreadCounts.map { Array("\($0)=".utf8) }
            let known = (inheritance == .everything ? inherited : []) + job
            for name in names where !known.contains(where: { $0.starts(with: name) }) {
                own.append(name + Array(String(max(1, processCPUs)).utf8))
            }
        }
        let shared = try ItemEnvironment(
            inheriting: inheritance, agent: inherited, job: own, jobID: "", worker: worker,
            cpus: cpus, seed: 0)
        return try shared.withoutItem(dropping: ["MUSTER_JOB_ID"])
    }
}

extension EnvironmentBlock {
    /// The same with entries behind it, whose names are new.
    func adding(_ entries: [[UInt8]]) throws(WorkerError) -> EnvironmentBlock {
        var all = bytes.split(separator: 0).map { Array($0) }
        all += entries
        return try EnvironmentBlock(all)
    }
}
