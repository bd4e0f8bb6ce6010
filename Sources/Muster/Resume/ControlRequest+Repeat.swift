/// Which requests may be said again when a connection ended before their answer came: nobody knows
/// then whether they were carried out.

import MusterWire

extension ControlRequest {
    /// Saying it twice does no more than saying it once.
    var mayBeRepeated: Bool {
        switch self {
        // Only with a key are two of them one job.
        case .submit(_, _, let key): key != nil
        case .jobs, .job, .explain, .status, .tokens, .succeeded: true
        case .attach, .detach: true
        // What is cancelled stays so; the count may be smaller the second time.
        case .cancel: true
        case .remove, .revokeToken: true
        case .drainWorker, .resumeWorker, .stopWorker: true
        // Items that failed again in between would get one more attempt than was asked for.
        case .retry: false
        // A second token would live that nobody knows of.
        case .createToken: false
        // It would stop the next coordinator.
        case .stopCoordinator: false
        }
    }

    /// Said again, it may find that what it was to take away is gone: it was carried out.
    var isDoneWhereGone: Bool {
        switch self {
        case .remove, .revokeToken, .stopWorker: true
        default: false
        }
    }

    /// For people, where it is not known whether it was carried out.
    var doubt: String {
        switch self {
        case .retry(let job, _):
            "; whether items of job \(job) were queued again is not known: `muster job show "
                + "\(job)` tells"
        case .createToken: "; if a token was made, `muster token list` shows it"
        default: ""
        }
    }
}
