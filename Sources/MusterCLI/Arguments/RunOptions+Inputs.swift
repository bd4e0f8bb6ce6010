// The flags that say where inputs come from. Parsed values go on to Inputs/InputPlan.swift.

package import ArgumentParser
package import MusterModel

package struct InputOptions: ParsableArguments {
    package init() {}

    @Option(
        name: [.customShort("n"), .customShort("N"), .customLong("max-args")],
        parsing: .unconditional,
        help: ArgumentHelp("Inputs per item (1).", valueName: "n"),
        transform: { try NumberFlag.parse($0, in: 1...100_000) })
    package var perItem = 1

    @Flag(
        name: [.customShort("0"), .customLong("null")],
        help: "Inputs end with NUL, not a line break.")
    package var null = false

    @Option(
        name: [.customShort("d"), .customLong("delimiter")], parsing: .unconditional,
        help: ArgumentHelp(
            "Inputs end with this text; \\n \\t \\0 \\xHH are known.", valueName: "text"),
        transform: { try DelimiterFlag.bytes($0) })
    package var delimiter: [UInt8]?

    @Option(
        name: [.customShort("a"), .customLong("arg-file")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Read inputs from this file, - is stdin; repeatable.", valueName: "file"),
        transform: { try PathFlag.bytes($0) })
    package var argumentFiles: [[UInt8]] = []

    @Option(
        name: [.customShort("C"), .customLong("colsep")], parsing: .unconditional,
        help: ArgumentHelp("Cut inputs into columns {1} {2} … at this.", valueName: "pattern"),
        transform: { try ColumnPattern($0) })
    package var columns: ColumnPattern?

    @Flag(help: "Inputs are CSV records, their fields {1} {2} ….")
    package var csv = false

    @Option(
        name: .customLong("header"), parsing: .unconditional,
        help: ArgumentHelp("With `:` the first record names the fields: {name}.", valueName: ":"),
        transform: { try HeaderFlag.parse($0) })
    package var header = false

    @Flag(help: "Read several sources in step; shorter ones start again.")
    package var link = false

    @Flag(help: "Run the items in random order.")
    package var shuf = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Makes what is random the same each time.", valueName: "n"),
        transform: { try NumberFlag.unsigned($0) })
    package var seed: UInt64?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Numbers as inputs: 1-1000:2%50 (step 2, 50 at a time).", valueName: "range"),
        transform: { try ArrayRange($0) })
    package var array: ArrayRange?
}

extension RunOptions {
    /// The sources in their order: `-a` files, then the groups behind the command, else standard
    /// input.
    ///
    /// - Throws: `badInputSource`.
    package func sources() throws(UsageError) -> [InputSource] {
        if input.array != nil { return [] }
        let files = input.argumentFiles.map { InputSource(InputSource.Origin(path: $0)) }
        let sources = files + (try commandLine().sources)
        return sources.isEmpty ? [InputSource(.standardInput)] : sources
    }

    /// How to read them.
    ///
    /// - Parameter randomSeed: taken for `--shuf` without `--seed`.
    package func inputSettings(randomSeed: UInt64) -> InputSettings {
        var settings = InputSettings()
        if input.null { settings.separator = [0] }
        if let delimiter = input.delimiter { settings.separator = delimiter }
        settings.columns = input.columns
        settings.csv = input.csv
        settings.header = input.header
        settings.link = input.link
        settings.perItem = input.perItem
        settings.shuffleSeed = input.shuf ? input.seed ?? randomSeed : nil
        settings.array = input.array
        return settings
    }

    /// Direct or through a shell, from the command and `--shell`, `--no-shell`.
    ///
    /// - Throws: the errors of `CommandMode.decide`, and `badInputSource`.
    package func commandMode(line: String = "muster run") throws -> CommandMode {
        try CommandMode.decide(
            words: commandLine().words, forceShell: running.shell, forceNoShell: running.noShell,
            line: line)
    }
}
