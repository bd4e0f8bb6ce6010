/// What a client hears of a job, and of its connection. `ClusterConnection.swift` says it; threads
/// and tasks take it out of a `Mailbox.swift`.

package import MusterModel
package import MusterWire

/// What happens to a job that this client is attached to.
package enum JobEvent: Sendable {
    /// In the job's order.
    case results([ResultRecord])
    /// In the job's order, too, between the results.
    case values([ValueRun])
    case progress(JobSummary)
    case ended(JobSummary)
    /// The connection is cut; a new one is being made.
    case interrupted(ConnectionNews)
    /// It is there, and the job goes on where it was.
    case resumed(ConnectionNews)
    /// The connection is gone; nothing more will come.
    case lost(MusterError)
    /// Put in by the caller's own threads, to wake the one that reads.
    case signal(Int32)
    case inputFailed(MusterError)
}

/// Where a job's events go. Called on the connection's event loop, in order.
package protocol JobReceiver: AnyObject, Sendable {
    func put(_ event: JobEvent)
}

extension Mailbox<JobEvent>: JobReceiver {}

/// What becomes of a connection that comes back by itself.
package enum ConnectionNews: Hashable, Sendable {
    case lost(address: String, MusterError)
    case back(address: String)

    /// A line for people.
    package var text: String {
        switch self {
        case .lost(let address, let error):
            "lost the coordinator at \(address) (\(error.message)); trying again"
        case .back(let address): "the coordinator at \(address) is back"
        }
    }
}
