// The environment of items. In: the agent's own environment, the job's entries, who runs what. Out:
// one EnvironmentBlock per item, for Launch.swift.
//
// Everything is bytes: values need not be UTF-8. What is the same for all items of a job is joined
// once; per item only the last few entries are written behind it.

private import CSupervisor
private import MusterModel

/// Entries of the form K=V, each ended by NUL, as a launch request carries them.
package struct EnvironmentBlock: Hashable, Sendable {
    package private(set) var count = 0
    package private(set) var bytes: [UInt8] = []
    /// Bytes of the longest entry, without its NUL.
    package private(set) var longest = 0

    package init() {}

    /// - Throws: `.invalidLaunch` for an entry without a name or with a NUL byte.
    package init(_ entries: [[UInt8]]) throws(WorkerError) {
        for entry in entries {
            guard let equals = entry.firstIndex(of: UInt8(ascii: "=")), equals > 0,
                !entry.contains(0)
            else {
                throw WorkerError(
                    .invalidLaunch,
                    "An environment entry is not of the form NAME=VALUE without NUL bytes.")
            }
            append(entry)
        }
    }

    fileprivate mutating func append(_ entry: some Collection<UInt8>) {
        let before = bytes.count
        bytes.append(contentsOf: entry)
        longest = max(longest, bytes.count - before)
        bytes.append(0)
        count += 1
    }

    fileprivate mutating func append(_ name: StaticString, _ value: UInt64) {
        let before = bytes.count
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "="))
        bytes.append(contentsOf: String(value).utf8)
        longest = max(longest, bytes.count - before)
        bytes.append(0)
        count += 1
    }

    fileprivate mutating func reserve(_ more: Int) {
        bytes.reserveCapacity(bytes.count + more)
    }
}

package struct ItemEnvironment: Sendable {
    /// What items get of the agent's own environment.
    package enum Inheritance: Hashable, Sendable {
        /// A few names that a command can hardly do without; for workers.
        case allowList
        /// Everything; for a run on the user's own machine.
        case everything
    }

    /// The part all items of the job share.
    private let shared: EnvironmentBlock
    private let seed: UInt64

    /// - Parameters:
    ///   - agent: the agent's own entries, as ``ofThisProcess()`` gives them.
    ///   - job: the job's entries; they win over the agent's, a later one over an earlier one.
    ///   - cpus: cores an item may use.
    ///   - seed: the job's seed, from which each item's is made.
    /// - Throws: `.invalidLaunch` when an entry of the job's is not NAME=VALUE.
    package init(
        inheriting inheritance: Inheritance,
        agent: [[UInt8]],
        job: [[UInt8]],
        jobID: String,
        worker: String,
        cpus: Int,
        seed: UInt64
    ) throws(WorkerError) {
        _ = try EnvironmentBlock(job)
        var kept = Entries()
        for entry in agent {
            guard let name = Entries.name(of: entry) else { continue }
            if inheritance == .everything || ItemEnvironment.isAllowed(name) { kept.set(entry) }
        }
        for entry in job { kept.set(entry) }
        let cores = String(max(cpus, 1))
        for name in ItemEnvironment.threadCounts { kept.setIfAbsent("\(name)=\(cores)") }
        // A crashing Swift program would spend a second on its own backtrace.
        kept.setIfAbsent("SWIFT_BACKTRACE=enable=no")
        for name in ItemEnvironment.perItem { kept.remove(name) }
        kept.set(Array("MUSTER_JOB_ID=\(jobID)".utf8))
        kept.set(Array("MUSTER_WORKER=\(worker)".utf8))
        kept.set(Array("MUSTER_CPUS=\(cores)".utf8))
        shared = try EnvironmentBlock(kept.inOrder)
        self.seed = seed
    }

    /// The whole environment of one attempt.
    ///
    /// - Parameters:
    ///   - index: the item's place in the job, from 0; items see it from 1.
    ///   - slot: the slot's place on the worker, from 0; items see it from 1.
    ///   - attempt: from 1.
    package func block(index: Int, slot: Int, attempt: Int) -> EnvironmentBlock {
        let item = UInt64(clamping: index)
        let number = item &+ 1
        let place = UInt64(clamping: slot) &+ 1
        var block = shared
        block.reserve(224)
        block.append("MUSTER_ITEM", number)
        block.append("MUSTER_SLOT", place)
        block.append("MUSTER_ATTEMPT", UInt64(clamping: attempt))
        block.append("MUSTER_SEED", ItemSeed.seed(job: seed, index: item))
        block.append("PARALLEL_SEQ", number)
        block.append("PARALLEL_JOBSLOT", place)
        return block
    }

    /// What all items of the job share, but for these names.
    func withoutItem(dropping names: [String]) throws(WorkerError) -> EnvironmentBlock {
        let prefixes = names.map { Array("\($0)=".utf8) }
        var kept: [[UInt8]] = []
        for entry in shared.bytes.split(separator: 0) {
            if !prefixes.contains(where: { entry.starts(with: $0) }) { kept.append(Array(entry)) }
        }
        return try EnvironmentBlock(kept)
    }

    /// The environment of this process as it is now.
    package static func ofThisProcess() -> [[UInt8]] {
        guard var entry = muster_environment() else { return [] }
        var entries: [[UInt8]] = []
        while let text = entry.pointee {
            var length = 0
            while text[length] != 0 { length += 1 }
            entries.append(Array(UnsafeRawBufferPointer(start: text, count: length)))
            entry += 1
        }
        return entries
    }

    private static let allowed: Set<[UInt8]> = Set(
        ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM"]
            .map { Array($0.utf8) })

    private static func isAllowed(_ name: ArraySlice<UInt8>) -> Bool {
        allowed.contains(Array(name)) || name.starts(with: "LC_".utf8)
    }

    /// What libraries read to size their thread pools; they would all take every core.
    private static let threadCounts = [
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS",
        "POLARS_MAX_THREADS", "JULIA_NUM_THREADS", "GOMAXPROCS",
    ]

    private static let perItem = [
        "MUSTER_ITEM", "MUSTER_SLOT", "MUSTER_ATTEMPT", "MUSTER_SEED", "PARALLEL_SEQ",
        "PARALLEL_JOBSLOT",
    ]
}

/// Entries by name, in the order in which names first came.
private struct Entries {
    private var places: [[UInt8]: Int] = [:]
    private var entries: [[UInt8]?] = []

    var inOrder: [[UInt8]] { entries.compactMap { $0 } }

    static func name(of entry: [UInt8]) -> ArraySlice<UInt8>? {
        guard let equals = entry.firstIndex(of: UInt8(ascii: "=")), equals > 0 else { return nil }
        return entry[..<equals]
    }

    mutating func set(_ entry: [UInt8]) {
        guard let name = Entries.name(of: entry) else { return }
        if let place = places[Array(name)] {
            entries[place] = entry
        } else {
            places[Array(name)] = entries.count
            entries.append(entry)
        }
    }

    mutating func setIfAbsent(_ text: String) {
        let entry = Array(text.utf8)
        guard let name = Entries.name(of: entry), places[Array(name)] == nil else { return }
        set(entry)
    }

    mutating func remove(_ name: String) {
        guard let place = places.removeValue(forKey: Array(name.utf8)) else { return }
        entries[place] = nil
    }
}
