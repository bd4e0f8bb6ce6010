// What a torn or damaged disk does: tails that no commit names are cut, everything else is named
// with its place, and nothing ends the process.

import MusterDisk
import MusterModel
import MusterStore
import NIOCore
import Testing

@Suite("Damage")
struct DamageTests {
    private static let segment = "jobs/1/results-000001.seg"

    /// A store with three named blocks and one that no commit names.
    private static func filled() async throws -> (folder: Folder, blocks: [StoredBlock]) {
        let folder = try Folder()
        let harness = try Harness(folder)
        let blocks = try ["first block", "second", "the third block"].enumerated().map {
            try harness.append($1, items: $0..<($0 + 1))
        }
        try await harness.commit([.submitted(.test(1))] + blocks.map { .results(1, $0) })
        _ = try harness.append("torn tail", items: 3..<4)
        harness.close()
        return (folder, blocks)
    }

    private static let texts = ["first block", "second", "the third block"]

    @Test("A log cut at every byte loses exactly the blocks that the cut has reached, by name")
    func truncated() async throws {
        let (folder, blocks) = try await Self.filled()
        let whole = try folder.bytes(of: Self.segment)
        for count in 0...whole.count {
            folder.write(Array(whole[..<count]), to: Self.segment)
            let harness = try Harness(folder)
            defer { harness.close() }
            #expect(harness.state.jobs.map(\.results) == [blocks])
            for (block, text) in zip(blocks, Self.texts) {
                let end = Int(block.place.offset) + 16 + block.place.bytes
                if end <= count {
                    #expect(try harness.text(block) == text)
                } else {
                    Self.expectDamage(at: block, in: folder, "cut to \(count)") {
                        try harness.text(block)
                    }
                }
            }
            let named = Int(blocks[2].place.offset) + 16 + blocks[2].place.bytes
            let left = try folder.bytes(of: Self.segment).count
            #expect(left == min(count, named), "the tail is cut off")
            // Nothing is appended where something is missing.
            let next = try harness.append("next", items: 3..<4)
            #expect((next.place.segment == 1) == (count >= named))
            #expect(try harness.text(next) == "next")
        }
    }

    @Test("Every flipped bit of a named block is noticed, and its neighbours stay readable")
    func flipped() async throws {
        let (folder, blocks) = try await Self.filled()
        let whole = try folder.bytes(of: Self.segment)
        let harness = try Harness(folder)
        defer { harness.close() }
        let second = blocks[1]
        let range = Int(second.place.offset)..<Int(blocks[2].place.offset)
        for place in range {
            for bit in 0..<8 {
                var bytes = Array(whole[..<Int(blocks[2].place.offset)])
                bytes[place] ^= 1 << bit
                folder.write(bytes, to: Self.segment)
                let reopened = SegmentReader(folder)
                Self.expectDamage(at: second, in: folder, "byte \(place), bit \(bit)") {
                    try reopened.text(second)
                }
                #expect(try reopened.text(blocks[0]) == Self.texts[0])
            }
        }
    }

    @Test("A block of another job, or at another place, is not taken for the right one")
    func moved() async throws {
        let folder = try Folder()
        let harness = try Harness(folder)
        let one = try harness.append("same text", of: 1)
        let two = try harness.append("same text", of: 2)
        let three = try harness.append("same text", of: 2, items: 1..<2)
        try await harness.commit(
            .submitted(.test(1)), .submitted(.test(2)), .results(1, one), .results(2, two),
            .results(2, three))
        harness.close()
        let first = try folder.bytes(of: "jobs/1/results-000001.seg")
        let second = try folder.bytes(of: "jobs/2/results-000001.seg")
        // The same block where it does not belong: in another job's file, and one place further.
        folder.write(first + first, to: "jobs/2/results-000001.seg")
        #expect(second.count == 2 * first.count)
        let reader = SegmentReader(folder)
        #expect(try reader.text(one, of: 1) == "same text")
        Self.expectDamage(at: two, of: 2, in: folder, "another job's") {
            try reader.text(two, of: 2)
        }
        folder.write(
            Array(second[..<first.count]) + second[..<first.count], to: "jobs/2/results-000001.seg")
        Self.expectDamage(at: three, of: 2, in: folder, "another place's") {
            try reader.text(three, of: 2)
        }
    }

    @Test("A database with flipped bytes is damage or readable, and never the end of the process")
    func database() async throws {
        let (folder, _) = try await Self.filled()
        let whole = try folder.bytes(of: "store.sqlite")
        var generator = SplitMix(seed: 41)
        var damaged = 0
        for _ in 0..<150 {
            let copy = try folder.copy()
            var bytes = whole
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let place = Int.random(in: bytes.indices, using: &generator)
                bytes[place] = UInt8.random(in: 0...255, using: &generator)
            }
            if Int.random(in: 0..<4, using: &generator) == 0 {
                bytes = Array(bytes[..<Int.random(in: 0...bytes.count, using: &generator)])
            }
            copy.write(bytes, to: "store.sqlite")
            #expect(!StoreDoctor.examine(directory: copy.path).isEmpty)
            do {
                let harness = try Harness(copy)
                harness.close()
            } catch let error as StoreError {
                damaged += 1
                if case .noSpace = error { Issue.record("\(error)") }
            }
        }
        #expect(damaged > 10)
    }

    /// The error names the block's file and offset.
    private static func expectDamage(
        at block: StoredBlock, of job: UInt64 = 1, in folder: Folder, _ comment: Comment,
        _ body: () throws -> String
    ) {
        let error = #expect(throws: StoreError.self, comment) { try body() }
        guard case .damaged(let path, let offset, let reason) = error else {
            Issue.record("\(comment): \(String(describing: error))")
            return
        }
        #expect(path == "\(folder.path)/jobs/\(job)/results-000001.seg", comment)
        #expect(offset == block.place.offset, comment)
        #expect(!reason.isEmpty, comment)
    }
}
