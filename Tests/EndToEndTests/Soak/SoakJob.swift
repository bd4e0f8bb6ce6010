/// A job of the soak: how it is started, what a serial run of it prints, and how far what came is
/// from that. Its items note in a ledger when they begin.

import Glibc

/// How a job is given and read.
enum SoakKind: String, CaseIterable {
    /// `muster run`, attached, in order.
    case commands
    /// `muster map`, attached, in order.
    case functions
    /// `muster submit`, read in pieces by readers that are killed.
    case submitted
}

struct SoakJob {
    let kind: SoakKind
    let count: Int
    /// One line for each item that begins: `JOB ITEM ATTEMPT`.
    let ledger: String

    private static let padding = String(repeating: "x", count: 200)

    var inputs: [UInt8] {
        (1...count).flatMap { number in
            switch kind {
            case .commands, .submitted: Array("\(number)\n".utf8)
            case .functions: Array("{\"x\":\(number),\"ledger\":\"\(ledger)\"}\n".utf8)
            }
        }
    }

    /// What a serial run prints: each line begins with the item's number.
    var reference: [UInt8] {
        let end = kind == .functions ? "" : " \(Self.padding)"
        return (1...count).flatMap { Array("\($0)\(end)\n".utf8) }
    }

    /// The words behind `muster`.
    func words(cluster: String) -> [String] {
        let script = """
            echo "$MUSTER_JOB_ID $MUSTER_ITEM $MUSTER_ATTEMPT" >> \(ledger); \
            sleep 0.02; echo $1 \(Self.padding)
            """
        let command = ["sh", "-c", script, "sh", "{}"]
        let flags = ["--cluster", cluster]
        switch kind {
        case .commands: return ["run"] + flags + command
        case .functions:
            return ["map"] + flags + ["\(Shell.beside("muster-test-runner")):ledger"]
        case .submitted: return ["submit"] + flags + command
        }
    }

    /// Items that began, as lines of the ledger behind its first `offset` bytes.
    static func begun(_ ledger: String, from offset: Int = 0) -> [(
        job: Int, item: Int, attempt: Int
    )] {
        let bytes = (try? File.read(ledger))?.dropFirst(offset) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").compactMap { Int($0) }
            return words.count == 3 ? (words[0], words[1], words[2]) : nil
        }
    }
}

/// How far an output is from its reference.
struct Verdict: Equatable {
    var lost = 0
    var duplicated = 0
    var outOfOrder = 0
    /// Lines that are no item's.
    var foreign = 0
    var isEqual = true

    static func + (left: Verdict, right: Verdict) -> Verdict {
        Verdict(
            lost: left.lost + right.lost, duplicated: left.duplicated + right.duplicated,
            outOfOrder: left.outOfOrder + right.outOfOrder, foreign: left.foreign + right.foreign,
            isEqual: left.isEqual && right.isEqual)
    }

    init(
        lost: Int = 0, duplicated: Int = 0, outOfOrder: Int = 0, foreign: Int = 0,
        isEqual: Bool = true
    ) {
        self.lost = lost
        self.duplicated = duplicated
        self.outOfOrder = outOfOrder
        self.foreign = foreign
        self.isEqual = isEqual
    }

    /// Lines begin with the numbers of their items, from 1 to `count`.
    init(_ output: [UInt8], reference: [UInt8], count: Int) {
        isEqual = File.equal(output, reference)
        guard !isEqual else { return }
        let lines = Set(reference.split(separator: 10))
        var seen = Set<Int>()
        var highest = 0
        for line in output.split(separator: 10) {
            let word = String(decoding: line.prefix { $0 != 32 }, as: UTF8.self)
            guard lines.contains(line), let number = Int(word) else {
                foreign += 1
                continue
            }
            if !seen.insert(number).inserted { duplicated += 1 }
            if number < highest { outOfOrder += 1 }
            highest = max(highest, number)
        }
        lost = count - seen.count
    }
}
