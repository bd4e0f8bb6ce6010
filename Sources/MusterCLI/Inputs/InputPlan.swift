// From sources to items. Sources and settings come in from the command line; the submitter takes
// items out one by one or in batches. Sources are opened at once, so that a missing file is told
// before a job exists, and read only as far as items are asked for.

import Muster
import MusterModel

/// All items of a job, in input order. Reading moves it on: do not go on with a copy.
package struct InputPlan {
    /// The numbers, when the items are just these in their order: such a job carries the range
    /// itself and stores no item. `next` and `nextBatch` give the same numbers as text.
    package let array: ArrayRange?
    /// Names of an item's first fields (`--header :`).
    package let names: [[UInt8]]
    /// Fields of each item, for `CommandTemplate`; nil when they differ (`-C`, `--csv`). The last
    /// item may have fewer with `-n`.
    package let fieldCount: Int?
    /// Whether items are read from a terminal: somebody may wonder why nothing happens.
    package let readsTerminal: Bool
    /// All items of the plan; nil when only reading tells.
    package private(set) var knownCount: Int?

    // Where records come from: one of these three is set, so that each changes in place.
    private var product: SourceProduct?
    private var cycle: SourceCycle?
    private var numbers: ArrayRange?
    private var nextNumber = 0

    private let perItem: Int
    /// Not shuffled yet: done when the first item is asked for.
    private var shuffleSeed: UInt64?
    /// With `--shuf` all items, and the order they are left in, last first.
    private var shuffled: HeldRecords?
    private var order: [Int] = []
    /// The only source, when each of its lines is an item.
    private let plainLines: InputReader?
    /// Read, but too large for the batch before.
    private var waiting: [[UInt8]]?

    /// Opens the sources.
    ///
    /// - Parameters:
    ///   - sources: empty only with `settings.array`.
    ///   - standardInput: the descriptor behind `-`.
    /// - Throws: `cannotOpen`, `isDirectory`, `missingHeader`, `badCombination`.
    package init(
        sources: [InputSource], settings: InputSettings, standardInput: Int32 = 0
    ) throws(InputError) {
        perItem = max(settings.perItem, 1)
        shuffleSeed = settings.shuffleSeed
        if let range = settings.array {
            guard sources.isEmpty else {
                throw InputError(.badCombination, "--array stands in place of other inputs")
            }
            array = perItem == 1 && shuffleSeed == nil ? range : nil
            names = []
            fieldCount = perItem
            readsTerminal = false
            plainLines = nil
            numbers = range
            knownCount = Self.groups(of: perItem, in: range.count)
            return
        }
        guard !sources.isEmpty else {
            throw InputError(
                .badCombination, "there is no input; give a file, ::: values or a pipe")
        }
        guard sources.count(where: { $0.origin == .standardInput }) <= 1 else {
            throw InputError(.badCombination, "standard input can be read only once; name it once")
        }
        var groups: [SourceGroup] = []
        for source in sources {
            let reader = try RecordReader(source, settings: settings, standardInput: standardInput)
            if source.linked, let group = groups.popLast() {
                groups.append(SourceGroup(readers: group.readers + [reader]))
            } else {
                groups.append(SourceGroup(readers: [reader]))
            }
        }
        let readers = groups.flatMap(\.readers)
        array = nil
        names = readers.flatMap(\.names)
        let perItem = perItem
        fieldCount = readers.reduce(Optional(0)) { sum, reader in
            sum.flatMap { sum in reader.fieldCount.map { sum + $0 } }
        }.map { $0 * perItem }
        let readsInput = sources.contains { $0.origin == .standardInput }
        readsTerminal = readsInput && SystemTerminal.isTerminal(standardInput)
        let isPlain = readers.count == 1 && readers[0].isPlain && perItem == 1 && shuffleSeed == nil
        plainLines = isPlain ? readers[0].lines : nil
        if settings.link {
            let cycle = SourceCycle(groups)
            self.cycle = cycle
            knownCount = cycle.leftCount.map { Self.groups(of: perItem, in: $0) }
        } else {
            let product = SourceProduct(groups)
            self.product = product
            knownCount = product.leftCount.map { Self.groups(of: perItem, in: $0) }
        }
    }

    private static func groups(of size: Int, in count: Int) -> Int {
        count / size + (count % size == 0 ? 0 : 1)
    }

    // MARK: items

    /// The fields of the next item; nil at the end.
    ///
    /// - Throws: `cannotRead`, `tooLong`, `badCSV`, `badCombination`.
    package mutating func next() throws(InputError) -> [[UInt8]]? {
        if let item = waiting {
            waiting = nil
            return item
        }
        if shuffleSeed != nil { try shuffle() }
        if let shuffled {
            guard let index = order.popLast() else { return nil }
            return try shuffled.record(at: index)
        }
        return try nextItem()
    }

    /// An item of `perItem` records, the last one perhaps of fewer.
    private mutating func nextItem() throws(InputError) -> [[UInt8]]? {
        guard var item = try nextRecord() else { return nil }
        for _ in 1..<perItem {
            guard let record = try nextRecord() else { break }
            item += record
        }
        return item
    }

    private mutating func nextRecord() throws(InputError) -> [[UInt8]]? {
        if product != nil { return try product?.next() }
        if cycle != nil { return try cycle?.next() }
        guard let number = numbers?.value(at: nextNumber) else { return nil }
        nextNumber += 1
        return [Array(String(number).utf8)]
    }

    private mutating func shuffle() throws(InputError) {
        guard let seed = shuffleSeed else { return }
        shuffleSeed = nil
        var held = HeldRecords()
        while let item = try nextItem() { try held.append(item) }
        var generator = SeededGenerator(seed: seed)
        knownCount = held.count
        order = generator.order(held.count)
        shuffled = held
    }

    // MARK: batches

    /// Up to `maxItems` items as they travel; nil at the end. Waits for the first item only: what
    /// is there already goes out rather than wait for more to be written.
    ///
    /// - Parameters:
    ///   - maxItems: at least one.
    ///   - maxBytes: exceeded only by a single item that is larger itself.
    /// - Throws: as `next`.
    package mutating func nextBatch(
        maxItems: Int, maxBytes: Int
    ) throws(InputError) -> InputBatch? {
        if let plainLines {
            return try plainLines.nextBatch(maxItems: maxItems, maxBytes: maxBytes)
        }
        var batch = InputBatch()
        while batch.count < max(maxItems, 1) {
            if batch.count > 0, waiting == nil, !holdsItem { break }
            guard let item = try next() else { break }
            let size = item.reduce(0) { $0 + ItemFields.lengthBytes + $1.count }
            if batch.count > 0, batch.bytes.count + size > maxBytes {
                waiting = item
                break
            }
            do throws(TemplateError) {
                try batch.append(item)
            } catch {
                throw InputError(.tooLong, error.message)
            }
        }
        return batch.count > 0 ? batch : nil
    }

    /// Whether the next item can be had without waiting for somebody to write.
    private var holdsItem: Bool {
        if shuffled != nil { return true }
        return product?.holds(records: perItem) ?? cycle?.holds(records: perItem) ?? true
    }
}
