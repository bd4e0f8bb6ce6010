/// A coordinator that starts on a state directory takes up what the one before it has committed:
/// jobs with their inputs, results and ends. What was leased is not on disk: workers that come
/// back claim it.

import MusterCore
import MusterModel
import MusterStore
import MusterWire
import NIOCore

extension Coordinator {
    /// Called once, before anybody is welcomed.
    /// - Throws: `MusterError.system` that says what is damaged, and where.
    package func recover() throws {
        let state: RecoveredState
        do {
            state = try recorder.store.recover()
        } catch let error as StoreError {
            throw MusterError(.system, error.words)
        }
        lastJob = state.lastJob
        for (number, name) in state.workers {
            workerNames[number] = name
            workerNumbers[name] = number
        }
        try turn { coordinator in
            for stored in state.jobs { try coordinator.restore(stored) }
            let until = coordinator.now.advanced(byNanoseconds: Limits.workerReturnNanoseconds)
            try coordinator.run(.expect(state.present, until: until))
        }
    }

    private func restore(_ stored: RecoveredJob) throws {
        let spec = try StoredJSON.value(JobSpec.self, from: stored.job.spec)
        let id = stored.job.id
        let job = JobRecord(
            id: id, spec: spec, user: stored.job.user, submitted: stored.job.submitted,
            store: recorder.store)
        job.events = stored.events
        for (item, json) in stored.notes {
            job.notes[item] = try? StoredJSON.value(ItemNote.self, from: json)
        }
        if let key = stored.job.key {
            job.key = try SubmitKey(user: job.user, key: key)
            if let key = job.key { keys[key] = id }
        }
        var items = RestoredItems(firstAttempt: firstAttempt)
        switch spec.input {
        case .array(let array):
            items.arrived = array.count
            items.inputEnded = true
        case .stream:
            items.arrived = stored.arrived
            items.inputEnded = stored.inputEnded
            items.inputBytes = stored.inputBytes
        }
        items.stopped = stored.stopped
        items.cancelled = stored.cancelled
        items.outcomes = stored.outcomes
        let final = ItemSet(stored.outcomes.values.flatMap { $0 })
        job.inputs.restore(stored.inputs, arrived: stored.arrived, bytes: stored.inputBytes)
        job.digests.restore(stored.digests)
        job.results.restore(stored.results, final: final)
        if job.consumes { items.bufferedBytes = job.results.keptBytes }
        if job.recordsFirst { job.retried = ItemSet(stored.retried) }
        job.recordedInputs = stored.arrived
        job.gatheredInputs = stored.arrived
        job.inputCutShort = stored.inputCutShort
        if items.inputEnded { job.inputEnd = .recorded }
        job.ended = stored.ended
        job.endedAt = stored.ended.map { endedAt($0) }
        job.isEndRecorded = stored.ended != nil
        jobs[id] = job
        recorder.touch(id)
        try run(.restore(id, spec.options, items))
        if !items.inputEnded { sourceGone(id, forGood: false) }
    }

    /// Numbers of an earlier epoch are not given again.
    private var firstAttempt: UInt32 {
        let perEpoch = Limits.attemptsPerEpoch
        let before = min(recorder.store.epoch - 1, UInt64(UInt32.max / perEpoch) - 1)
        return UInt32(before) * perEpoch + 1
    }

    /// When retention began, by the monotonic clock: as long ago as the wall clock says, if that
    /// can be believed.
    private func endedAt(_ wall: Double) -> Instant {
        let ago = min(max(0, configuration.wallClock() - wall), 1e9)
        return now.advanced(byNanoseconds: -Int64(ago * 1e9))
    }
}
