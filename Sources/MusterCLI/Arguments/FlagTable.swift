// The flags of `run` and `submit` by name, and whether a value follows. FlagScanner.swift needs
// that before ArgumentParser runs, to know where the command begins; RunOptions.swift declares the
// same flags with their help, and a test keeps the two alike.

/// One flag in all its spellings.
package struct FlagSpec: Equatable, Sendable {
    /// The long name without dashes: the one ArgumentParser is given.
    package let name: String
    /// Further long names.
    package let aliases: [String]
    /// Letters (or digits) behind a single dash.
    package let letters: [Character]
    package let takesValue: Bool

    private init(_ name: String, _ letters: [Character], _ aliases: [String], value: Bool) {
        self.name = name
        self.aliases = aliases
        self.letters = letters
        self.takesValue = value
    }

    private static func value(
        _ name: String, _ letters: [Character] = [], _ aliases: [String] = []
    ) -> FlagSpec {
        FlagSpec(name, letters, aliases, value: true)
    }

    private static func plain(
        _ name: String, _ letters: [Character] = [], _ aliases: [String] = []
    ) -> FlagSpec {
        FlagSpec(name, letters, aliases, value: false)
    }

    /// The flags of `run` and `submit`.
    package static let run: [FlagSpec] = [
        // inputs
        value("max-args", ["n", "N"]), plain("null", ["0"]), value("delimiter", ["d"]),
        value("arg-file", ["a"]), value("colsep", ["C"]), plain("csv"), value("header"),
        plain("link"), plain("shuf"), value("seed"), value("array"),
        // output
        plain("keep-order", ["k"]), plain("unordered"), plain("line-buffer", [], ["lb"]),
        plain("tag"), value("tagstring"), value("buffer"), value("max-output"), value("joblog"),
        value("results"), plain("progress"), plain("bar"), plain("eta"), plain("json"),
        plain("plain"), plain("quiet", ["q"]),
        // running
        value("jobs", ["j"]), value("max-running"), value("delay"), value("nice"),
        value("retries"), value("timeout"), value("success-codes"), value("halt"), value("env"),
        value("wd"), value("basefile", [], ["bf"]), plain("shell"), plain("no-shell"),
        plain("dry-run"),
        // warm runners
        plain("serve"), value("pool"), value("chunk"), plain("speculate"),
        // the job
        value("name"), value("priority"), plain("detach"), plain("local"), value("cluster"),
        value("resume"), value("exit-code"), plain("help", ["h"]),
    ]

    /// The flags of `map`.
    package static let map: [FlagSpec] = [
        value("jobs", ["j"]), value("pool"), value("chunk"), plain("speculate"),
        value("max-running"), value("retries"), value("timeout"), value("halt"), value("env"),
        value("basefile", [], ["bf"]),
        // output
        plain("unordered"), value("buffer"), plain("progress"), plain("bar"), plain("eta"),
        plain("json"), plain("quiet", ["q"]),
        // the job
        value("name"), value("priority"), plain("detach"), plain("local"), value("cluster"),
        value("resume"), value("exit-code"), plain("help", ["h"]),
    ]

    /// The flags of a verb whose words are scanned before they are parsed; nil for others.
    static func specs(of verb: String) -> [FlagSpec]? {
        switch verb {
        case "run", "submit": run
        case "map": map
        default: nil
        }
    }

    /// All spellings, with dashes.
    package var spellings: [String] {
        ([name] + aliases).map { "--" + $0 } + letters.map { "-" + String($0) }
    }
}
