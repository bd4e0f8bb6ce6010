/// What a caller may say about a job beside function and inputs, and how it becomes a spec.

import MusterModel

/// How the runners of one worker fill its slots.
public enum RunnerPool: String, Hashable, Sendable, Codable {
    /// A process per slot. A crash costs one item. For work that computes.
    case process
    /// One process for all slots, a thread each; async functions overlap their waits. For work
    /// that waits, with more slots than cores.
    case thread

    var workload: FunctionWorkload.Pool { self == .process ? .process : .thread }
}

/// How many items a slot takes together. It changes speed, never results, order or errors.
public enum ChunkSize: Hashable, Sendable {
    /// By measured time: many short items, few long ones.
    case auto
    /// So many items, from 1 to 262,144.
    case size(Int)
}

/// What happens to text that items print.
public enum ItemOutput: Sendable {
    /// Standard output and standard error of items go to those of this process, each item's as a
    /// whole and in the order of the results.
    case forward
    /// Nobody sees it.
    case discard
    /// Called by the task that reads the results, with the item's index and what it printed.
    case handle(@Sendable (_ item: Int, _ stdout: String, _ stderr: String) -> Void)
}

/// One setting of a job: `cluster.map(f, over: inputs, .timeout(.seconds(5)), .retries(2))`.
///
/// Of a setting that is given twice the later one counts.
public struct JobOption: Sendable {
    let apply: @Sendable (inout JobSettings) -> Void

    /// An item that takes longer fails with ``ItemError/Code/timedOut``. Default: no limit.
    public static func timeout(_ limit: Duration) -> JobOption {
        JobOption { $0.plan.timeoutNanoseconds = limit.wholeNanoseconds }
    }

    /// Attempts after the first for an item that failed, 0 to 1,000. Default: 0. (What is lost
    /// with a worker is repeated anyway.)
    public static func retries(_ count: Int) -> JobOption {
        JobOption { $0.plan.retries = count }
    }

    /// A runner is replaced after so many items, against leaks. Default: never.
    public static func maxItemsPerRunner(_ count: Int) -> JobOption {
        JobOption { $0.plan.itemsPerRunner = count }
    }

    /// Bytes of resident memory over which a runner is ended; the item that runs then fails with
    /// ``ItemError/Code/memoryLimit``. Default: no limit.
    public static func maxRunnerMemory(bytes: Int) -> JobOption {
        JobOption { $0.plan.runnerBytes = bytes }
    }

    /// Items that a slot takes together. Default: `.auto`.
    public static func chunk(_ size: ChunkSize) -> JobOption {
        JobOption { settings in
            switch size {
            case .auto: settings.plan.chunkItems = nil
            case .size(let count): settings.plan.chunkItems = count
            }
        }
    }

    /// Jobs of larger priority run first. Default: 0.
    public static func priority(_ priority: Int) -> JobOption {
        JobOption { $0.plan.priority = priority }
    }

    /// Start of the items' seeds (``ClusterItem/seed``): the same seed gives the same ones again.
    /// Default: another one for each job.
    public static func seed(_ seed: UInt64) -> JobOption { JobOption { $0.plan.seed = seed } }

    /// Processes or threads. Default: what the cluster was opened with.
    public static func pool(_ pool: RunnerPool) -> JobOption { JobOption { $0.plan.pool = pool } }

    /// Slots that the job may fill on one worker. Default: all.
    public static func slotsPerWorker(_ count: Int) -> JobOption {
        JobOption { $0.plan.slotsPerWorker = count }
    }

    /// Items that may run at once in the whole cluster. Default: no limit.
    public static func maxRunning(_ count: Int) -> JobOption {
        JobOption { $0.plan.maxRunning = count }
    }

    /// Items that take far longer than others get a second attempt elsewhere; the first result
    /// counts. Only for functions that may run twice. Default: false.
    public static func speculate(_ isWanted: Bool = true) -> JobOption {
        JobOption { $0.plan.speculates = isWanted }
    }

    /// The job's name in `muster ps` and in progress bars. Default: the function's.
    public static func name(_ name: String) -> JobOption { JobOption { $0.plan.name = name } }

    /// Who hears how far the job is. Default: nobody.
    public static func progress(_ progress: ProgressView) -> JobOption {
        JobOption { $0.progress = progress }
    }

    /// What happens to text that items print. Default: `.forward`.
    public static func output(_ output: ItemOutput) -> JobOption {
        JobOption { $0.output = output }
    }
}

/// All settings of a job.
struct JobSettings: Sendable {
    /// What coordinator and workers are told. Submits with the same plan share a job.
    struct Plan: Hashable {
        var timeoutNanoseconds: Int64?
        var retries = 0
        var itemsPerRunner: Int?
        var runnerBytes: Int?
        var chunkItems: Int?
        var priority = 0
        var seed: UInt64?
        var pool: RunnerPool?
        var slotsPerWorker: Int?
        var maxRunning: Int?
        var speculates = false
        var name: String?
    }
    var plan = Plan()
    var progress: ProgressView?
    var output = ItemOutput.forward

    init(_ options: [JobOption]) { for option in options { option.apply(&self) } }
}

extension JobSettings.Plan {
    func options(ordered: Bool) -> MusterModel.JobOptions {
        var options = MusterModel.JobOptions()
        options.timeoutNanoseconds = timeoutNanoseconds
        options.retries = retries
        options.chunkItems = chunkItems
        options.priority = priority
        options.seed = seed ?? .random(in: 0 ... .max)
        options.maxPerWorker = slotsPerWorker
        options.maxRunning = maxRunning
        options.speculates = speculates
        options.ordered = ordered
        return options
    }
}

extension Duration {
    /// At most what an `Int64` holds, 292 years.
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, overflow2) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow2 ? .max : sum
    }
}
