/// `muster status`: the cluster on one page.

import ArgumentParser
import Muster
import MusterModel
import MusterWire

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "The cluster on one page.")
    @OptionGroup var cluster: ClusterFlag
    @OptionGroup var output: OutputFlags

    func run() async throws { try await Self.show(cluster, output, withJobs: true) }

    static func ask(_ cluster: ClusterFlag) async throws -> ClusterStatus {
        guard case .status(let status) = try await ClusterAccess.ask(.status, cluster.cluster)
        else {
            throw MusterError(.malformed, "the coordinator's answer is no status")
        }
        return status
    }

    static func show(
        _ cluster: ClusterFlag, _ output: OutputFlags, withJobs: Bool
    ) async throws {
        let status = try await ask(cluster)
        if output.json { return try Output.json(status) }
        if output.quiet { return Output.line(status.cluster) }
        let up = DurationText.text(.seconds(Int64(status.upSeconds)))
        Output.line(
            "cluster \(status.cluster), coordinator \(status.coordinator) (muster "
                + "\(status.version), pid \(status.pid)), up \(up)")
        let workers = NumberText.counted(status.workers.count, "worker")
        let open = status.jobs.filter { !$0.isOver }
        Output.line(
            "\(workers), \(NumberText.counted(status.slots, "slot")); "
                + "\(NumberText.counted(open.count, "job")) not over, \(status.jobs.count) known; "
                + "\(ByteText.text(status.residentBytes)) of memory")
        if let bytes = status.diskBytes {
            let free = status.diskFreeBytes.map { ", \(ByteText.text($0)) are free there" } ?? ""
            Output.line(
                "jobs take \(ByteText.text(bytes)) in \(Escaping.visible(status.stateDirectory))"
                    + free + "; `muster job remove` makes room")
        }
        if let address = status.enrolAddress {
            Output.line(
                "enrolment is open at \(address) for \(NumberText.counted(status.tokens, "token"))")
        }
        if !status.workers.isEmpty {
            Output.line("")
            Output.table(WorkerList.table(status.workers), plain: output.plain)
        }
        if withJobs && !open.isEmpty {
            Output.line("")
            Output.table(ListJobs.table(open), plain: output.plain)
        }
    }
}
