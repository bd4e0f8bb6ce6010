// What an item sees in its environment: the allow-list, the job's entries, its own numbers.

import MusterModel
import MusterWorker
import Testing

@Suite("An item's environment")
struct ItemEnvironmentTests {
    private func bytes(_ entries: [String]) -> [[UInt8]] { entries.map { Array($0.utf8) } }

    private func block(
        _ inheritance: ItemEnvironment.Inheritance, agent: [[UInt8]], job: [[UInt8]] = []
    ) throws -> [[UInt8]] {
        let environment = try ItemEnvironment(
            inheriting: inheritance, agent: agent, job: job, jobID: "41", worker: "w1", cpus: 3,
            seed: 7)
        let block = environment.block(index: 6, slot: 1, attempt: 2)
        let entries = block.bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast()
        #expect(entries.count == block.count)
        #expect(entries.map(\.count).max() == block.longest)
        return entries.map { Array($0) }
    }

    @Test("On a worker only an allow-list of the agent's own gets through, byte for byte")
    func allowList() throws {
        let home: [UInt8] = Array("HOME=/h".utf8) + [0xFF]
        let entries = try block(
            .allowList, agent: bytes(["PATH=/bin", "SECRET=x", "LC_ALL=C", "LCX=1"]) + [home])
        for kept in bytes(["PATH=/bin", "LC_ALL=C"]) + [home] { #expect(entries.contains(kept)) }
        for refused in bytes(["SECRET=x", "LCX=1"]) { #expect(!entries.contains(refused)) }
    }

    @Test("An embedded run inherits everything but another item's names")
    func everything() throws {
        let entries = try block(
            .everything,
            agent: bytes(["SECRET=x", "MUSTER_ITEM=99", "PARALLEL_SEQ=99", "MUSTER_JOB_ID=1"]))
        #expect(entries.contains(Array("SECRET=x".utf8)))
        for name in ["MUSTER_ITEM=", "PARALLEL_SEQ=", "MUSTER_JOB_ID="] {
            #expect(entries.filter { $0.starts(with: name.utf8) }.count == 1)
        }
    }

    @Test("Items see themselves counted from 1, as the command line counts them")
    func numbers() throws {
        let entries = try block(.allowList, agent: [])
        let expected = [
            "MUSTER_JOB_ID=41", "MUSTER_ITEM=7", "MUSTER_SLOT=2", "MUSTER_ATTEMPT=2",
            "MUSTER_WORKER=w1", "MUSTER_CPUS=3", "PARALLEL_SEQ=7", "PARALLEL_JOBSLOT=2",
            "OMP_NUM_THREADS=3", "RAYON_NUM_THREADS=3", "SWIFT_BACKTRACE=enable=no",
            "MUSTER_SEED=\(ItemSeed.seed(job: 7, index: 6))",
        ]
        for entry in expected { #expect(entries.contains(Array(entry.utf8)), "\(entry)") }
    }

    @Test("The job's entries win, the last one first, and are not set twice")
    func jobWins() throws {
        let entries = try block(
            .allowList, agent: bytes(["PATH=/bin"]),
            job: bytes(["PATH=/a", "OMP_NUM_THREADS=1", "X=1", "X=2"]))
        #expect(entries.filter { $0.starts(with: "PATH=".utf8) } == bytes(["PATH=/a"]))
        #expect(entries.filter { $0.starts(with: "X=".utf8) } == bytes(["X=2"]))
        let threads = entries.filter { $0.starts(with: "OMP_NUM_THREADS".utf8) }
        #expect(threads == bytes(["OMP_NUM_THREADS=1"]))
    }

    @Test("An entry that is none is refused", arguments: ["", "=x", "NAME", "A=\0"])
    func malformed(entry: String) {
        #expect(throws: WorkerError.self) { try block(.allowList, agent: [], job: bytes([entry])) }
    }

    @Test("Seeds are those of SplitMix64, without the last bit")
    func seeds() {
        // Published outputs of the generator started with 1234567.
        let published: [UInt64] = [
            6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
        ]
        for (index, output) in published.enumerated() {
            let seed = ItemSeed.seed(job: 1_234_567, index: UInt64(index))
            #expect(seed == output >> 1)
        }
        #expect(ItemSeed.seed(job: .max, index: .max) <= UInt64(Int64.max))
    }
}
