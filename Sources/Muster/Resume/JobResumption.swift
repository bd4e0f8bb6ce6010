/// How a client comes back to one job after its connection was cut: what it had asked for, what
/// has come (`ReceivedResults.swift`), which inputs may be wanted again (`KeptInputs.swift`). A
/// pure value; `../ClusterConnection+Redial.swift` drives it, the simulator too.

package import MusterModel
package import MusterWire

package struct JobResumption: Sendable {
    /// What was asked of the job's results; of a detached job whose inputs are sent, nothing.
    package struct Reading: Hashable, Sendable {
        package var items: [ItemSpan]?
        package var results: Bool
        package var follow: Bool

        package init(items: [ItemSpan]? = nil, results: Bool, follow: Bool) {
            self.items = items
            self.results = results
            self.follow = follow
        }
    }

    package enum Phase: Hashable, Sendable {
        /// Inputs go out as they come.
        case live
        /// The connection is gone, or there is a new one and no answer yet.
        case cut
        /// The answer is there; inputs that were kept go out, as credit allows.
        case repeating
    }

    package let job: JobID
    package var reading: Reading?
    package var received: ReceivedResults
    /// nil where this client sends none.
    package var inputs: KeptInputs?
    package private(set) var phase = Phase.live

    package init(job: JobID, reading: Reading?, firstItem: Int = 0, feeds: Bool) {
        self.job = job
        self.reading = reading
        received = ReceivedResults(firstItem: firstItem)
        inputs = feeds ? KeptInputs() : nil
    }

    package mutating func cut() {
        phase = .cut
        received.cut()
    }

    /// Results have come.
    package mutating func note(_ body: (inout ReceivedResults) -> Void) { body(&received) }

    /// Whether the coordinator may still want inputs.
    package var feeds: Bool { inputs.map { !$0.areRecorded } ?? false }

    /// What to say over the new connection.
    package var request: ControlRequest {
        .attach(
            job: job.rawValue, items: reading?.items,
            firstItem: received.next, results: reading?.results ?? false,
            follow: reading?.follow ?? false,
            resume: received.resumption(feeds: feeds))
    }

    /// What the coordinator answered. Afterwards `nextInput` says what is to be sent.
    /// - Throws: where it cannot go on with what the coordinator has.
    package mutating func answered(_ summary: JobSummary) throws(MusterError) {
        phase = .repeating
        guard let inputs else { return }
        guard feeds else {
            // All that the job takes is on disk. What was not sent came after it was cancelled.
            self.inputs?.giveUp()
            return
        }
        if summary.total != nil {
            // Its inputs have ended there. What is missing was given up on.
            let isWhole = inputs.hasEnded && summary.arrived == inputs.end
            if isWhole { try self.inputs?.restartAtEnd() } else { self.inputs?.giveUp() }
            if isWhole { return }
            throw MusterError(
                .conflict,
                summary.inputCutShort
                    ? "job \(job) takes no more inputs than the \(summary.arrived) it has: its "
                        + "coordinator waited too long for more"
                    : "job \(job) takes no more inputs: it was cancelled")
        }
        try self.inputs?.restart(from: summary.arrived)
    }

    /// What to send next over this connection; nil where there is nothing, from when on inputs go
    /// out as they come, or where `take` says that there is no credit for it.
    package mutating func nextInput(_ take: (Int) -> Bool) -> KeptInputs.Step? {
        guard phase == .repeating else { return nil }
        if let segment = inputs?.upcoming(), !take(segment.bytes) { return nil }
        guard let step = inputs?.next() else {
            phase = .live
            return nil
        }
        return step
    }

    /// A new input. Returns whether it is to be sent at once.
    package mutating func add(_ segment: Segment) -> Bool {
        inputs?.add(segment)
        guard phase == .live else { return false }
        _ = inputs?.next()
        return true
    }

    /// The inputs have ended. Returns whether that is to be said at once.
    package mutating func endInput() -> Bool {
        inputs?.finish()
        guard phase == .live else { return false }
        _ = inputs?.next()
        return true
    }
}

extension KeptInputs {
    /// All has arrived, the end too: nothing is to be sent again.
    fileprivate mutating func restartAtEnd() throws(MusterError) {
        try restart(from: end)
        _ = next()
    }
}
