/// Items of a simulated worker: each takes its time, succeeds, fails, hangs or takes its
/// supervisor with it, as its job's plan has it.

import MusterCore
import MusterModel
import MusterWire
import NIOCore

extension WorkerLife {
    func beginNext(_ place: Int) {
        guard place < slots.count, slots[place].running == nil, mayBegin else { return }
        while let first = slots[place].chunks.first, first.left.isEmpty {
            slots[place].chunks.removeFirst()
        }
        guard let part = slots[place].chunks.first, let run = part.left.ranges.first else { return }
        let chunk = part.chunk
        guard let spec = jobs[chunk.job], let plan = cluster.plan(of: spec) else {
            return world.fail("\(name) begins items of job \(chunk.job), which it does not know")
        }
        var items = run.lowerBound..<(run.lowerBound + 1)
        if plan.isFunction {
            items = run.prefix(world.random.chance(0.2) ? world.random.int(1...16) : 1 << 20)
        }
        slots[place].chunks[0].left.remove(contentsOf: items)
        checkInputs(items, of: chunk.job, plan)
        let executions = items.map {
            cluster.executions.begin(chunk.job, plan.key, $0, chunk.attempt, on: number)
        }
        var running = SimulatedSlot.Running(
            chunk: chunk, items: items, executions: executions, began: world.now)
        if !plan.isFunction, world.random.chance(plan.partsChance) {
            running.pieces = world.random.int(2...4)
        }
        slots[place].token += 1
        slots[place].running = running
        var time = Double(plan.itemNanoseconds) * worker.knobs.slowness * Double(items.count)
        time *= 0.3 + 1.4 * world.random.unit()
        if world.random.chance(plan.longChance) { time *= Double(world.random.int(5...50)) }
        var isTimeout = false
        if let most = spec.options.timeoutNanoseconds, time > Double(most) * Double(items.count) {
            time = Double(most) * Double(items.count)
            isTimeout = true
        }
        planEnd(place, after: Int64(min(time, 60e9)), plan, isTimeout: isTimeout)
    }

    private func planEnd(_ place: Int, after time: Int64, _ plan: JobPlan, isTimeout: Bool) {
        let token = slots[place].token
        let pieces = slots[place].running?.pieces ?? 1
        for piece in 0..<(pieces - 1) {
            world.at(world.now + time * Int64(piece + 1) / Int64(pieces), on: loop) { [weak self] in
                guard let self, place < slots.count, slots[place].token == token else { return }
                sendPiece(place, plan)
            }
        }
        world.at(world.now + max(1, time), on: loop) { [weak self] in
            guard let self, place < slots.count, slots[place].token == token else { return }
            let state: ItemState =
                if isTimeout {
                    .timedOut
                } else if world.random.chance(plan.crashChance) {
                    .aborted
                } else if world.random.chance(plan.failChance) {
                    .failed
                } else {
                    .succeeded
                }
            end(place, state, plan)
            finishTurn()
        }
    }

    private func checkInputs(_ items: Range<Int>, of job: JobID, _ plan: JobPlan) {
        guard plan.isStream else { return }
        for item in items {
            let bytes = inputs[job]?[item].map { Array($0.readableBytesView) }
            if bytes != plan.input(of: item) {
                world.fail(
                    "\(name) has \(bytes == nil ? "no" : "a wrong") input of item \(item) of "
                        + "job \(job)")
            }
        }
    }

    /// What runs in the slot has ended.
    func end(_ place: Int, _ state: ItemState, _ plan: JobPlan) {
        guard let running = slots[place].running else { return }
        slots[place].running = nil
        slots[place].token += 1
        let wall = UInt64(max(0, world.now - running.began))
        if plan.isFunction {
            report(running, failing: state, plan, wall)
        } else {
            let execution = running.executions[0]
            let final = running.stopped.isEmpty ? state : .cancelled
            // One that was killed has sent fewer pieces than it would have.
            cluster.executions.end(execution, final, pieces: running.sentPieces + 1)
            report(
                record(
                    running, item: running.items.lowerBound, execution, final, plan,
                    piece: running.sentPieces, wall))
        }
        step(
            .ended(
                slot: place, chunk: running.chunk.serial, running.items, wallNanoseconds: wall))
        beginNext(place)
    }

    /// Values in runs; what failed or was stopped as records between them.
    private func report(
        _ running: SimulatedSlot.Running, failing state: ItemState, _ plan: JobPlan, _ wall: UInt64
    ) {
        // One of them may be what went wrong.
        let bad = state == .succeeded ? nil : world.random.int(0...(running.items.count - 1))
        var good: Range<Int>?
        func flush() {
            guard let items = good else { return }
            good = nil
            report(values: running, items, plan, wall)
        }
        for (place, item) in running.items.enumerated() {
            let isStopped = running.stopped.contains(item)
            let own: ItemState = isStopped ? .cancelled : place == bad ? state : .succeeded
            cluster.executions.end(running.executions[place], own)
            if own == .succeeded {
                good = (good?.lowerBound ?? item)..<(item + 1)
            } else {
                flush()
                report(
                    record(
                        running, item: item, running.executions[place], own, plan, piece: 0,
                        wall / UInt64(running.items.count)))
            }
        }
        flush()
    }

    private func record(
        _ running: SimulatedSlot.Running, item: Int, _ execution: Int, _ state: ItemState?,
        _ plan: JobPlan, piece: Int, _ wall: UInt64
    ) -> ResultRecord {
        let ending: Ending =
            switch state {
            case .timedOut: .timedOut
            case .cancelled: .cancelled
            case .aborted: .supervisorLost
            case .failed: plan.isFunction ? .threw : .exited(1)
            default: .exited(0)
            }
        var output = ByteBuffer()
        OutputMark(
            execution: execution, item: item, attempt: running.chunk.attempt, piece: piece
        ).write(into: &output, filler: plan.outputBytes)
        return ResultRecord(
            job: running.chunk.job, item: item, attempt: running.chunk.attempt,
            outcome: state.map { Outcome(state: $0, ending: ending, wallNanoseconds: wall) },
            worker: welcome?.worker ?? WorkerID(0), stdout: output)
    }

    private func sendPiece(_ place: Int, _ plan: JobPlan) {
        guard let running = slots[place].running, link != nil, mayBegin else {
            // Kept for the end, as output that nobody asked for.
            slots[place].running?.pieces -= 1
            return
        }
        begun.insert(
            AttemptID(
                job: running.chunk.job, item: running.items.lowerBound,
                attempt: running.chunk.attempt))
        report(
            record(
                running, item: running.items.lowerBound, running.executions[0], nil, plan,
                piece: running.sentPieces, 0))
        slots[place].running?.sentPieces += 1
        finishTurn()
    }

    // MARK: Taking back

    func trim(_ place: Int, _ serial: UInt64, from: Int) {
        guard world.random.chance(worker.knobs.slowTrimChance) else {
            return giveBack(place, serial, from: from)
        }
        let wait = world.random.nanoseconds(0...20_000_000)
        world.at(world.now + wait, on: loop) { [weak self] in
            guard let self, place < slots.count else { return }
            giveBack(place, serial, from: from)
            finishTurn()
        }
    }

    private func giveBack(_ place: Int, _ serial: UInt64, from: Int) {
        var back = ItemSet()
        for index in slots[place].chunks.indices
        where slots[place].chunks[index].chunk.serial == serial {
            let chunk = slots[place].chunks[index].chunk
            if from < chunk.items.upperBound {
                back = slots[place].chunks[index].left.intersection(
                    ItemSet(max(from, chunk.items.lowerBound)..<chunk.items.upperBound))
                slots[place].chunks[index].left.subtract(back)
            }
        }
        step(.returned(slot: place, chunk: serial, Array(back.ranges)))
    }

    func kill(_ place: Int, _ job: JobID, _ ranges: [Range<Int>], grace: Int64) {
        guard let running = slots[place].running, running.chunk.job == job else { return }
        let scope = ItemSet(running.items).intersection(ItemSet(ranges))
        guard !scope.isEmpty else { return }
        slots[place].running?.stopped.formUnion(scope)
        let token = slots[place].token
        let wait = world.random.nanoseconds(0...max(1_000_000, grace))
        world.at(world.now + wait, on: loop) { [weak self] in
            guard let self, place < slots.count, slots[place].token == token,
                let plan = jobs[job].flatMap({ cluster.plan(of: $0) })
            else { return }
            end(place, .succeeded, plan)
            finishTurn()
        }
    }
}
