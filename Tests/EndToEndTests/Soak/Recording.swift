/// What a coordinator's store holds at the moment of its death: items that are recorded, and how
/// far the ledger had come. What begins later must not be one of them.

import Glibc

struct Recording {
    /// Job, and its items that are final, counted from 1.
    let final: [Int: [ClosedRange<Int>]]
    let ledgerBytes: Int

    /// Reads a copy, so that the store itself is left as the coordinator left it.
    init(of state: String, ledger: String) throws {
        ledgerBytes = (try? File.read(ledger).count) ?? 0
        let script = """
            set -e
            copy=$(mktemp -d)
            cp "$1"/store.sqlite* "$copy"/
            sqlite3 "$copy"/store.sqlite 'SELECT job, first, end FROM span WHERE role = 0'
            rm -r "$copy"
            """
        let ended = try Shell.run(
            ["sh", "-c", script, "sh", state], environment: ["PATH": "/usr/bin:/bin"])
        guard ended.status == 0 else { throw HarnessError("the store: \(ended.notes)") }
        var final: [Int: [ClosedRange<Int>]] = [:]
        for line in ended.lines {
            let words = line.split(separator: "|").compactMap { Int($0) }
            guard words.count == 3, words[1] < words[2] else {
                throw HarnessError("the store has a row \(line)")
            }
            final[words[0], default: []].append(words[1] + 1...words[2])
        }
        self.final = final
    }

    /// How many items are recorded.
    var count: Int { final.values.joined().reduce(0) { $0 + $1.count } }

    /// Whether all that is recorded here is recorded there as well.
    func isKept(in later: Recording) -> Bool {
        final.allSatisfy { job, runs in
            runs.joined().allSatisfy { item in
                (later.final[job] ?? []).contains { $0.contains(item) }
            }
        }
    }

    /// Items that were recorded and began again all the same.
    func broken(_ ledger: String) -> [String] {
        SoakJob.begun(ledger, from: ledgerBytes)
            .filter { entry in (final[entry.job] ?? []).contains { $0.contains(entry.item) } }
            .map { "\($0.job).\($0.item) attempt \($0.attempt)" }
    }
}
