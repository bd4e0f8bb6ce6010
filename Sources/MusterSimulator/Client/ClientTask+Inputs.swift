/// Inputs of a simulated client: sent as credit allows, kept by the real `KeptInputs` until they
/// are recorded, sent again after a cut from where the coordinator has them.

import Muster
import MusterModel
import MusterWire
import NIOCore

extension ClientTask {
    func sendKept() {
        guard let id = job.id else { return }
        while true {
            var left = credit
            let step = resumption?.nextInput { bytes in
                defer { left -= left > 0 ? bytes : 0 }
                return left > 0
            }
            guard let step else { return }
            credit = left
            send(step, id)
        }
    }

    func send(_ step: KeptInputs.Step, _ id: JobID) {
        switch step {
        case .items(let segment): life.send(.items(id, segment))
        case .end: life.send(.inputEnded(id))
        }
    }

    func feed() {
        guard plan.isStream, !isFeeding, resumption?.inputs != nil,
            resumption?.inputs?.hasEnded == false
        else { return }
        isFeeding = true
        feedOn()
    }

    func feedOn() {
        guard let id = job.id, let inputs = resumption?.inputs, !inputs.hasEnded else { return }
        guard nextItem < plan.count else {
            job.inputEnded = true
            if resumption?.endInput() == true { life.send(.inputEnded(id)) }
            // Of a cancelled job all may have been recorded before.
            return doneIfDetached()
        }
        let isHeldBack = inputs.isFull || credit <= 0 && resumption?.phase != .cut
        if !isHeldBack {
            let count = world.random.int(1...plan.inputBatch)
            let items = nextItem..<min(plan.count, nextItem + count)
            nextItem = items.upperBound
            let segment = plan.inputs(items)
            if resumption?.phase == .live { credit -= segment.bytes }
            if resumption?.add(segment) == true { life.send(.items(id, segment)) }
        }
        // Where there is no room it asks again now and then, as credit comes without a call.
        let least: Int64 = isHeldBack ? 5_000_000 : 0
        let wait = max(least, world.random.nanoseconds(0...max(1, plan.inputPause)))
        world.at(world.now + wait, on: life.loop) { [weak self] in self?.feedOn() }
    }

    func credited(_ bytes: UInt64) {
        credit = min(Limits.inputAheadBytes, credit + Int(clamping: bytes))
        sendKept()
    }

    func recorded(upTo item: Int) {
        job.check(inputRecorded: item)
        resumption?.inputs?.record(upTo: item)
        doneIfDetached()
    }

    func doneIfDetached() {
        guard plan.use == .submit, plan.readsAfter == nil, resumption?.reading == nil,
            let resumption, !resumption.feeds
        else { return }
        job.isSubmitted = true
        job.isDone = true
    }
}
