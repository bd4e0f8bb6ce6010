// The flags of warm runners, which `run --serve` and `map` share, and of files that travel. Parsed
// values go on to Run/RunLauncher.swift.

import Muster

package import ArgumentParser
package import MusterModel

package struct RunnerOptions: ParsableArguments {
    package init() {}

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "One process for each slot, or one with a thread for each: process (default), thread.",
            valueName: "kind"),
        transform: { try PoolFlag.parse($0) })
    package var pool: FunctionWorkload.Pool?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Items that a slot takes at once: auto or a number.", valueName: "n"),
        transform: { try ChunkFlag($0) })
    package var chunk = ChunkFlag(items: nil)

    @Flag(help: "Try items that take far longer than others a second time; the first result wins.")
    package var speculate = false
}

package enum PoolFlag {
    /// - Throws: `badValue`.
    package static func parse(_ text: String) throws(UsageError) -> FunctionWorkload.Pool {
        guard let pool = FunctionWorkload.Pool(rawValue: text) else {
            throw UsageError(.badValue, "is process or thread, not `\(text)`")
        }
        return pool
    }
}

/// `--chunk`, where nil stands for auto.
package struct ChunkFlag: Equatable, Sendable {
    package let items: Int?

    package init(items: Int?) { self.items = items }

    /// - Throws: `badValue`.
    package init(_ text: String) throws(UsageError) {
        if text == "auto" {
            items = nil
            return
        }
        items = try NumberFlag.parse(text, in: 1...Limits.chunkItems)
    }
}

/// A file to take along: where it lies here, and its name below an item's directory. As with GNU
/// parallel, a `/./` in the path marks where the name begins.
package struct BaseFileFlag: Equatable, Sendable {
    package let path: String
    package let name: String

    /// - Throws: `badValue` for a name that would lead out of an item's directory.
    package init(_ text: String) throws(UsageError) {
        guard let path = String(validating: RawArguments.bytes(of: text), as: UTF8.self),
            !path.isEmpty
        else { throw UsageError(.badValue, "names a file, by a path that is UTF-8") }
        var name = Substring(path)
        if let mark = path.firstRange(of: "/./") {
            name = path[mark.upperBound...]
        } else {
            while name.hasPrefix("./") { name = name.dropFirst(2) }
        }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }),
            !name.utf8.contains(0)
        else {
            let shown = Escaping.visible(path)
            let last = parts.last { !$0.isEmpty && $0 != "." && $0 != ".." } ?? "FILE"
            throw UsageError(
                .badValue,
                "`\(shown)` is no relative path without `..`, as files are placed below each "
                    + "item's directory; go to where it lies, or mark where its name begins: "
                    + "DIR/./\(Escaping.visible(String(last)))")
        }
        self.path = path
        self.name = String(name)
    }
}
