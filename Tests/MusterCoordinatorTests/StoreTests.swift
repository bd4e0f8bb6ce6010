// Bytes at rest: inputs and results in memory and in the spool, and a disk that is not there.

import MusterCore
import MusterModel
import MusterStore
import MusterWire
import NIOCore
import Testing

@testable import MusterCoordinator

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

@Suite("Stores")
struct StoreTests {
    let directory: TemporaryDirectory
    let disk: VolatileStore

    init() throws {
        directory = try TemporaryDirectory()
        disk = VolatileStore(directory: directory.path)
    }

    var inputStore: InputStore { InputStore(log: disk.log(.inputs, of: JobID(1))) }
    var resultStore: ResultStore { ResultStore(log: disk.log(.results, of: JobID(1))) }

    /// Bytes of the job's results in the spool, after what was dropped has gone.
    func spooled(_ results: inout ResultStore) -> UInt64 {
        disk.commit(results.takeChanges(of: JobID(1))) { _ in }
        return results.log.diskBytes
    }

    static func record(_ item: Int, _ text: String = "", isPart: Bool = false) -> ByteBuffer {
        var buffer = ByteBuffer()
        ResultRecord(
            job: JobID(1), item: item, attempt: 1,
            outcome: isPart ? nil : Outcome(state: .succeeded, ending: .exited(0)),
            stdout: ByteBuffer(string: text)
        ).encode(into: &buffer)
        return buffer
    }

    static func code(_ body: () throws -> Void) -> MusterError.Code? {
        do { try body() } catch { return (error as? MusterError)?.code }
        return nil
    }

    // MARK: Inputs

    @Test("Inputs come back by index, from memory and from the spool, across batches")
    func inputs() throws {
        var store = inputStore
        defer { store.close() }
        let size = 1 << 20
        let perBatch = 4
        let batches = Limits.inputMemoryBytes / (size * perBatch) + 3
        for n in 0..<batches {
            var blob = ByteBuffer()
            for i in 0..<perBatch { blob.writeRepeatingByte(UInt8(n * perBatch + i), count: size) }
            let ends = (1...perBatch).map { UInt32($0 * size) }
            try store.append(Segment(first: n * perBatch, ends: ends, blob: blob))
        }
        let count = batches * perBatch
        #expect(store.count == count)
        for from in stride(from: 0, to: count, by: 3) {
            let items = from..<min(from + 6, count)
            let slices = try store.slices(of: items)
            #expect(slices.flatMap { Array($0.range) } == Array(items))
            for slice in slices {
                for item in slice.range {
                    let input = slice.item(item)
                    #expect(input == ByteBuffer(repeating: UInt8(item), count: size))
                }
            }
        }
        let wanted = 2 * perBatch + 1
        store.drop(below: count - 1) { $0.contains(wanted) }
        #expect(try store.slices(of: 0..<perBatch).isEmpty)
        #expect(try store.slices(of: (count - 1)..<count).count == 1)
        #expect(try store.slices(of: wanted..<(wanted + 1)).count == 1)
        store.drop(below: count) { _ in false }
        #expect(try store.slices(of: 0..<count).map(\.range) == [(2 * perBatch)..<(3 * perBatch)])
        #expect(try store.slices(of: 5..<5).isEmpty)
    }

    @Test("Batches of one small input rest together and come back by index")
    func smallInputs() throws {
        var store = inputStore
        defer { store.close() }
        let count = 20_000
        func text(_ item: Int) -> String { item % 7 == 0 ? "" : "input \(item)" }
        for item in 0..<count {
            let text = text(item)
            try store.append(
                Segment(
                    first: item, ends: [UInt32(text.utf8.count)], blob: ByteBuffer(string: text)))
        }
        // What succeeded meanwhile is gone, what succeeds later needs no rest.
        store.drop(below: 100) { _ in false }
        try store.record(all: true, final: ItemSet(5000..<5010))
        let blocks = store.takeChanges(of: JobID(1)).count
        #expect(blocks < 10, "\(blocks) blocks")
        #expect(store.recordedCount(final: ItemSet(5000..<5010)) == count)
        for item in 100..<count {
            let slices = try store.slices(of: item..<(item + 1))
            #expect(slices.compactMap { $0.item(item) } == [ByteBuffer(string: text(item))])
        }
        store.drop(below: count) { _ in false }
        #expect(store.memoryBytes == 0)
    }

    @Test("A batch that does not follow the last one is refused, and so is an empty one")
    func inputsOutOfOrder() throws {
        var store = inputStore
        defer { store.close() }
        let blob = ByteBuffer(string: "ab")
        try store.append(Segment(first: 0, ends: [1, 2], blob: blob))
        for first in [0, 1, 3, Limits.itemsPerJob] {
            let batch = Segment(first: first, ends: [2], blob: blob)
            #expect(Self.code { try store.append(batch) } == .malformed)
        }
        let empty = Segment(first: 2, ends: [], blob: ByteBuffer())
        #expect(Self.code { try store.append(empty) } == .malformed)
    }

    @Test("A spool whose directory is missing says so, for inputs and for results")
    func missingDirectory() {
        let nowhere = VolatileStore(directory: directory.path + "/not/there")
        var results = ResultStore(log: nowhere.log(.results, of: JobID(1)))
        let takesParts = !Self.isFatal {
            try results.keepPart(Self.record(0, isPart: true), of: 0)
        }
        let takesResults = !Self.isFatal { try results.keep(Self.record(1), of: 1) }
        let records = !Self.isFatal { try results.record(all: true) }
        #expect(!takesParts && takesResults && !records)
    }

    static func isFatal(_ body: () throws -> Void) -> Bool {
        do { try body() } catch { return (error as? StoreError)?.isFatal ?? false }
        return false
    }

    // MARK: Results

    static func texts(_ store: inout ResultStore, _ item: Int) throws -> [String] {
        var texts: [String] = []
        for piece in try store.pieces(of: item) ?? [] {
            var bytes = try store.load(piece)
            texts.append(String(buffer: try ResultRecord.decode(from: &bytes).stdout))
        }
        return texts
    }

    @Test("A million early results stay within their memory and come back from blocks")
    func million() throws {
        var store = resultStore
        defer { store.close() }
        let count = 1_000_000
        var most = 0
        let template = Self.record(0, "12345678")
        for n in 0..<count {
            let item = count - 1 - n
            var record = template
            record.setInteger(UInt64(item), at: 8, endianness: .little)
            try store.keep(record, of: item)
            most = max(most, store.freshBytes)
        }
        #expect(most <= Limits.earlyMemoryBytes)
        let onDisk = spooled(&store)
        #expect(onDisk > UInt64(Limits.earlyMemoryBytes))
        for item in stride(from: 0, to: count, by: 49_999) {
            let piece = try #require(try store.pieces(of: item)?.first)
            var bytes = try store.load(piece)
            #expect(try ResultRecord.decode(from: &bytes).item == item)
        }
        for item in 0..<count { store.drop(item..<(item + 1)) }
        #expect(store.isEmpty)
        let left = spooled(&store)
        #expect(left == 0)
    }

    @Test("Dropping a late item leaves earlier ones that were not delivered")
    func dropOutOfOrder() throws {
        var store = resultStore
        defer { store.close() }
        for item in 0..<1000 { try store.keep(Self.record(item, "r\(item)"), of: item) }
        try store.record(all: true)
        for item in 1..<1000 { store.drop(item..<(item + 1)) }
        #expect(try Self.texts(&store, 0) == ["r0"])
        #expect(try store.pieces(of: 1) == nil)
        #expect(try store.pieces(of: 999) == nil)
        store.drop(0..<(0 + 1))
        let left = spooled(&store)
        #expect(left == 0)
    }

    @Test("Parts stand before their end; parts of a lost attempt are gone")
    func parts() throws {
        var store = resultStore
        defer { store.close() }
        try store.keepPart(Self.record(3, "lost", isPart: true), of: 3)
        store.replace(3..<(3 + 1))
        #expect(store.parts(of: 3).isEmpty)
        try store.keepPart(Self.record(3, "a", isPart: true), of: 3)
        try store.keepPart(Self.record(3, "b", isPart: true), of: 3)
        #expect(try store.pieces(of: 3) == nil)
        #expect(store.parts(of: 3).count == 2)
        try store.keep(Self.record(3, "c"), of: 3)
        #expect(try Self.texts(&store, 3) == ["a", "b", "c"])
    }

    @Test("Whatever is done to it, the store answers like a dictionary", arguments: 1...6)
    func model(seed: UInt64) throws {
        var random = SeededGenerator(state: seed)
        var store = resultStore
        defer { store.close() }
        var final: [Int: [String]] = [:]
        var open: [Int: [String]] = [:]
        for step in 0..<6000 {
            let item = Int.random(in: 0..<300, using: &random)
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<45 where final[item] == nil:
                try store.keep(Self.record(item, "s\(step)"), of: item)
                final[item] = (open.removeValue(forKey: item) ?? []) + ["s\(step)"]
            case 45..<52 where final[item] == nil:
                try store.keepPart(Self.record(item, "p\(step)", isPart: true), of: item)
                open[item, default: []].append("p\(step)")
            case 52..<70:
                store.drop(item..<(item + 1))
                final[item] = nil
            case 70..<78:
                store.replace(item..<(item + 1))
                final[item] = nil
                open[item] = nil
            case 78..<82: try store.record(all: true)
            default:
                #expect(try Self.texts(&store, item) == final[item] ?? [], "step \(step)")
                #expect(store.parts(of: item).count == open[item]?.count ?? 0)
            }
        }
        for item in 0..<300 { #expect(try Self.texts(&store, item) == final[item] ?? []) }
    }
}
