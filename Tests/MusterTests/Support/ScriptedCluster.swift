// A coordinator for tests of clients that come back: keeps one job across connections, cuts the
// connection at the message it is told, and perhaps forgets then what was not on its disk.

import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore

@testable import Muster

/// Everything but `init` and the snapshots happens on the loop.
final class ScriptedCluster: LinkDelegate, @unchecked Sendable {
    struct Script {
        var ordered = true
        /// Messages, of both directions, after which the connection is cut; then again after as
        /// many, if `repeats`.
        var cutAfter = Int.max
        var repeats = false
        /// What was not recorded is gone after a cut.
        var crashes = false
        /// Pieces of each item's result.
        var pieces: (Int) -> Int = { $0 % 4 == 2 ? 3 : 1 }
    }

    struct Job {
        var inputs: [Int: ByteBuffer] = [:]
        var arrived = 0
        var recorded = 0
        var hasEnded = false
        var endIsRecorded = false
        var isRead = false
        /// What comes next to its reader.
        var order: [Int] = []
        var sentPieces = 0
        var has = Set<Int>()
        var saidEnd = false
    }

    private let loop: any EventLoop
    private let script: Script
    private var link: MemoryLink?
    private var count = 0
    private var isCut = false
    private var job: Job?
    private var keys: [String: UInt64] = [:]
    private let cuts = NIOLockedValueBox(0)
    private let seen = NIOLockedValueBox(Job())
    private let made = NIOLockedValueBox(0)
    private let faults = NIOLockedValueBox<[String]>([])
    /// Dialing is refused with this; nil = answered.
    let refusal = NIOLockedValueBox<MusterError?>(nil)
    let cluster = NIOLockedValueBox("c1")

    init(_ script: Script, _ loop: any EventLoop) {
        self.script = script
        self.loop = loop
    }

    var cutCount: Int { cuts.withLockedValue { $0 } }
    var jobsMade: Int { made.withLockedValue { $0 } }
    var snapshot: Job { seen.withLockedValue { $0 } }
    var breaches: [String] { faults.withLockedValue { $0 } }

    func connect() async throws -> ClusterConnection {
        let (link, welcome) = try await dial()
        return ClusterConnection(link: link, welcome: welcome, loop: loop) { [self] in
            try await dial()
        }
    }

    private func dial() async throws -> (any Link, Welcome) {
        if let error = refusal.withLockedValue({ $0 }) { throw error }
        let (ours, theirs) = MemoryLink.pair(
            LinkPeer(role: .client, name: "ada", address: "memory"),
            seesAs: LinkPeer(role: .coordinator, name: "here", address: "there:7077"))
        try await loop.submit { [self] in
            link = theirs
            theirs.start(delegate: self, on: loop)
        }.get()
        let name = cluster.withLockedValue { $0 }
        return (ours, Welcome(cluster: name, name: "ada", epoch: 1, records: true))
    }

    /// Cuts now, whatever the script says.
    func cutNow() { loop.execute { [self] in cut() } }

    private func cut() {
        guard let link else { return }
        cuts.withLockedValue { $0 += 1 }
        self.link = nil
        link.close()
        guard var job else { return }
        job.isRead = false
        job.saidEnd = false
        job.sentPieces = 0
        if script.crashes {
            job.arrived = job.recorded
            job.inputs = job.inputs.filter { $0.key < job.recorded }
            job.hasEnded = job.endIsRecorded
        }
        self.job = job
    }

    /// Whether the message goes through.
    private func counts() -> Bool {
        guard link != nil else { return false }
        count += 1
        let isDue =
            script.repeats
            ? count.isMultiple(of: script.cutAfter) : count == script.cutAfter
        if isDue { cut() }
        return !isDue
    }

    private func say(_ message: Message) {
        guard counts() else { return }
        link?.send(message)
    }

    private func breach(_ text: String) { faults.withLockedValue { $0.append(text) } }

    // MARK: From the client

    func received(_ messages: [Message], on from: any Link) {
        for message in messages {
            guard from === link, counts() else { return }
            handle(message)
            if let job { seen.withLockedValue { $0 = job } }
        }
    }

    private func handle(_ message: Message) {
        switch message {
        case .request(let id, .submit(_, let attach, let key)):
            guard let key else { return breach("a submit without a key") }
            if keys[key] == nil {
                keys[key] = 1
                made.withLockedValue { $0 += 1 }
                job = Job()
            }
            job?.isRead = attach
            say(.response(id, .submitted(job: 1)))
        case .request(let id, .attach(_, _, let first, let results, _, let resume)):
            takeUp(first, results, resume)
            say(.response(id, .attached(summary)))
            // The client may not have heard it.
            if resume?.feeds == true, let now = job {
                let upTo = now.endIsRecorded ? Limits.itemsPerJob : now.recorded
                say(.inputRecorded(JobID(1), upTo: upTo))
            }
        case .request(let id, .job): say(.response(id, .job(detail)))
        case .request(let id, _): say(.response(id, .done(count: 1)))
        case .items(_, let segment): take(segment)
        case .inputEnded:
            if job?.hasEnded == true { breach("the input ended twice") }
            job?.hasEnded = true
            record(all: true)
        case .resultsCredit: break
        default: breach("\(message)")
        }
        pump()
    }

    private func takeUp(_ first: Int, _ results: Bool, _ resume: Resumption?) {
        guard var now = job else { return }
        let resume = resume ?? Resumption(feeds: false)
        now.isRead = results
        if script.ordered {
            now.has = Set(0..<first)
        } else {
            now.has = Set(resume.has.compactMap(\.range).flatMap { Array($0) })
        }
        now.order = now.inputs.keys.filter { !now.has.contains($0) }.sorted()
        if !script.ordered {
            now.order = Self.shuffled(now.order)
            if resume.pieces > 0 { now.order = [first] + now.order.filter { $0 != first } }
        }
        now.sentPieces = resume.pieces
        job = now
    }

    private func take(_ segment: Segment) {
        guard var now = job else { return breach("inputs for no job") }
        if segment.first != now.arrived { breach("\(segment.first) came after \(now.arrived)") }
        if now.hasEnded { breach("inputs behind their end") }
        var new: [Int] = []
        for item in segment.range {
            now.inputs[item] = segment.item(item)
            if !now.has.contains(item) { new.append(item) }
        }
        now.order += script.ordered ? new : Self.shuffled(new)
        now.arrived = segment.range.upperBound
        job = now
        say(.inputCredit(JobID(1), bytes: UInt64(segment.bytes)))
        record(all: false)
    }

    /// One segment late, so that a crash loses something.
    private func record(all: Bool) {
        guard let now = job else { return }
        let upTo = all ? now.arrived : max(now.recorded, now.arrived - 3)
        guard upTo > now.recorded || all else { return }
        job?.recorded = upTo
        job?.endIsRecorded = all
        say(.inputRecorded(JobID(1), upTo: all ? Limits.itemsPerJob : upTo))
    }

    // MARK: To the client

    private func pump() {
        while var now = job, now.isRead, link != nil, let item = now.order.first {
            // What a crash takes back is not shown, as a coordinator does with pieces.
            if script.crashes && item >= now.recorded { return }
            let pieces = script.pieces(item)
            let isLast = now.sentPieces == pieces - 1
            if isLast { now.order.removeFirst() }
            let piece = now.sentPieces
            now.sentPieces = isLast ? 0 : piece + 1
            job = now
            say(.results([Self.record(item, piece, isLast: isLast)]))
        }
        guard let now = job, now.isRead, link != nil, now.hasEnded, now.order.isEmpty,
            !now.saidEnd
        else { return }
        job?.saidEnd = true
        say(.jobEnded(summary))
    }

    static func text(_ item: Int, _ piece: Int) -> String { "\(item).\(piece) " }

    private static func record(_ item: Int, _ piece: Int, isLast: Bool) -> ResultRecord {
        ResultRecord(
            job: JobID(1), item: item, attempt: 1,
            outcome: isLast ? Outcome(state: .succeeded, ending: .exited(0)) : nil,
            stdout: ByteBuffer(string: text(item, piece)))
    }

    /// Always the same for the same items.
    private static func shuffled(_ items: [Int]) -> [Int] {
        items.sorted {
            ($0 &* 7) % 13 < ($1 &* 7) % 13 || ($0 &* 7) % 13 == ($1 &* 7) % 13 && $0 < $1
        }
    }

    var summary: JobSummary {
        let now = job ?? Job()
        return JobSummary(
            id: 1, name: nil, user: "ada", command: "c", state: "running",
            total: now.hasEnded ? now.arrived : nil, arrived: now.arrived, waiting: 0, running: 0,
            succeeded: now.arrived, failed: 0, timedOut: 0, cancelled: 0, aborted: 0,
            lostAttempts: 0, refusedResults: 0, submitted: 0, ended: nil, waitsForItem: nil,
            bufferIsFull: false, inputCutShort: false, keepsResults: false)
    }

    private var detail: JobDetail {
        JobDetail(
            summary: summary, retries: 0, timeoutSeconds: nil, items: [], events: [], workers: [])
    }

    func closed(_ error: MusterError?, on _: any Link) {}
    func writable(on _: any Link) {}
}
