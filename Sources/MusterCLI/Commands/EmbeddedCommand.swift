/// `muster embedded`, which no help shows: coordinator and worker in one process, for a program in
/// another language that wants a cluster of its own. It listens on the loopback, says on standard
/// output where its profile lies, and ends with whoever holds its standard input. Nothing of it
/// outlives it. The Python package starts it (`muster.local()`); Swift programs need no process
/// for that (`Muster/EmbeddedCluster.swift`).

import ArgumentParser
import Dispatch
import Glibc
import Muster
import MusterCoordinator
import MusterModel
import MusterStore
import MusterTLS
import MusterWorker
import NIOCore
import NIOPosix

struct EmbeddedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "embedded",
        abstract: "A cluster for the program that starts this and holds its standard input.",
        shouldDisplay: false)

    @Option(name: [.customShort("j"), .long], help: "Slots; all cores where it is not said.")
    var slots: Int?

    func run() async throws {
        let slots = slots ?? UsableCores.ofThisProcess().count
        guard slots >= 1, slots <= Limits.slotsPerWorker else {
            throw MusterError(
                .usage, "\(slots) slots are impossible; a worker has 1 to \(Limits.slotsPerWorker)")
        }
        // Before this process has threads and memory to copy.
        let nursery = try Nursery.start()
        let base = try PrivateDirectoryBase(path: Places.temporary)
        let directory = try base.make()
        defer { try? base.remove(directory) }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let state = try StateDirectory(path: "\(directory.path)/state")
        let server = try await CoordinatorServer.start(
            options: .init(listenPort: 0, name: "local"), state: state, group: group,
            store: { _ in VolatileStore(directory: directory.path) }, echo: { _ in })
        let work = "\(directory.path)/work"
        try StateDirectory.makeDirectories(work)
        let agent = WorkerAgent(
            loop: group.next(), nursery: nursery,
            configuration: .init(
                slots: slots, directories: try PrivateDirectoryBase(path: work),
                environment: ItemEnvironment.ofThisProcess(),
                fileCache: "\(directory.path)/files"))
        try await EmbeddedCluster.seat(
            agent, at: server.coordinator, as: "local", on: group.next())
        let profile = try saveProfile(of: server, in: directory.path)
        Signals.handle([SIGTERM, SIGINT]) { _ in server.stop() }
        stopWithInput(server)
        Output.line(profile)
        try await server.whenStopped.get()
        try? await agent.close().get()
        nursery.closeAndWait()
    }

    /// Returns the folder that holds what a client needs.
    private func saveProfile(of server: CoordinatorServer, in directory: String) throws -> String {
        let store = ProfileStore(directory: "\(directory)/config")
        let identity = try server.authority.makeIdentity(
            role: .admin, name: Places.userName, now: Int64(time(nil)))
        try store.save(
            "local",
            ClusterProfile(
                host: "127.0.0.1", port: server.port, cluster: server.authority.clusterID,
                role: "admin", user: Places.userName),
            identity: identity, authority: server.authority.certificate)
        return "\(directory)/config/clusters/local"
    }

    /// The end of standard input is the end of whoever started this.
    private func stopWithInput(_ server: CoordinatorServer) {
        DispatchQueue(label: "muster.parent").async {
            var byte: UInt8 = 0
            while true {
                let got = read(0, &byte, 1)
                if got == 0 || (got < 0 && errno != EINTR) { break }
            }
            server.stop()
        }
    }
}
