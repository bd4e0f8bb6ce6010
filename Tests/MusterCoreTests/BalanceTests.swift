// Makespans in simulated time against the best that is possible.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Balance")
struct BalanceTests {
    @Test func figures() throws {
        let ms = 1e6
        func show(
            _ name: String, _ machines: [Simulation.Machine], _ costs: [Double],
            speculates: Bool = false, chunk: Double = 10_000, lease: Int64 = 10_000,
            runs: Bool = true
        ) {
            var o = JobOptions(); o.reportsRuns = runs; o.speculates = speculates
            let s = Simulation(machines, costs: costs, options: o)
            s.chunkCost = chunk; s.leaseCost = lease
            if let f = s.run() {
                let r = (f.ratio * 1000).rounded() / 1000
                debugPrint(
                    name, r, "makespan ms", Double(f.makespan) / 1e6, "leases", f.leases, "chunks",
                    f.chunks, "msgs", f.messages, "revokes", f.revokes, "stops", f.stops, "idle ms",
                    Double(f.longestIdle) / 1e6)
            } else {
                debugPrint(name, "FAILED")
            }
        }
        let one = [Simulation.Machine(slots: 2)]
        let three = [
            Simulation.Machine(slots: 2), .init(slots: 2), .init(slots: 2, speed: 1.0 / 3),
        ]
        let four = [Simulation.Machine(slots: 4), .init(slots: 4), .init(slots: 4)]
        let ramp = (0..<2000).map { (1 + 19 * Double($0) / 1999) / 10.5 * 5 * ms }
        show("ramp one", one, ramp)
        show("ramp one cmd", one, ramp, runs: false)
        show("ramp three", three, ramp)
        show("ramp three cmd", three, ramp, runs: false)
        show("ramp short three", three, ramp.map { $0 / 10 })
        show("ramp long three", three, ramp.map { $0 * 10 })
        let fastSlow = (0..<2000).map { ($0 < 1000 ? 1 : 9) * ms }
        show("fast then slow", three, fastSlow)
        show("fast then slow cmd", three, fastSlow, runs: false)
        show("fast then slow /10", three, fastSlow.map { $0 / 10 })
        show("us then slow", three, (0..<20000).map { ($0 < 19000 ? 0.001 : 5) * ms })
        var g = SeededGenerator(seed: 7)
        let tail = (0..<2000).map { _ in (g.below(100) == 0 ? 100 : 1) * ms }
        show("tail", three, tail)
        show("tail spec", three, tail, speculates: true)
        show("tail cmd", three, tail, runs: false)
        show("tail spec cmd", three, tail, speculates: true, runs: false)
        let tail5 = (0..<2000).map { _ in (g.below(100) == 0 ? 250 : 2.5) * ms }
        show("tail5", three, tail5)
        show("tail5 spec", three, tail5, speculates: true)
        show(
            "million", four, Array(repeating: 1000, count: 1_000_000), chunk: 20_000, lease: 100_000
        )
    }
}
