// A coordinator whose state lies on a filesystem of few megabytes, which fills up under a job.

import Glibc
import Testing

@Suite("A full disk", .serialized, .timeLimit(.minutes(2)))
struct FullDiskTests {
    @Test(
        "Jobs pause with one clear line, reading goes on, and with room the job ends whole",
        .enabled(if: getuid() == 0, "mounting a small filesystem takes root"))
    func fills() throws {
        try Cluster.with(prepare: { try SmallDisk.mount($0) }) { cluster in
            defer { SmallDisk.unmount(cluster) }
            try cluster.addWorker("w1", slots: 2)
            try cluster.waitForWorkers(1)
            // 60 results of a megabyte; the disk has 32.
            let command = "yes $1 | head -c 1000000"
            let submitted = try cluster.muster(
                "submit", "--array", "1-60", "sh", "-c", command, "sh", "{}")
            #expect(submitted.status == 0, "\(submitted.notes)")
            let log = cluster.directory("coordinator.log")
            try Monotonic.wait(for: "word of the full disk", seconds: 40) {
                File.text(log).contains(cluster.state) && File.text(log).contains("full")
            }
            #expect(!cluster.coordinator.hasEnded)
            #expect(try cluster.muster("results", "last.1").text.hasPrefix("1\n1\n"))
            #expect(try cluster.muster("status").status == 0)
            let lines = File.text(log).split(separator: "\n").count { $0.contains("full") }
            #expect(lines <= 2, "\(File.text(log))")
            // One that dies now comes up again as it is, and is read.
            try cluster.restartCoordinator()
            #expect(try cluster.muster("results", "last.1").text.hasPrefix("1\n1\n"))
            let room = try Shell.run(
                ["mount", "-o", "remount,size=256m", cluster.state],
                environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"])
            #expect(room.status == 0, "\(room.notes)")
            let waited = try cluster.muster("wait", "last", "--timeout", "60s", seconds: 70)
            #expect(waited.status == 0, "\(waited.notes)")
            let reference = try cluster.run([
                "sh", "-c", "for i in $(seq 60); do yes $i | head -c 1000000; done",
            ])
            let results = try cluster.muster("results", "last")
            #expect(File.equal(results.output, reference.output))
        }
    }
}
