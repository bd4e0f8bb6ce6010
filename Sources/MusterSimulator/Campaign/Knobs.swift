/// What one seed decides: how many of what, which troubles, how bad. Each seed turns a random part
/// of the knobs on (swarm testing: Groce and others 2012): troubles that are always there hide what
/// happens without them.

import MusterModel

struct Knobs {
    var network = NetworkKnobs()
    var disk = DiskKnobs()
    var workers: [WorkerKnobs] = []
    /// Jobs of each client.
    var jobs: [[JobPlan]] = []
    /// Nanoseconds of trouble before everything heals.
    var trouble: Int64 = 30_000_000_000
    /// Mean nanoseconds between two of each kind; nil = never.
    var troubles: [Trouble: Int64] = [:]
    /// Of the coordinator to die just when it has answered an order.
    var strikeChance = 0.0
    /// The same while a submit is on its way to the disk, so that it may be there unanswered.
    var submitStrikeChance = 0.0
    /// When the first worker's machine is lost for good, without a word to anybody.
    var vanishes: Int64?
    /// Every how many turns of the coordinator all invariants are looked at.
    var lookEvery = 1

    enum Trouble: String, CaseIterable {
        case cut, block, killWorker, loseMachine, pauseWorker, drainWorker, killClient
        case killCoordinator, pauseCoordinator, fullDisk, failDisk, jumpClock
    }

    /// Whether items may lose their workers.
    var losesWorkers: Bool {
        [
            .cut, .block, .killWorker, .loseMachine, .pauseWorker, .killCoordinator,
            .pauseCoordinator,
        ]
        .contains { troubles[$0] != nil } || troubles[.failDisk] != nil || vanishes != nil
    }

    init(seed: UInt64) {
        var random = SeededRandom(seed ^ 0x5eed)
        drawNetwork(&random)
        drawWorkers(&random)
        drawTroubles(&random)
        drawJobs(&random)
        lookEvery = random.pick([1, 1, 4, 16])
        // Knobs that came later have numbers of their own, so that seeds stay what they were.
        var later = SeededRandom(seed ^ 0x1a7e5)
        if workers.count > 1, later.chance(0.15) { vanishes = later.nanoseconds(0...trouble) }
        if troubles[.killCoordinator] != nil, later.chance(0.5) { strikeChance = later.unit() }
        for client in jobs.indices {
            for place in jobs[client].indices { jobs[client][place].drawMore(trouble, &later) }
        }
        // None of the seeds kept before draws this one, so each still shows what it is kept for.
        var latest = SeededRandom(seed ^ 0x5145)
        if latest.chance(0.25), troubles[.killCoordinator] != nil {
            submitStrikeChance = latest.unit()
        }
    }

    private mutating func drawNetwork(_ random: inout SeededRandom) {
        network.delay = Int64(random.log(10...20_000)) * 1000
        network.jitter = random.chance(0.5) ? network.delay * Int64(random.int(1...10)) : 0
        if random.chance(0.4) { network.splitChance = random.unit() * 0.5 }
        if random.chance(0.3) {
            network.spikeChance = 0.02 * random.unit()
            network.spike = Int64(random.log(10...3000)) * 1_000_000
        }
        if random.chance(0.3) { network.room = random.log(2_000...1_000_000) }
        disk.commit = Int64(random.log(10...50_000)) * 1000
        disk.jitter = disk.commit
        network.noticeMost = Int64(random.log(1...500)) * 1_000_000
    }

    private mutating func drawWorkers(_ random: inout SeededRandom) {
        let finishes = random.chance(0.3)
        let isUneven = random.chance(0.4)
        let repeats = random.chance(0.3) ? 0.1 * random.unit() : 0
        let slowTrims = random.chance(0.3) ? random.unit() : 0
        for _ in 0..<random.log(1...8) {
            workers.append(
                WorkerKnobs(
                    slots: random.log(1...8), slowness: isUneven ? 0.3 + 3 * random.unit() : 1,
                    finishes: finishes && random.chance(0.7), repeatChance: repeats,
                    slowTrimChance: slowTrims))
        }
    }

    private mutating func drawTroubles(_ random: inout SeededRandom) {
        trouble = Int64(random.int(5...90)) * 1_000_000_000
        for kind in Trouble.allCases where random.chance(0.35) {
            troubles[kind] = Int64(random.log(1...20)) * 1_000_000_000
        }
    }

    private mutating func drawJobs(_ random: inout SeededRandom) {
        var number = 0
        let clients = random.log(1...4)
        for client in 0..<clients {
            var plans: [JobPlan] = []
            for _ in 0..<random.log(1...4) {
                number += 1
                plans.append(JobPlan(drawnFor: client, number: number, trouble, &random))
            }
            jobs.append(plans)
        }
    }
}

extension JobPlan {
    init(drawnFor client: Int, number: Int, _ span: Int64, _ random: inout SeededRandom) {
        let count = random.log(1...3000)
        let workload: Workload =
            random.chance(0.5)
            ? .command(CommandWorkload(words: ["x"], mode: .argv))
            : .function(FunctionWorkload(command: ["p"], function: "f"))
        let isStream = random.chance(0.5)
        let input: InputShape =
            isStream ? .stream : .array(ArrayInput(first: 1, step: 1, count: count))
        let key = "key-\(number)"
        var spec = JobSpec(name: key, workload: workload, input: input)
        use = random.chance(0.6) ? .run : .submit
        spec.options.keepsResults = use == .submit
        spec.options.ordered = random.chance(0.7)
        spec.options.retries = random.chance(0.5) ? random.int(1...3) : 0
        if random.chance(0.2) { spec.options.maxRunning = random.log(1...20) }
        if random.chance(0.2) { spec.options.maxPerWorker = random.int(1...3) }
        if random.chance(0.1) { spec.options.priority = random.int(-2...2) }
        if random.chance(0.2) { spec.options.bufferBytes = random.log(100...100_000) }
        if random.chance(0.2) { spec.options.chunkItems = random.log(1...50) }
        if random.chance(0.2) { spec.options.speculates = true }
        if random.chance(0.1), use == .run { spec.options.streamsHead = true }
        spec.options.graceNanoseconds = 100_000_000
        itemNanoseconds = Int64(random.log(50...500_000)) * 1000
        // No job is so long that its end would not come.
        let most = span * 2 / Int64(count)
        itemNanoseconds = min(itemNanoseconds, max(50_000, most))
        if random.chance(0.2) {
            spec.options.timeoutNanoseconds = itemNanoseconds * Int64(random.int(2...10))
        }
        if random.chance(0.1) {
            spec.options.halt = HaltRule(
                now: random.chance(0.5), what: random.pick([.fail, .success, .done]),
                count: random.log(1...count), percent: false)
        }
        self.key = key
        self.spec = spec
        self.count = count
        startsAt = random.nanoseconds(0...(span / 2))
        if isStream {
            inputPause = random.chance(0.5) ? Int64(random.log(1...1000)) * 1_000_000 : 0
            inputPause = min(inputPause, span / Int64(max(1, count / 50)))
            inputBatch = random.log(1...500)
        }
        if random.chance(0.4) { failChance = random.pick([0.01, 0.1, 0.5]) }
        if random.chance(0.3) { longChance = 0.02 }
        if random.chance(0.2) { crashChance = 0.02 }
        if random.chance(0.2) { partsChance = random.unit() }
        if random.chance(0.3) { outputBytes = random.log(1...2000) }
        if random.chance(0.3) { readDelay = Int64(random.log(1...500)) * 1_000_000 }
        if random.chance(0.15) {
            cancelAfter = random.nanoseconds(0...(span / 2))
            if random.chance(0.5) {
                let from = random.int(0...(count - 1))
                cancelItems = from..<random.int((from + 1)...count)
            }
        }
        if random.chance(0.3), use == .submit { retries = random.int(1...2) }
    }

    /// Budgets are only reached by jobs of large inputs or results, of which few are bearable.
    fileprivate mutating func drawMore(_ span: Int64, _ random: inout SeededRandom) {
        if use == .submit, random.chance(0.4) { readsAfter = random.nanoseconds(0...(span / 2)) }
        if use == .submit, readsAfter != nil, random.chance(0.5) { retries = random.int(1...2) }
        // Most jobs are over before long: this is while they run.
        if cancelAfter == nil, random.chance(0.1) {
            cancelAfter = Int64(random.log(1...3000)) * 1_000_000
            if random.chance(0.3) { cancelItems = random.int(0...(count - 1))..<count }
        }
        guard count >= 5, random.chance(0.04) else { return }
        let each = min(1 << 20, random.int(10...30) << 20 / count)
        if random.chance(0.5) { outputBytes = each }
        if isStream, random.chance(0.7) {
            inputBytes = each
            inputBatch = max(1, min(inputBatch, 4 << 20 / each))
        }
    }
}
