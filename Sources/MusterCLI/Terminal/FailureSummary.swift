// Many failures in few lines. Failures come in one by one, lines for stderr go out, the most
// important one last, where the eye rests: `37 items failed with exit 127: `convert` not found on
// w3, w5`.

import Muster
import MusterModel

/// Groups of equal failures. Memory is bounded by limits on groups and on workers named in each.
package struct FailureSummary: Equatable, Sendable {
    package enum Cause: Hashable, Sendable {
        case exit(Int)
        case signal(Int)
        case timedOut
        case outOfMemory
        /// The command was not found, or is not executable.
        case cannotStart
        case cancelled
        /// The worker was lost more often than allowed.
        case lostWorker
        /// Anything else, as words that follow "failed: ".
        case other(String)
    }

    private struct Key: Hashable {
        let cause: Cause
        let detail: String
    }

    private struct Group: Equatable {
        var count = 0
        var firstItem: String
        var workers: Set<String> = []
    }

    /// Different failures told apart; the rest is only counted.
    private static let mostGroups = 1_000
    /// Workers remembered for a group, and of them named.
    private static let mostWorkers = 1_000
    private static let namedWorkers = 5
    private static let mostDetailColumns = 200

    private var groups: [Key: Group] = [:]
    /// The groups in order of their first failure.
    private var order: [Key] = []
    private var furtherFailures = 0

    package init() {}

    /// All failures.
    package private(set) var count = 0

    /// Notes a failure.
    ///
    /// - Parameters:
    ///   - item: as users write it: `7` or `41.7`.
    ///   - detail: what the item or the system said, as a rule its last line; empty for nothing.
    ///   - worker: nil when it did not matter.
    package mutating func add(
        item: String, cause: Cause, detail: String = "", worker: String? = nil
    ) {
        count += 1
        let visible = Escaping.visible(detail)
        let key = Key(cause: cause, detail: DisplayWidth.cut(visible, to: Self.mostDetailColumns))
        if groups[key] == nil {
            guard order.count < Self.mostGroups else {
                furtherFailures += 1
                return
            }
            order.append(key)
        }
        var group = groups[key] ?? Group(firstItem: Escaping.visible(item))
        groups[key] = nil
        group.count += 1
        if let worker, group.workers.count < Self.mostWorkers {
            group.workers.insert(Escaping.visible(worker))
        }
        groups[key] = group
    }

    /// The lines, the largest group last; among equal ones the one seen first.
    ///
    /// - Parameter most: lines at most; what is left out is counted in the first.
    package func lines(most: Int = 10) -> [String] {
        let sorted = order.enumerated().compactMap { index, key in
            groups[key].map { (index: index, key: key, group: $0) }
        }.sorted {
            $0.group.count != $1.group.count
                ? $0.group.count > $1.group.count : $0.index < $1.index
        }
        var lines = sorted.prefix(max(most, 1)).map { Self.line($0.key, $0.group) }
        let left = sorted.dropFirst(max(most, 1)).reduce(furtherFailures) { $0 + $1.group.count }
        if left > 0 { lines.append("\(NumberText.counted(left, "more item")) failed otherwise") }
        return lines.reversed()
    }

    private static func line(_ key: Key, _ group: Group) -> String {
        let one = group.count == 1
        var line = one ? "item \(group.firstItem)" : "\(group.count) items"
        line += " " + phrase(key.cause, one: one)
        if !key.detail.isEmpty { line += ": " + key.detail }
        let workers = group.workers.sorted(by: precedes)
        if !workers.isEmpty {
            line += " on " + workers.prefix(namedWorkers).joined(separator: ", ")
            let further = workers.count - namedWorkers
            if further > 0 { line += " and \(further) more" }
        }
        return line
    }

    private static func phrase(_ cause: Cause, one: Bool) -> String {
        switch cause {
        case .exit(let code): "failed with exit \(code)"
        case .signal(let number): "\(one ? "was" : "were") killed by \(SignalText.name(number))"
        case .timedOut: "timed out"
        case .outOfMemory: "ran out of memory"
        case .cannotStart: "could not start"
        case .cancelled: one ? "was cancelled" : "were cancelled"
        case .lostWorker: "failed because \(one ? "its" : "their") worker was lost too often"
        case .other(let words): "failed: " + Escaping.visible(words)
        }
    }

    /// `w3` before `w10`: numbers at the end of a name count as numbers.
    static func precedes(_ left: String, _ right: String) -> Bool {
        let (leftStem, leftNumber) = numbered(left)
        let (rightStem, rightNumber) = numbered(right)
        if leftStem != rightStem { return leftStem < rightStem }
        return leftNumber != rightNumber ? leftNumber < rightNumber : left < right
    }

    private static func numbered(_ name: String) -> (String, UInt64) {
        let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }.count
        return (String(name.dropLast(digits)), UInt64(name.suffix(digits)) ?? 0)
    }
}

package enum SignalText {
    /// `SIGKILL (9)`, or `signal 40`.
    package static func name(_ number: Int) -> String {
        Ending.signalName(Int32(clamping: number)).map { "SIG\($0) (\(number))" }
            ?? "signal \(number)"
    }
}
