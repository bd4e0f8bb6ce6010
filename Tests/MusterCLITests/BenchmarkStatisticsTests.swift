/// The arithmetic of the benchmark and how its figures are shown.

import Testing

@testable import MusterCLI

@Suite("Benchmark statistics")
struct BenchmarkStatisticsTests {
    @Test(
        "The median is the middle value, or the mean of the two middle ones",
        arguments: [
            ([3.0], 3.0), ([9, 1, 5], 5), ([4, 1, 3, 2], 2.5), ([2, 2, 8, 100, 1], 2),
        ] as [([Double], Double)])
    func median(values: [Double], expected: Double) {
        #expect(Statistics.median(values) == expected)
    }

    @Test("Of no values there is neither median nor percentile")
    func nothing() {
        #expect(Statistics.median([]) == nil)
        #expect(Statistics.percentile(50, of: []) == nil)
    }

    @Test(
        "A percentile is a measured value that so many do not exceed",
        arguments: [(0.0, 1.0), (1, 1), (50, 50), (95, 95), (99.5, 100), (100, 100), (250, 100)])
    func percentile(percent: Double, expected: Double) {
        let values = (1...100).map(Double.init).reversed()
        #expect(Statistics.percentile(percent, of: Array(values)) == expected)
    }

    @Test("The 95th percentile of few values is the largest")
    func fewValues() {
        #expect(Statistics.percentile(95, of: [3, 1, 2]) == 3)
        #expect(Statistics.percentile(50, of: [3, 1, 2]) == 2)
    }
}

@Suite("Benchmark report")
struct BenchmarkReportTests {
    private func figure(_ value: Double, ratio: Double? = nil) -> BenchmarkFigure {
        BenchmarkFigure(
            part: "dispatch", what: "items", figure: value, unit: "items/s", ratio: ratio,
            reference: ratio == nil ? nil : "target", how: "three times")
    }

    @Test(
        "Figures have as many decimals as their size deserves",
        arguments: [
            (123_456.7, "123457"), (99.96, "100.0"), (12.34, "12.3"), (1.234, "1.23"),
            (0.0441, "0.044"), (0, "0.000"), (.infinity, "?"),
        ])
    func figureText(value: Double, expected: String) {
        #expect(figure(value).figureText == expected)
    }

    @Test("A row has its ratio and what it is a ratio to, or dashes")
    func rows() {
        let machine = BenchmarkMachine(cores: 2, processor: nil, system: "Linux", loadBefore: 0)
        var report = BenchmarkReport(machine: machine, slots: 2, repeats: 3)
        report.figures = [figure(1000, ratio: 1.905), figure(25)]
        #expect(
            report.table.plain() == """
                dispatch: items\t1000\titems/s\t1.91 x\ttarget\tthree times
                dispatch: items\t25.0\titems/s\t-\t-\tthree times

                """)
    }

    @Test("A machine whose cores others use is busy")
    func busy() {
        var machine = BenchmarkMachine(cores: 2, processor: nil, system: "Linux", loadBefore: 0.2)
        #expect(!machine.isBusy)
        machine.loadBefore = 1.5
        #expect(machine.isBusy)
        machine.loadBefore = nil
        #expect(!machine.isBusy)
    }
}
