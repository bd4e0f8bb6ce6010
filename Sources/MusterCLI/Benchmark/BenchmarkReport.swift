/// What a benchmark found: figures come in from the parts, a table or a JSON value goes out.

import Muster

/// One measured thing.
struct BenchmarkFigure: Hashable, Sendable, Encodable {
    /// The part of the benchmark it belongs to.
    var part: String
    var what: String
    var figure: Double
    var unit: String
    /// The figure as a multiple of the reference's; nil where there is none.
    var ratio: Double?
    /// What `ratio` compares with; nil where there is none.
    var reference: String?
    var how: String

    /// Large figures without decimals, small ones with as many as they deserve.
    var figureText: String {
        let size = figure.magnitude
        let decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
        return NumberText.fixed(figure, decimals: decimals)
    }

    var ratioText: String {
        ratio.map { NumberText.fixed($0, decimals: $0 >= 10 ? 1 : 2) + " x" } ?? "-"
    }
}

/// What it was measured on.
struct BenchmarkMachine: Hashable, Sendable, Encodable {
    var cores: Int
    /// nil where the system does not say.
    var processor: String?
    var system: String
    /// Processes that wanted to run in the minute before, on average; nil where unknown.
    var loadBefore: Double?

    /// Others used a fair part of the cores, so that the figures are too low.
    var isBusy: Bool { (loadBefore ?? 0) > 0.3 * Double(max(1, cores)) }
}

struct BenchmarkReport: Sendable, Encodable {
    var machine: BenchmarkMachine
    var slots: Int
    var repeats: Int
    var figures: [BenchmarkFigure] = []
    /// What could not be measured, and why.
    var problems: [String] = []

    var table: TextTable {
        var table = TextTable([
            .init("WHAT"), .init("FIGURE", .right), .init("UNIT"), .init("RATIO", .right),
            .init("TO"), .init("HOW"),
        ])
        for figure in figures {
            table.add([
                "\(figure.part): \(figure.what)", figure.figureText, figure.unit,
                figure.ratioText, figure.reference ?? "-", figure.how,
            ])
        }
        return table
    }
}
