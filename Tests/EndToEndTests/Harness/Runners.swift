/// The runners of a test's own workers, so that tests can kill them: found as descendants of a
/// worker that serve below this cluster's directory, never by name.

import Glibc

extension Cluster {
    /// Processes that serve functions for this worker now.
    func runners(of worker: String) -> [pid_t] {
        guard let agent = workers[worker] else { return [] }
        let mark = Array("MUSTER_RUNNER_REQUESTS=\(directory.path)/".utf8)
        return Process.descendants(of: agent.pid).filter { pid in
            let environment = (try? File.read("/proc/\(pid)/environ")) ?? []
            return environment.split(separator: 0).contains { $0.starts(with: mark) }
        }
    }

    /// Those of all workers.
    var runners: [pid_t] { workers.keys.flatMap { runners(of: $0) } }

    /// Whether the runner says that it is at an item now.
    static func isAtWork(_ runner: pid_t) -> Bool {
        let progress = (try? File.read("/proc/\(runner)/cwd/.muster-progress")) ?? []
        return progress.contains { $0 != 0 }
    }
}

enum Process {
    /// Children, their children and so on, of all threads.
    static func descendants(of pid: pid_t) -> [pid_t] {
        var found: [pid_t] = []
        var next = [pid]
        // A tree of processes is never this deep.
        for _ in 0..<16 where !next.isEmpty {
            next = next.flatMap(children)
            found += next
        }
        return found
    }

    /// Whether it is there and no mere entry for whoever waits for its end.
    static func isAlive(_ pid: pid_t) -> Bool {
        let status = File.text("/proc/\(pid)/status")
        return !status.isEmpty && !status.contains("State:\tZ")
    }

    /// The most memory that it ever had, in megabytes.
    static func peakMegabytes(_ pid: pid_t) -> Int {
        let lines = File.text("/proc/\(pid)/status").split(separator: "\n")
        let words = lines.first { $0.hasPrefix("VmHWM:") }?.split(whereSeparator: \.isWhitespace)
        return (words.flatMap { $0.count > 1 ? Int($0[1]) : nil } ?? 0) / 1024
    }

    private static func children(of pid: pid_t) -> [pid_t] {
        guard let directory = opendir("/proc/\(pid)/task") else { return [] }
        defer { closedir(directory) }
        var found: [pid_t] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let thread = pid_t(name) else { continue }
            let list = File.text("/proc/\(pid)/task/\(thread)/children")
            found += list.split(whereSeparator: \.isWhitespace).compactMap { pid_t($0) }
        }
        return found
    }
}
