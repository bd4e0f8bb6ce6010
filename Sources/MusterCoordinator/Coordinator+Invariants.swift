/// What must be true between any two turns: the scheduler's own promises, and those of its driver.
/// The simulator looks at them; each sentence names a broken promise.

import MusterCore
import MusterModel

extension Coordinator {
    package func violations() -> [String] {
        scheduler.violations()
    }

    /// As if the process had ended: sessions and coordinator hold each other no longer.
    package func abandon() {
        jobs = [:]
        workers = [:]
        clients = [:]
    }
}
