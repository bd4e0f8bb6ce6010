/// The program's words: which seeds, how long, how many at once.

import Glibc

extension CommandLine {
    static func run(_ words: [String]) -> Int32 {
        var options = Options()
        do {
            try options.parse(words)
        } catch {
            Out.line("muster-simulator: \(error)", to: 2)
            return 2
        }
        if let scale = options.scale { return ScaleReport.run(scale: scale, only: options.row) }
        return Campaign(options).run()
    }
}

struct Options {
    struct Problem: Error, CustomStringConvertible {
        var description: String
    }

    var seeds = 100
    var from: UInt64 = 1
    var only: UInt64?
    var processes = 1
    var minutes: Double?
    var events: Int?
    var traces = false
    /// Ends with the first seed that breaks a promise.
    var endsWithFirst = false
    /// Seeds that run first.
    var kept = "Tests/MusterSimulatorTests/seeds.txt"
    /// Runs the scale table instead; 1 = 10,000 workers and 10⁹ items.
    var scale: Double?
    /// Of that table only this row, from 1.
    var row: Int?
    /// Of the seeds only each so many-th.
    var stride = 1
    /// Started by another simulator.
    var isChild = false

    mutating func parse(_ words: [String]) throws {
        var rest = words[...]
        while let word = rest.popFirst() {
            func number<T: LosslessStringConvertible>(_ type: T.Type) throws -> T {
                guard let next = rest.popFirst(), let value = T(next) else {
                    throw Problem(description: "\(word) needs a number")
                }
                return value
            }
            switch word {
            case "--seeds": seeds = try number(Int.self)
            case "--from": from = try number(UInt64.self)
            case "--seed": only = try number(UInt64.self)
            case "--jobs": processes = try number(Int.self)
            case "--minutes": minutes = try number(Double.self)
            case "--events": events = try number(Int.self)
            case "--scale":
                scale = rest.first.flatMap { Double($0) }
                if scale == nil { scale = 1 } else { rest.removeFirst() }
            case "--row": row = try number(Int.self)
            case "--kept":
                guard let path = rest.popFirst() else {
                    throw Problem(description: "--kept needs a file")
                }
                kept = path
            case "--stride": stride = max(1, try number(Int.self))
            case "--child": isChild = true
            case "--trace": traces = true
            case "--first": endsWithFirst = true
            default: throw Problem(description: "\(word) is none of its words")
            }
        }
    }

    /// What the child of this number is started with.
    func words(ofChild number: Int) -> [String] {
        var words = [
            "--child", "--from", "\(from + UInt64(number))", "--seeds", "\(seeds - number)",
            "--stride", "\(processes)",
        ]
        if let minutes { words += ["--minutes", "\(minutes)"] }
        if let events { words += ["--events", "\(events)"] }
        return words
    }
}
