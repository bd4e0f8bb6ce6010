/// What reading verbs are told.

import Glibc
import MusterCore
import MusterModel
import MusterStore
import MusterTransport
import MusterWire
import NIOCore

extension Coordinator {
    func jobSummaries() -> [JobSummary] {
        jobs.keys.sorted().compactMap { id in
            guard let job = jobs[id], let view = scheduler.view(of: id) else { return nil }
            return job.summary(view)
        }
    }

    func detail(of job: JobRecord) -> JobDetail {
        let view = scheduler.view(of: job.id)
        let names = scheduler.workers(on: job.id).compactMap { workerNames[$0] }
        let summary = view.map { job.summary($0) } ?? jobSummaries()[0]
        return JobDetail(
            summary: summary, retries: job.spec.options.retries,
            timeoutSeconds: job.spec.options.timeoutNanoseconds.map { Double($0) / 1e9 },
            items: job.notes.sorted { $0.key < $1.key }.map(\.value), events: job.events,
            workers: names)
    }

    func workerSummaries() -> [WorkerSummary] {
        let now = now
        return workers.values.sorted { $0.name < $1.name }.compactMap { session in
            guard let view = scheduler.view(of: session.id) else { return nil }
            return WorkerSummary(
                name: session.name, address: session.link.peer.address,
                state: view.draining ? (view.held == 0 ? "drained" : "draining") : "ready",
                slots: view.slots, items: view.held, joined: session.joined,
                silentSeconds: Double(now.nanoseconds(since: view.lastSeen)) / 1e9,
                finishedItems: session.finishedItems, version: session.version,
                containment: session.hello.containment, platform: session.hello.platform)
        }
    }

    func status() -> ClusterStatus {
        let isDurable = recorder.store.isDurable
        return ClusterStatus(
            cluster: configuration.cluster, coordinator: configuration.name,
            version: Version.program, pid: getpid(),
            upSeconds: Double(now.nanoseconds(since: started)) / 1e9,
            stateDirectory: configuration.stateDirectory, workers: workerSummaries(),
            jobs: jobSummaries(), residentBytes: residentBytes(),
            tokens: ((try? administrator?.tokens()) ?? []).filter { $0.state == "live" }.count,
            enrolAddress: administrator?.enrolAddress,
            diskBytes: isDurable ? Int(clamping: recorder.store.diskBytes) : nil,
            diskFreeBytes: isDurable ? freeBytes() : nil)
    }

    /// Room on the disk of the state directory; nil where the system does not say.
    private func freeBytes() -> Int? {
        var disk = statvfs()
        guard statvfs(configuration.stateDirectory, &disk) == 0 else { return nil }
        return Int(clamping: UInt64(disk.f_bavail) &* UInt64(disk.f_frsize))
    }

    /// Memory of this process as the system counts it, bytes.
    private func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let text = String(
            decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let fields = text.split(separator: " ")
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Why the job, or one item of it, is where it is; a sentence a line, the answer last.
    func explain(_ job: JobRecord, item: Int?) -> [String] {
        guard let view = scheduler.view(of: job.id) else { return ["job \(job.id) is gone"] }
        if let item { return explain(item, of: job) }
        var lines: [String] = []
        if job.ended != nil {
            let c = view.counts
            return [
                "job \(job.id) is over: \(c.succeeded) succeeded, \(c.failed) failed, "
                    + "\(c.timedOut) timed out, \(c.cancelled) cancelled, \(c.aborted) aborted"
            ]
        }
        lines.append("\(view.running) items run, \(view.held - view.running) are queued at workers")
        if workers.isEmpty {
            lines.append("it waits for workers: none has joined; `muster join` adds one")
        } else if let why = waitsForPlatform(job) {
            lines.append(why)
        } else if view.suitableWorkers == 0 {
            let which = job.spec.options.platform.map { " of \($0)" } ?? ""
            lines.append("it waits: every worker\(which) is draining; `muster worker resume NAME`")
        } else if view.isFull {
            lines.append(
                "it waits for item \(view.head + 1): finished results fill the buffer "
                    + "(--buffer) until that one is done or read")
        } else if view.waiting == 0 && view.held == 0 && !view.inputEnded {
            lines.append("it waits for inputs")
        } else if let most = job.spec.options.maxRunning, view.held >= most {
            lines.append("its own limit of \(most) items at a time is reached")
        } else if view.waiting > 0 {
            lines.append(
                "\(view.waiting) items wait for one of \(view.suitableSlots) slots to become free")
        }
        return lines
    }

    /// Why no worker that has joined can run the job; nil where one can, or none has joined.
    func waitsForPlatform(_ job: JobRecord) -> String? {
        guard let platform = job.spec.options.platform, !workers.isEmpty else { return nil }
        let there = Set(workers.values.map(\.hello.platform)).sorted()
        guard !there.contains(platform) else { return nil }
        return "it waits for a worker that runs programs for \(platform): those that have joined "
            + "run \(there.joined(separator: ", ")); build the program for one of these, or join "
            + "another worker"
    }

    private func explain(_ item: Int, of job: JobRecord) -> [String] {
        guard let view = scheduler.view(of: item, in: job.id) else {
            // `item` may be any number that a peer thought of.
            return ["job \(job.id) has no item \(item < .max ? item + 1 : item) (yet)"]
        }
        var lines: [String] = []
        if view.lostAttempts > 0 { lines.append("\(view.lostAttempts) attempts were lost") }
        if view.failedAttempts > 0 { lines.append("\(view.failedAttempts) attempts failed") }
        let name = view.worker.flatMap { workerNames[$0] } ?? "?"
        if let note = job.notes[item] {
            lines.append("it \(note.state): \(note.cause), attempt \(note.attempt)")
        } else if view.state == .running && view.isQueued {
            lines.append("it is queued on \(name) as attempt \(view.attempt)")
        } else if view.state == .running {
            lines.append("it runs on \(name) as attempt \(view.attempt)")
            if let second = view.second.flatMap({ workerNames[$0] }) {
                lines.append("it takes unusually long: a second attempt runs on \(second)")
            }
        } else if view.state == .waiting {
            lines += explain(job, item: nil)
        } else {
            lines.append("it \(view.state.word), attempt \(view.attempt)")
        }
        return lines
    }
}
