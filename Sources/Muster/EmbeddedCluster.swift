/// Coordinator and worker inside this process, over the same code and frames as between machines,
/// with the in-memory link between them. It lives as long as the program that made it.

package import MusterCoordinator
import MusterModel
import MusterStore
import MusterTLS
import MusterTransport
import MusterWire
package import MusterWorker
package import NIOCore

package final class EmbeddedCluster: Sendable {
    package let connection: ClusterConnection
    private let coordinator: Coordinator
    private let agent: WorkerAgent
    private let nursery: Nursery

    /// - Parameters:
    ///   - nursery: started before this process has threads and memory to copy.
    ///   - spools: directory for what does not fit in memory.
    package static func start(
        slots: Int, nursery: Nursery, spools: String, loop: any EventLoop,
        wallClock: @escaping @Sendable () -> Double
    ) async throws -> EmbeddedCluster {
        let name = "local"
        let coordinator = Coordinator(
            loop: loop,
            configuration: .init(
                cluster: name, name: name, stateDirectory: spools, takesPaths: true,
                wallClock: wallClock),
            store: VolatileStore(directory: spools))
        let agent = WorkerAgent(
            loop: loop, nursery: nursery,
            configuration: .init(
                slots: slots, directories: try PrivateDirectoryBase(path: spools),
                environment: ItemEnvironment.ofThisProcess()))
        let here = LinkPeer(role: .coordinator, name: name, address: "memory")
        try await seat(agent, at: coordinator, as: name, on: loop)
        let client = LinkPeer(role: .admin, name: name, address: "memory")
        let (clientEnd, clientSeen) = MemoryLink.pair(client, seesAs: here)
        let welcome = try await open(clientEnd, on: loop) {
            coordinator.welcome(clientSeen, Hello())
        }
        let connection = ClusterConnection(link: clientEnd, welcome: welcome, loop: loop)
        return EmbeddedCluster(
            connection: connection, coordinator: coordinator, agent: agent, nursery: nursery)
    }

    /// Makes the agent a worker of the coordinator, on the same event loop.
    package static func seat(
        _ agent: WorkerAgent, at coordinator: Coordinator, as name: String, on loop: any EventLoop
    ) async throws {
        let here = LinkPeer(role: .coordinator, name: name, address: "memory")
        let worker = LinkPeer(role: .worker, name: name, address: "memory")
        let (workerEnd, workerSeen) = MemoryLink.pair(worker, seesAs: here)
        let welcome = try await open(workerEnd, on: loop) {
            coordinator.welcome(workerSeen, agent.hello)
        }
        _ = agent.serve(workerEnd, welcome)
    }

    private init(
        connection: ClusterConnection, coordinator: Coordinator, agent: WorkerAgent,
        nursery: Nursery
    ) {
        self.connection = connection
        self.coordinator = coordinator
        self.agent = agent
        self.nursery = nursery
    }

    /// Waits for the first message, which is WELCOME or a refusal.
    private static func open(
        _ link: MemoryLink, on loop: any EventLoop, by hello: () -> Void
    ) async throws -> Welcome {
        let opening = Opening(promise: loop.makePromise(of: Welcome.self))
        link.start(delegate: opening, on: loop)
        hello()
        return try await opening.promise.futureResult.get()
    }

    private final class Opening: LinkDelegate {
        let promise: EventLoopPromise<Welcome>
        init(promise: EventLoopPromise<Welcome>) { self.promise = promise }

        func received(_ messages: [Message], on _: any Link) {
            for message in messages {
                switch message {
                case .welcome(let welcome): promise.succeed(welcome)
                case .refused(let error): promise.fail(error)
                default: break
                }
            }
        }
        func closed(_ error: MusterError?, on _: any Link) {
            promise.fail(error ?? MusterError(.internal, "the embedded cluster closed"))
        }
        func writable(on _: any Link) {}
    }

    /// Kills what still runs and waits until nothing is left of it.
    package func close() {
        connection.close()
        // Runners' directories go with their runners.
        try? agent.close().wait()
        nursery.closeAndWait()
    }
}
