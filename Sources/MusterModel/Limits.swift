/// Every bound of the system, with its unit, its reason and its relation to the others.
package enum Limits {
    // MARK: Frames

    /// Bytes of one frame's body. Larger results travel in parts (`resultPartBytes`), larger
    /// batches in several frames; so nobody ever has to allocate more for one length field.
    package static let frameBytes = 16 << 20
    /// Bytes of a frame before the peer is welcomed: only HELLO fits.
    package static let frameBytesBeforeWelcome = 16 << 10
    /// Bytes of item input that one lease or one batch of inputs aims at; below `frameBytes`, so
    /// that a batch and one largest item still fit together.
    package static let batchBytes = 256 << 10
    /// Bytes of one item's input. Linux takes at most 2 MiB of arguments by default anyway.
    package static let itemInputBytes = 8 << 20
    /// Bytes of a job's command and environment. As JSON a byte may take six, which still fits
    /// into a frame.
    package static let commandBytes = 2 << 20
    /// Output of a running item that a worker holds before it sends a part.
    package static let resultPartBytes = 256 << 10

    // MARK: Files

    /// Bytes of one file that travels with a job.
    package static let fileBytes = 4 << 30
    /// Files of one job.
    package static let filesPerJob = 1024
    /// Bytes of one part of a file on the wire.
    package static let filePartBytes = 1 << 20
    /// Bytes of files that a coordinator or worker keeps for later jobs; the least recently used
    /// ones go first.
    package static let fileCacheBytes = 16 << 30

    // MARK: Sessions

    /// Seconds a peer has for the TLS handshake and HELLO together.
    package static let handshakeSeconds = 5
    /// Connections that may be between accept and WELCOME at once; more are closed at once.
    package static let pendingConnections = 256
    /// A worker says that it lives this often; far below `leaseNanoseconds`.
    package static let heartbeatNanoseconds: Int64 = 2_000_000_000
    /// Silence after which a worker counts as lost and its items go to others: four heartbeats
    /// and a half may go missing.
    package static let leaseNanoseconds: Int64 = 9_000_000_000

    /// Pauses between attempts to reach a lost coordinator: from a restart's time to what people
    /// do not mind waiting for.
    package static let redialLeastNanoseconds: Int64 = 50_000_000
    package static let redialMostNanoseconds: Int64 = 2_000_000_000
    /// A client tries so long where nobody waits for a job: a restart and its recovery are over by
    /// then.
    package static let redialIdleNanoseconds: Int64 = 10_000_000_000

    // MARK: Jobs

    /// Items of one job. Indices stay far from overflow and fit JSON numbers exactly.
    package static let itemsPerJob = 1 << 40
    /// Input bytes that a client may be ahead of the items already taken by workers.
    package static let inputAheadBytes = 8 << 20
    /// It hears of room for further ones when there is this much more: a small part of the above,
    /// so that it never waits for that, and no message for each small input.
    package static let inputCreditBytes = 256 << 10
    /// Input bytes of one job that a client keeps until they are on the coordinator's disk; some
    /// hundred milliseconds of a fast network. At this much it waits.
    package static let keptInputBytes = 64 << 20
    /// Inputs of one job kept in memory before further ones go to a file.
    package static let inputMemoryBytes = 32 << 20
    /// Batches of inputs that are smaller than this go to the disk together.
    package static let joinedInputBytes = 64 << 10
    /// Result bytes on their way to one reader that it has not acknowledged. Where all cores are
    /// busy an acknowledgement takes some 10 ms to come round: with 4 MiB no reader got more than
    /// 400 MiB/s, and what it could not take in time went to the disk and back.
    package static let deliveryAheadBytes = 16 << 20
    /// Result bytes that one reader is sent before others have their turn. A million early results
    /// that become due at once once made the first of them wait for 16 MiB of its neighbours.
    package static let deliveryTurnBytes = 1 << 20
    /// A reader acknowledges when it has shown this much, or at the end; `muster run` also when
    /// it has nothing to do. A small part of the above, so that delivery never waits for it.
    package static let acknowledgeBytes = 256 << 10
    /// Results of one job kept in memory before further early ones go to the disk. They stay
    /// until they are acknowledged, so twice `deliveryAheadBytes`: what is on its way alone must
    /// not be reason to write.
    package static let earlyMemoryBytes = 32 << 20
    /// Spool bytes of one job after which only the item that everybody waits for is leased
    /// (`--buffer`).
    package static let defaultBufferBytes = 4 << 30
    /// Output bytes of one item after which it is stopped and failed (`--max-output`).
    package static let defaultOutputBytes = 1 << 30
    /// Lost workers that one item survives before it is aborted: it may be what kills them.
    package static let lostAttempts = 3
    /// The same where workers of the job are also lost without it, so that something else kills
    /// them: an item that is short beside the time between two losses never comes so far by
    /// chance, and one that does kill has to stop some time.
    package static let lostAttemptsAmongOthers = 10
    /// Failures of one job remembered one by one; of further ones only state and count.
    package static let rememberedFailures = 10_000
    /// Jobs that may be unfinished at once.
    package static let unfinishedJobs = 100_000

    /// Nanoseconds that a job and its kept results stay after its end: a day, so that what ended
    /// at night is there in the morning.
    package static let retentionNanoseconds: Int64 = 86_400_000_000_000

    /// What nobody waits for becomes durable so long after it happened: long enough that a fast
    /// reader has taken it before, short against what a crash would cost.
    package static let recordNanoseconds: Int64 = 100_000_000
    /// Between two looks whether a full disk has room.
    package static let fullDiskRetryNanoseconds: Int64 = 1_000_000_000
    /// After a restart leases wait so long for the workers that were there, which may still hold
    /// the items.
    package static let workerReturnNanoseconds: Int64 = 3_000_000_000
    /// Inputs that a vanished client has yet to send count as lost after this.
    package static let clientReturnNanoseconds: Int64 = 60_000_000_000

    /// Attempt numbers of an item that each epoch of a coordinator has for itself, so that none is
    /// given twice without a write for each lease: far more than an item is tried.
    package static let attemptsPerEpoch: UInt32 = 1000

    /// A failed item waits at most so long for another worker than the one it failed on.
    package static let retryElsewhereNanoseconds: Int64 = 500_000_000
    /// No item counts as unusually long before it has run for so long (`--speculate`): far above
    /// `reportDelayNanoseconds` and a round trip, in which its result may be on its way.
    package static let speculationNanoseconds: Int64 = 20_000_000

    // MARK: Workers

    /// Slots of one worker.
    package static let slotsPerWorker = 4096
    /// Work that a worker holds beyond its slots, as time: hides the round trip and batches. Where
    /// single items are reported; its queue is filled when less than half of this is there.
    package static let prefetchNanoseconds: Int64 = 100_000_000
    /// The same where workers report runs of items: a lease costs as much as thousands of them.
    package static let leaseWorkNanoseconds: Int64 = 250_000_000
    /// Less work than this is not leased to a slot, as time: a round trip is a fifth of it.
    package static let leastLeaseNanoseconds: Int64 = 1_000_000
    /// The same as items, where each has input of its own or an attempt of its own.
    package static let prefetchItems = 16_384
    /// The same for items of an array, which cost nothing on the wire.
    package static let prefetchArrayItems = 4 << 20
    /// The same as bytes of input.
    package static let prefetchBytes = 16 << 20
    /// Work that a slot takes at once, as time: a call of the runner or the wake-ups behind a
    /// result weigh little against it, and it is over before anybody would miss a slot.
    package static let chunkNanoseconds: Int64 = 3_000_000
    /// The most items of it, so that one is not long even where items seem to cost nothing.
    package static let chunkItems = 1 << 18
    /// A chunk that takes longer than this, and longer by this or thrice as long as was expected,
    /// gives back what it has not begun.
    package static let lateChunkNanoseconds: Int64 = 10_000_000
    /// Finished results wait at most this long to leave together while a slot is busy.
    package static let reportDelayNanoseconds: Int64 = 5_000_000
    /// From TERM to KILL when an item timed out or its job was cancelled.
    package static let killGraceNanoseconds: Int64 = 1_000_000_000
    /// From TERM to KILL after a first Ctrl-C of `muster run`.
    package static let interruptGraceNanoseconds: Int64 = 5_000_000_000

    /// Bytes of results that a worker keeps until the coordinator has recorded them: many times
    /// what comes between two commits. At this much it reads no further output.
    package static let keptResultBytes = 64 << 20

    // MARK: Runners

    /// From the start of a runner to its word `ready`: interpreters that load large libraries
    /// from a cold disk take their time.
    package static let runnerReadyNanoseconds: Int64 = 120_000_000_000
    /// A runner says that it lives this often while it runs something.
    package static let runnerBeatNanoseconds: Int64 = 1_000_000_000
    /// Beats that may be missing before it is killed.
    package static let runnerSilentBeats = 10
    /// Between two looks at the memory of a runner that has a limit.
    package static let runnerMemoryNanoseconds: Int64 = 100_000_000
    /// An item that is to be stopped may end by itself within this time.
    package static let runnerStopNanoseconds: Int64 = 20_000_000
    /// Warm runners that nobody needs stay this long, and at most so many a slot.
    package static let runnerIdleNanoseconds: Int64 = 60_000_000_000
    package static let runnersIdlePerSlot = 2

    // MARK: Names

    /// Bytes of a worker's, user's or job's name.
    package static let nameBytes = 64
}
