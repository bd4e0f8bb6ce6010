/// How much memory a runner holds. In: its private directory and the nursery above it. Out: its
/// process number and resident size, from /proc.

package import Glibc

package enum ProcessMemory {
    /// Resident bytes; nil where there is no such process.
    package static func resident(of pid: pid_t) -> Int? {
        guard let text = readSmallFile("/proc/\(pid)/statm", limit: 256) else { return nil }
        let words = text.split(separator: " ")
        guard words.count > 1, let pages = Int(words[1]) else { return nil }
        let (bytes, overflow) = pages.multipliedReportingOverflow(
            by: Int(sysconf(Int32(_SC_PAGESIZE))))
        return overflow ? .max : bytes
    }

    /// The child of a supervisor that was started with pipes in this directory. It cannot hide by
    /// changing its directory: its environment is looked at as it was at its start.
    static func find(in directory: String, below nursery: pid_t?) -> pid_t? {
        guard let nursery else { return nil }
        let needle = Array("MUSTER_RUNNER_REQUESTS=\(directory)/".utf8)
        for supervisor in children(of: nursery) {
            for child in children(of: supervisor) {
                guard let environment = readSmallFile("/proc/\(child)/environ", limit: 8 << 20)
                else { continue }
                let entries = environment.utf8.split(separator: 0)
                if entries.contains(where: { $0.starts(with: needle) }) { return child }
            }
        }
        return nil
    }

    private static func children(of pid: pid_t) -> [pid_t] {
        let list = readSmallFile("/proc/\(pid)/task/\(pid)/children") ?? ""
        return list.split(separator: " ").compactMap { pid_t($0) }
    }
}
