// How many cores this process may really use. In: the scheduler's affinity mask and the CPU quotas
// of the process's control groups, version 1 and 2. Out: the default number of slots.
//
// A quota of 1.5 cores gives one slot: rounded up, two items would be throttled to three quarters
// of their speed each, and times measured on this worker would mean little. Never less than one.

private import CSupervisor

package struct UsableCores: Hashable, Sendable {
    /// Cores the process may be scheduled on.
    package var affinity: Int
    /// Whole cores the control groups grant; nil = no quota.
    package var quota: Int?

    package init(affinity: Int, quota: Int?) {
        self.affinity = affinity
        self.quota = quota
    }

    /// At least 1.
    package var count: Int {
        max(1, min(affinity, quota ?? affinity))
    }

    package static func ofThisProcess() -> UsableCores {
        UsableCores(affinity: Int(muster_usable_cores()), quota: quota())
    }

    /// The tightest quota from the process's own group up to the top of what is mounted.
    ///
    /// - Parameter root: a folder to take for `/`; "" = the real one.
    package static func quota(root: String = "") -> Int? {
        guard let groups = readSmallFile(root + "/proc/self/cgroup"),
            let mounts = readSmallFile(root + "/proc/self/mountinfo")
        else { return nil }
        var tightest: Int?
        for mount in mounts.split(separator: "\n").compactMap({ Mount($0) }) {
            guard let path = ownPath(in: mount, groups: groups) else { continue }
            for folder in foldersUpwards(from: path, to: mount) {
                guard let granted = granted(in: root + folder, version2: mount.version2) else {
                    continue
                }
                tightest = min(granted, tightest ?? granted)
            }
        }
        return tightest
    }

    /// A mounted hierarchy that can hold CPU quotas.
    private struct Mount {
        var version2: Bool
        /// The group that is seen at `point`.
        var group: String
        var point: String

        /// From a line of mountinfo: id, parent, device, root, mount point, options, optional
        /// fields, "-", type, source, options of the file system.
        init?(_ line: Substring) {
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 3 else {
                return nil
            }
            switch fields[dash + 1] {
            case "cgroup2": version2 = true
            case "cgroup":
                guard fields[dash + 3].split(separator: ",").contains("cpu") else { return nil }
                version2 = false
            default: return nil
            }
            group = unescaped(fields[3])
            point = unescaped(fields[4])
        }
    }

    /// The process's group in this hierarchy, from lines of "id:controllers:path".
    private static func ownPath(in mount: Mount, groups: String) -> String? {
        for line in groups.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let found =
                mount.version2
                ? fields[0] == "0" && fields[1].isEmpty
                : fields[1].split(separator: ",").contains("cpu")
            if found { return String(fields[2]) }
        }
        return nil
    }

    private static func foldersUpwards(from path: String, to mount: Mount) -> [String] {
        var below = Substring(path)
        if mount.group != "/" {
            // In a container the mount may show only a part of the hierarchy, and the path may be
            // told from above it; then what is mounted is the process's own group or one above.
            below = path.hasPrefix(mount.group) ? path.dropFirst(mount.group.count) : ""
        }
        var names = below.split(separator: "/")
        if names.contains("..") { names = [] }
        return (0...names.count).reversed().map { count in
            ([Substring(mount.point)] + names[..<count]).joined(separator: "/")
        }
    }

    private static func granted(in folder: String, version2: Bool) -> Int? {
        let numbers: [Substring]
        let text: String
        if version2 {
            text = readSmallFile(folder + "/cpu.max") ?? ""
        } else {
            let quota = readSmallFile(folder + "/cpu.cfs_quota_us") ?? ""
            text = quota + " " + (readSmallFile(folder + "/cpu.cfs_period_us") ?? "")
        }
        numbers = text.split(whereSeparator: \.isWhitespace)
        // "max" and -1 mean no quota.
        guard numbers.count == 2, let quota = Int(numbers[0]), let period = Int(numbers[1]),
            quota > 0, period > 0
        else { return nil }
        return quota / period
    }
}

/// mountinfo writes space, tab, newline and backslash as a backslash and three octal digits.
private func unescaped(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "\\"), rest.count >= 3,
            let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
        {
            bytes.append(code)
            rest = rest.dropFirst(3)
        } else {
            bytes.append(byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
