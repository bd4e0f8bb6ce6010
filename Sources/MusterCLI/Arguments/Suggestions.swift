// "Did you mean": for flags and verbs that do not exist, from spelling and from the words of GNU
// parallel, xargs, HyperQueue and Slurm. The unknown word comes in, an error with advice goes out.

package enum Suggestions {
    /// Peers' flags and the flag here that does the same.
    private static let flagSynonyms: [String: String] = [
        "--cwd": "--wd", "--workdir": "--wd", "--chdir": "--wd", "--directory": "--wd",
        "-D": "--wd",
        "--max-procs": "--jobs", "-P": "--jobs", "--procs": "--jobs", "--workers": "--jobs",
        "--parallel": "--jobs", "--threads": "--jobs", "--concurrency": "--jobs",
        "--ntasks": "--jobs", "--slots": "--jobs", "--ordered": "--keep-order",
        "--keep": "--keep-order", "--ungroup": "--lb", "-u": "--lb", "--linebuffer": "--lb",
        "--xapply": "--link", "--zip": "--link", "--max-replace-args": "--max-args",
        "--shuffle": "--shuf", "--random": "--shuf", "--dryrun": "--dry-run",
        "--retry": "--retries",
        "--log": "--joblog", "--job-log": "--joblog", "--time-limit": "--timeout",
        "--time": "--timeout", "--job-name": "--name", "--silent": "--quiet",
        "--each-line": "--arg-file", "--from-file": "--arg-file", "--export": "--env",
        "--print0": "--null", "--separator": "--colsep", "--field-separator": "--colsep",
        "--spool": "--buffer", "--background": "--detach", "--output": "--results",
        "--files": "--results", "--transfer": "--basefile", "--stage": "--basefile",
        "--chunksize": "--chunk", "--chunk-size": "--chunk", "--batch-size": "--chunk",
        "--executor": "--pool", "--backend": "--pool", "--keep-alive": "--serve",
        "--server": "--serve", "--max-concurrent": "--max-running", "--throttle": "--max-running",
    ]

    /// Peers' verbs and the verbs here.
    private static let verbSynonyms: [String: [String]] = [
        "server": ["coordinator"], "scheduler": ["coordinator"], "head": ["coordinator"],
        "master": ["coordinator"], "controller": ["coordinator"],
        "kill": ["cancel"], "stop": ["cancel"], "abort": ["cancel"], "scancel": ["cancel"],
        "rm": ["job remove"], "delete": ["job remove"],
        "list": ["job list", "ps"], "ls": ["job list", "ps"], "jobs": ["job list", "ps"],
        "queue": ["job list", "ps"], "squeue": ["job list", "ps"], "qstat": ["job list", "ps"],
        "log": ["logs"], "output": ["results"], "cat": ["results"], "out": ["results"],
        "agent": ["worker"], "node": ["worker"], "nodes": ["worker list"],
        "workers": ["worker list"], "exec": ["run"], "parallel": ["run"], "xargs": ["run"],
        "srun": ["run"], "sbatch": ["submit"], "qsub": ["submit"], "start": ["coordinator start"],
        "apply": ["map"], "starmap": ["map"], "imap": ["map"], "call": ["map"],
        "ui": ["dashboard"], "web": ["dashboard"], "bench": ["benchmark"], "info": ["status"],
        "why": ["explain"], "watch": ["top"], "auth": ["login"],
    ]

    /// The error for a flag that does not exist.
    ///
    /// - Parameter within: the whole word, where it holds several letters.
    package static func unknownFlag(
        _ flag: String, within word: String? = nil, specs: [FlagSpec], verb: String = "run"
    ) -> UsageError {
        let place = word.map { $0 == flag ? "" : " in `\($0)`" } ?? ""
        var message = "unknown flag `\(flag)`\(place)"
        if let near = nearestFlag(to: flag, specs: specs) {
            message += "; did you mean `\(near)`?"
        } else {
            message += "; see muster \(verb) --help."
        }
        if verb != "map" { message += " A command that starts with - goes behind --" }
        return UsageError(.unknownFlag, message)
    }

    /// The error for a verb that does not exist.
    ///
    /// - Parameter known: all verbs, of two words where they have two.
    package static func unknownVerb(_ verb: String, known: [String]) -> UsageError {
        var near = (verbSynonyms[verb] ?? []).filter(known.contains)
        if near.isEmpty { near = nearest(to: verb, among: known).map { [$0] } ?? [] }
        let advice =
            near.isEmpty
            ? "see muster --help"
            : "did you mean \(near.map { "`\($0)`" }.joined(separator: " or "))?"
        return UsageError(.unknownVerb, "unknown command `\(verb)`; \(advice)")
    }

    /// The flag most likely meant.
    static func nearestFlag(to flag: String, specs: [FlagSpec]) -> String? {
        let known = specs.flatMap(\.spellings)
        if let synonym = flagSynonyms[flag], known.contains(synonym) { return synonym }
        guard flag.hasPrefix("--") else { return known.first { $0 == "-" + flag } }
        return nearest(to: flag, among: known.filter { $0.hasPrefix("--") })
    }

    /// The only word that begins like `text`, else the closest one within a third of its length.
    private static func nearest(to text: String, among known: [String]) -> String? {
        guard text.utf8.count <= 64 else { return nil }
        let letters = text.drop { $0 == "-" }
        if letters.count >= 3 {
            let longer = known.filter { $0.hasPrefix(text) }
            if longer.count == 1 { return longer[0] }
        }
        let limit = max(1, letters.count / 3)
        return known.map { ($0, distance(Array(text.utf8), Array($0.utf8))) }
            .filter { $0.1 <= limit }.min { $0.1 < $1.1 }?.0
    }

    /// The number of letters to insert, remove, replace or swap with a neighbour (optimal string
    /// alignment).
    static func distance(_ first: [UInt8], _ second: [UInt8]) -> Int {
        var older: [Int] = []
        var old = Array(0...second.count)
        for (row, letter) in first.enumerated() {
            var new = [row + 1]
            for (column, other) in second.enumerated() {
                var best = min(new[column], old[column + 1]) + 1
                best = min(best, old[column] + (letter == other ? 0 : 1))
                if row > 0, column > 0, letter == second[column - 1], first[row - 1] == other {
                    best = min(best, older[column - 1] + 1)
                }
                new.append(best)
            }
            older = old
            old = new
        }
        return old[second.count]
    }
}
