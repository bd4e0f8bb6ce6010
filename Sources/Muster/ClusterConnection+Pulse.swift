/// Who only listens would never notice that the other end is gone without a word: a connection that
/// can come back says that it lives and is echoed; silence is a cut.

import MusterModel
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore

extension ClusterConnection {
    func startPulse(over link: any Link) {
        guard dial != nil else { return }
        let period = TimeAmount.nanoseconds(Limits.heartbeatNanoseconds)
        let task = loop.scheduleRepeatedTask(initialDelay: period, delay: period) {
            [weak self] task in
            guard let self, state.withLockedValue({ $0.link === link }) else {
                return task.cancel()
            }
            guard let beat = state.withLockedValue({ $0.pulse.beat(now: Self.now) }) else {
                task.cancel()
                return cut(
                    MusterError(.unreachable, "it was silent for longer than its lease"), on: link)
            }
            link.send(.heartbeat(beat))
        }
        state.withLockedValue { $0.pulse.begin(task, now: Self.now) }
    }

    private static var now: Instant {
        Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds))
    }
}
