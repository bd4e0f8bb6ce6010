/// A number that no other process has in its command line, so that what an item leaves behind can
/// be found wherever it went.

import Glibc

struct Marker {
    /// An argument of `sleep`: long, and never used twice.
    let seconds = "1000.\(UInt64.random(in: 1_000_000_000_000...9_999_999_999_999))"

    /// The `sleep` processes with it that are there now.
    var count: Int { sleepers.count }

    /// A script whose `{}` is replaced. It forks twice, leaves its session, ignores what can be
    /// ignored, and waits; each item is two sleepers.
    func escapes() -> String {
        "trap '' HUP INT TERM; (setsid sleep \(seconds) &) ; sleep \(seconds); : {}"
    }

    private var sleepers: [pid_t] {
        Shell.processes(with: seconds).filter { pid in
            File.text("/proc/\(pid)/comm").hasPrefix("sleep")
        }
    }
}
