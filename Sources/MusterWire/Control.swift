/// Questions and orders of clients, and their answers: JSON in a frame, since they are rare and
/// people read them. Bulk data never passes here.

package import MusterModel

package enum ControlRequest: Hashable, Sendable, Codable {
    /// Starts a job. Items follow as `items` frames when its input is a stream.
    /// `key`: the submitter's own random name for this job (at most 64 bytes). The same key again
    /// is the same job, so that a submit whose answer was lost can be said again.
    case submit(JobSpec, attach: Bool, key: String? = nil)
    /// Results of `items` (nil = all), from `firstItem` (0-based) on, in the job's order.
    /// `follow`: stay until the job ends; otherwise what is there now.
    /// `resume`: the same client was attached before its connection was cut.
    case attach(
        job: UInt64, items: [ItemSpan]?, firstItem: Int, results: Bool, follow: Bool,
        resume: Resumption? = nil)
    case detach(job: UInt64)
    case cancel(job: UInt64, items: [ItemSpan]?, graceNanoseconds: Int64)
    case retry(job: UInt64, items: [ItemSpan]?)
    case remove(job: UInt64)
    /// Which inputs succeeded in a job (`run --resume`). `work`: the first 16 bytes of the SHA-256
    /// of `JobSpec.workIdentity`; the job's must be the same, else `.conflict`. `inputs`: of each
    /// input the first 16 bytes of its SHA-256, one behind the other.
    case succeeded(job: UInt64, work: Bytes, inputs: Bytes)
    case jobs
    case job(UInt64)
    case explain(job: UInt64, item: Int?)
    case status
    case drainWorker(name: String)
    case resumeWorker(name: String)
    case stopWorker(name: String)
    case createToken(role: String, seconds: Int)
    case tokens
    case revokeToken(id: String)
    case stopCoordinator(force: Bool)
}

/// What a client that comes back has of a job already. Its answer's `arrived` says from which
/// item on it is to send inputs again.
package struct Resumption: Hashable, Sendable, Codable {
    /// It sends the job's inputs, if they have not ended.
    package var feeds: Bool
    /// Of an unordered job: results that it has. An ordered one says `firstItem` instead.
    package var has: [ItemSpan]
    /// Of the result of `firstItem` it has so many pieces, of this attempt; 0 = none.
    package var pieces: Int
    package var attempt: UInt32

    package init(feeds: Bool, has: [ItemSpan] = [], pieces: Int = 0, attempt: UInt32 = 0) {
        self.feeds = feeds
        self.has = has
        self.pieces = pieces
        self.attempt = attempt
    }
}

/// A range of 0-based item indices.
package struct ItemSpan: Hashable, Sendable, Codable {
    package var from: Int
    /// One past the last.
    package var to: Int

    package init(from: Int, to: Int) {
        self.from = from
        self.to = to
    }

    /// nil where it is not a range within a job.
    package var range: Range<Int>? {
        from >= 0 && from < to && to <= Limits.itemsPerJob ? from..<to : nil
    }
}

package enum ControlResponse: Hashable, Sendable, Codable {
    case submitted(job: UInt64)
    /// No job was made: files with these digests are to be sent first.
    case missing([String])
    case attached(JobSummary)
    /// Places in the request's `inputs`, ascending: the job had such an item, and all such items
    /// of it have succeeded.
    case succeeded([ItemSpan])
    /// How many items or things the order touched.
    case done(count: Int)
    case jobs([JobSummary])
    case job(JobDetail)
    case text([String])
    case status(ClusterStatus)
    case token(String)
    case tokens([TokenSummary])
    case failed(MusterError)
}
