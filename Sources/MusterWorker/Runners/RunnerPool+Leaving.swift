/// Runners that go: processes that were asked to exit and are waited for, and the end of them all.
/// What they say no longer counts. Comes from `RunnerPool.swift`.

import MusterModel
import NIOCore

extension RunnerPool: RunnerProcessOwner {
    /// Lets a process exit by itself, and ends it when it does not.
    func dismiss(_ process: RunnerProcess) {
        leaving[ObjectIdentifier(process)] = process
        process.owner = self
        process.hangUp()
        let me = NIOLoopBound(process, eventLoop: loop)
        loop.scheduleTask(in: .nanoseconds(Limits.killGraceNanoseconds)) {
            me.value.kill(grace: .zero)
        }
    }

    func received(_ bytes: ByteBuffer, from process: RunnerProcess) {}
    func receivedAll(from process: RunnerProcess) {}

    func ended(_ process: RunnerProcess, _ end: RunnerEnd) {
        leaving[ObjectIdentifier(process)] = nil
        process.home.remove()
        closeIfDone()
    }

    // MARK: The worker's end

    var isClosing: Bool { !whenClosed.isEmpty }

    /// Ends every runner; the future comes when nothing of them is left.
    func close() -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        whenClosed.append(promise)
        sweep?.cancel()
        sweep = nil
        for runner in Array(runners.values) {
            let process = runner.life?.process
            drop(runner)
            process?.kill(grace: .zero)
        }
        for process in leaving.values { process.kill(grace: .zero) }
        // Nobody asks for these any more.
        heldBySlot = heldBySlot.map { _ in [] }
        // A supervisor that does not answer must not hold the worker's end back.
        let me = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .seconds(2)) {
            for process in me.value.leaving.values { process.home.remove() }
            me.value.leaving = [:]
            me.value.closeIfDone()
        }
        closeIfDone()
        return promise.futureResult
    }

    private func closeIfDone() {
        guard isClosing, leaving.isEmpty else { return }
        for promise in whenClosed { promise.succeed() }
        whenClosed = []
    }
}
