// One item at a time. In: chunks from the queue (RunnerLoop.swift). Out: calls of functions on this
// lane's own thread (MapFunction.swift). Asynchronous functions run as a task on the same thread,
// with their child tasks: lanes overlap whether functions wait by `await` or by blocking.

internal import Glibc
internal import Synchronization

final class Lane: @unchecked Sendable {
    let index: Int
    /// Item + 1 and when it began, in the progress file.
    let progress: UnsafeMutablePointer<UInt64>
    unowned let loop: RunnerLoop

    /// The places that this lane took from a chunk and has not begun.
    let claim = ClaimWord()
    /// Items of the stride that runs; more than one can keep values from leaving.
    let strideItems = Atomic<Int>(0)
    /// When the stride that runs began.
    let strideStart = Atomic<UInt64>(0)

    /// Guards `values`: the ticker looks in while the lane works.
    let monitor = Monitor()
    var values: (any PendingValues)?

    /// What it works on. Set by the lane itself with the loop's lock held.
    var chunk: Chunk?
    /// The job that the two below were learned from.
    private var learned: OpenJob?
    /// Items that a stride should have.
    private(set) var pace = 1
    /// Nanoseconds of an item, about.
    private(set) var mean: UInt64 = .max

    private let executor = LaneExecutor()

    init(index: Int, progress: UnsafeMutablePointer<UInt64>, loop: RunnerLoop) {
        self.index = index
        self.progress = progress
        self.loop = loop
    }

    func start() throws(RunnerError) {
        try Threads.start { [self] in ItemContext.$lane.withValue(self) { run() } }
    }

    private func run() {
        while true {
            switch loop.next(self) {
            case .open(let job):
                loop.open(job, on: self)
            case .chunk(let chunk, let function):
                if function.isAsynchronous {
                    wait { await function.run(chunk, asynchronouslyOn: self) }
                } else {
                    function.run(chunk, on: self)
                }
                progress[0] = 0
                if loop.leave(chunk, self) { finish(chunk, function) }
                loop.settle()
            case .finish(let chunk, let function):
                finish(chunk, function)
                loop.settle()
            }
        }
    }

    private func finish(_ chunk: Chunk, _ function: any OpenFunction) {
        function.finish(chunk, on: self)
        loop.finished(chunk)
    }

    /// Runs an asynchronous body on this thread until it is through.
    func wait(_ body: @escaping @Sendable () async -> Void) {
        let executor = executor
        Task(executorPreference: executor) { [self] in
            await ItemContext.$lane.withValue(self) { await body() }
            executor.finish()
        }
        executor.run()
    }

    /// The next item of the stride begins now.
    @inline(__always)
    func begin(_ item: UInt64, clock: Bool) {
        progress[0] = item &+ 1
        if clock { progress[1] = Clock.now }
    }

    // MARK: Pace

    /// A stride should take this long: short against the 5 ms after which values have to leave, and
    /// long against a look at the clock.
    private static let strideNanoseconds: UInt64 = 250_000
    private static let longestStride = 8192

    /// Items that the next stride should have.
    func pace(for job: OpenJob, isSerial: Bool) -> Int {
        if learned !== job {
            learned = job
            pace = 1
            mean = .max
        }
        // Others wait for what this lane takes, so it takes less.
        return isSerial ? pace : max(min(pace / 4, 1024), 1)
    }

    func learn(items: Int, nanoseconds: UInt64, bytes: Int) {
        guard items > 0 else { return }
        let each = max(nanoseconds / UInt64(items), 1)
        mean = mean == .max ? each : (mean &* 3 + each) / 4
        let fitting = Int(clamping: Self.strideNanoseconds / each)
        pace = max(min(fitting, pace * 2, Self.longestStride), 1)
        if bytes > ReplyWriter.fullBytes { pace = max(pace / 2, 1) }
    }
}

/// Runs the jobs of a lane's task, and of its child tasks, on the thread that waits for the task.
final class LaneExecutor: TaskExecutor, @unchecked Sendable {
    private let monitor = Monitor()
    private var jobs: [UnownedJob] = []
    private var isFinished = false

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        monitor.locked {
            jobs.append(job)
            monitor.signal()
        }
    }

    func finish() {
        monitor.locked {
            isFinished = true
            monitor.signal()
        }
    }

    func run() {
        monitor.lock()
        while true {
            if !jobs.isEmpty {
                let batch = jobs
                jobs.removeAll(keepingCapacity: true)
                monitor.unlock()
                for job in batch { job.runSynchronously(on: asUnownedTaskExecutor()) }
                monitor.lock()
            } else if isFinished {
                isFinished = false
                monitor.unlock()
                return
            } else {
                monitor.wait()
            }
        }
    }
}
