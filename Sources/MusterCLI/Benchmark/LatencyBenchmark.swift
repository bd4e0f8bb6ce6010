/// How long one item takes from wish to result: for a shell, and on a connection that is open.

import Muster
import MusterModel
import MusterWire

extension BenchmarkBench {
    func latency() async throws -> [BenchmarkFigure] {
        let submits = items ?? 200
        let shells = max(1, submits / 4)
        return try await withCluster(slots: slots) { cluster in
            let shell = BenchmarkProgram(
                program: "/bin/sh", arguments: ["-c", "/bin/true; exit 0"],
                environment: cluster.environment)
            let client = try cluster.client(["run", "/bin/true", ":::", "1"])
            let embedded = BenchmarkProgram.muster(
                ["run", "--local", "/bin/true", ":::", "1"],
                environment: scene.environment(config: "\(scene.path)/no-config"))
            var times: [[Double]] = [[], [], []]
            for _ in 0..<shells {
                for (place, program) in [shell, client, embedded].enumerated() {
                    times[place].append(try scene.time(program, limit: 30))
                }
            }
            let probes = try await submit(
                .probe(ProbeWorkload()), submits, on: cluster.connection)
            let command = CommandWorkload(words: [Bytes(Array("/bin/true".utf8))], mode: .argv)
            let commands = try await submit(.command(command), submits, on: cluster.connection)
            let byShell = Statistics.median(times[0])
            let (singly, pipelined) = try await calls(submits * 10, on: cluster)
            return figures(
                "sh -c /bin/true", times[0], nil, "process start to exit, \(shells) times")
                + figures(
                    "shell to shell, cluster", times[1], byShell,
                    "`muster run /bin/true ::: 1`, start to exit, \(shells) times by turns")
                + figures(
                    "shell to shell, embedded", times[2], byShell,
                    "`muster run --local /bin/true ::: 1`, start to exit, \(shells) times by turns")
                + figures(
                    "submit to result, nothing run", probes, nil,
                    "one connection, one job after the other, \(submits) times")
                + figures(
                    "submit to result, /bin/true", commands, nil,
                    "one connection, one job after the other, \(submits) times")
                + figures(
                    "call to value, function", singly, nil,
                    "`cluster.submit` of a warm no-op, awaited one by one, \(submits * 10) times")
                + [
                    BenchmarkFigure(
                        part: "latency", what: "calls submitted at once", figure: pipelined,
                        unit: "calls/s",
                        how: "\(submits * 250) times `cluster.submit` of a no-op, then all awaited")
                ]
        }
    }

    /// Seconds from each call of a function to its value, and calls a second when they are
    /// submitted without waiting.
    private func calls(
        _ count: Int, on bench: BenchmarkCluster
    ) async throws -> (singly: [Double], pipelined: Double) {
        let cluster = try await bench.library()
        var times: [Double] = []
        for number in 0..<(count + 100) {
            let began = ContinuousClock.now
            let value = try await cluster.submit(BenchmarkFunctions.noop, number).value
            guard value == number else { throw MusterError(.internal, "a call gave \(value)") }
            if number >= 100 { times.append((ContinuousClock.now - began).inSeconds) }
        }
        let began = ContinuousClock.now
        let handles = (0..<(count * 25)).map { cluster.submit(BenchmarkFunctions.noop, $0) }
        for (number, handle) in handles.enumerated() {
            let value = try await handle.value
            guard value == number else { throw MusterError(.internal, "a call gave \(value)") }
        }
        let rate = Double(handles.count) / (ContinuousClock.now - began).inSeconds
        await cluster.close()
        return (times, rate)
    }

    /// p50 and p95 of times in seconds; `reference`: seconds of the shell's own median.
    private func figures(
        _ what: String, _ times: [Double], _ reference: Double?, _ how: String
    ) -> [BenchmarkFigure] {
        [50.0, 95.0].compactMap { percent in
            guard let value = Statistics.percentile(percent, of: times) else { return nil }
            let compares = percent == 50 ? reference : nil
            return BenchmarkFigure(
                part: "latency", what: "\(what), p\(Int(percent))", figure: value * 1000,
                unit: "ms", ratio: compares.map { value / $0 },
                reference: compares == nil ? nil : "sh -c", how: how)
        }
    }

    /// Seconds from each submit to its result.
    private func submit(
        _ workload: Workload, _ count: Int, on connection: ClusterConnection
    ) async throws -> [Double] {
        let spec = JobSpec(
            workload: workload, input: .array(ArrayInput(first: 1, step: 1, count: 1)))
        var times: [Double] = []
        // The first ones start what later ones find running.
        for round in 0..<(count + 10) {
            let began = ContinuousClock.now
            guard
                case .submitted(let id) = try await connection.request(.submit(spec, attach: true))
            else { throw MusterError(.malformed, "the coordinator's answer is none to a submit") }
            let ended = try result(of: JobID(id), on: connection)
            if round >= 10 { times.append((ended - began).inSeconds) }
        }
        return times
    }

    /// When the job's only result was here.
    private func result(
        of job: JobID, on connection: ClusterConnection
    ) throws -> ContinuousClock.Instant {
        let mailbox = connection.mailbox(of: job)
        var came: ContinuousClock.Instant?
        while let event = mailbox.next(timeoutNanoseconds: 30_000_000_000) {
            switch event {
            case .results(let records):
                came = .now
                guard records.count == 1, records[0].outcome?.state == .succeeded else {
                    throw MusterError(.internal, "the item of job \(job) did not succeed")
                }
                connection.acknowledge(records[0].encodedBytes, of: job)
            case .ended:
                guard let came else {
                    throw MusterError(.internal, "job \(job) ended without its result")
                }
                return came
            case .lost(let error): throw error
            default: break
            }
        }
        throw MusterError(.system, "the result of job \(job) did not come within 30 s")
    }
}
