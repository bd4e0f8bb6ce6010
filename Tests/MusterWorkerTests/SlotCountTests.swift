// How many slots a machine has: cores, affinity and control-group quotas.

import FoundationEssentials
import Glibc
import MusterWorker
import Testing

@Suite("The number of slots")
struct SlotCountTests {
    /// Writes the files below a folder that stands for `/` and asks for the quota.
    private func quota(_ files: [String: String]) throws -> Int? {
        let root = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: root) }
        for (name, text) in files {
            let folder = root + "/" + name.split(separator: "/").dropLast().joined(separator: "/")
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            try text.write(toFile: root + "/" + name, atomically: true, encoding: .utf8)
        }
        return UsableCores.quota(root: root)
    }

    private let mount2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
    private let mount1 = """
        33 32 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
        34 32 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct

        """

    @Test("Version 2: the tightest quota on the way up counts, rounded down")
    func version2() throws {
        let quota = try quota([
            "proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mount2,
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/cpu.max": "350000 100000\n",
            "sys/fs/cgroup/cpu.max": "800000 100000\n",
        ])
        #expect(quota == 3)
        #expect(UsableCores(affinity: 8, quota: quota).count == 3)
        #expect(UsableCores(affinity: 2, quota: quota).count == 2)
    }

    @Test("Less than one core is one slot, one and a half too")
    func small() throws {
        for (text, granted) in [("50000 100000", 0), ("150000 100000", 1)] {
            let quota = try quota([
                "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mount2,
                "sys/fs/cgroup/cpu.max": text,
            ])
            #expect(quota == granted)
            #expect(UsableCores(affinity: 4, quota: quota).count == 1)
        }
    }

    @Test("Version 1: ancestors count, -1 is no quota")
    func version1() throws {
        let quota = try quota([
            "proc/self/cgroup": "4:memory:/m\n3:cpu,cpuacct:/x/y\n",
            "proc/self/mountinfo": mount1,
            "sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "400000\n",
            "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "200000\n",
        ])
        #expect(quota == 2)
    }

    @Test("In a container the mount shows the own group, and its place may hold a space")
    func container() throws {
        let mount = "30 23 0:26 /docker/abc /sys/fs/c\\040g rw - cgroup2 cgroup rw\n"
        for path in ["/docker/abc", "/docker/abc/inner", "/", "/../other"] {
            let quota = try quota([
                "proc/self/cgroup": "0::\(path)\n", "proc/self/mountinfo": mount,
                "sys/fs/c g/cpu.max": "200000 100000\n",
            ])
            #expect(quota == 2, "\(path)")
        }
    }

    @Test(
        "Nonsense is no quota",
        arguments: ["", "x y", "100000", "100000 0", "-5 100000", "99999999999999999999 1"])
    func nonsense(text: String) throws {
        let quota = try quota([
            "proc/self/cgroup": "0::/\n::\nx", "proc/self/mountinfo": "x\n- - -\n" + mount2,
            "sys/fs/cgroup/cpu.max": text,
        ])
        #expect(quota == nil)
        #expect(try self.quota([:]) == nil)
    }

    @Test("This machine has at least one core")
    func here() {
        #expect(UsableCores.ofThisProcess().affinity >= 1)
        #expect(UsableCores(affinity: 0, quota: nil).count == 1)
    }
}
