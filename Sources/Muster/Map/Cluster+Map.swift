/// `map`, `mapUnordered`, `forEach` and `reduce`: a function and inputs become a job.

import MusterModel
import MusterRunner
import MusterWire
import NIOCore

extension Cluster {
    // MARK: Values

    /// Calls a function with each input; the values come in the order of the inputs.
    ///
    /// The job starts at once. Ranges of `Int` are never materialised; other sequences are read
    /// on a thread of their own, as far ahead as workers take inputs.
    ///
    /// - Parameters:
    ///   - function: listed in the program's functions.
    ///   - inputs: anything that can be iterated; given away to the job.
    ///   - errors: `.throwFirst` (the default) or `.collect`.
    ///   - options: as `.timeout(.seconds(5))`, `.retries(2)`, `.progress(.bar)`.
    /// - Returns: a stream that throws the first item's failure as ``ItemError``.
    public func map<Input, Output, Inputs: Sequence>(
        _ function: ClusterFunction<Input, Output>, over inputs: sending Inputs,
        errors: ErrorsThrown = .throwFirst, _ options: JobOption...
    ) -> ResultStream<Output> where Inputs.Element == Input {
        values(function, inputs, JobSettings(options), ordered: true)
    }

    /// Calls a function with each input; each input's value or failure comes in its place.
    ///
    /// - Parameters:
    ///   - function: listed in the program's functions.
    ///   - inputs: anything that can be iterated; given away to the job.
    ///   - errors: `.collect`.
    ///   - options: as `.timeout(.seconds(5))`.
    public func map<Input, Output, Inputs: Sequence>(
        _ function: ClusterFunction<Input, Output>, over inputs: sending Inputs,
        errors: ErrorsCollected, _ options: JobOption...
    ) -> ResultStream<Result<Output, ItemError>> where Inputs.Element == Input {
        results(function, inputs, JobSettings(options), ordered: true)
    }

    /// Calls a function with each input; the values come as they are there.
    ///
    /// - Parameters:
    ///   - function: listed in the program's functions.
    ///   - inputs: anything that can be iterated; given away to the job.
    ///   - errors: `.throwFirst` (the default) or `.collect`.
    ///   - options: as `.timeout(.seconds(5))`.
    public func mapUnordered<Input, Output, Inputs: Sequence>(
        _ function: ClusterFunction<Input, Output>, over inputs: sending Inputs,
        errors: ErrorsThrown = .throwFirst, _ options: JobOption...
    ) -> ResultStream<Output> where Inputs.Element == Input {
        values(function, inputs, JobSettings(options), ordered: false)
    }

    /// Calls a function with each input; values and failures come as they are there.
    ///
    /// - Parameters:
    ///   - function: listed in the program's functions.
    ///   - inputs: anything that can be iterated; given away to the job.
    ///   - errors: `.collect`.
    ///   - options: as `.timeout(.seconds(5))`.
    public func mapUnordered<Input, Output, Inputs: Sequence>(
        _ function: ClusterFunction<Input, Output>, over inputs: sending Inputs,
        errors: ErrorsCollected, _ options: JobOption...
    ) -> ResultStream<Result<Output, ItemError>> where Inputs.Element == Input {
        results(function, inputs, JobSettings(options), ordered: false)
    }

    /// `map` for callers that keep their options in an array.
    package func map<Input, Output, Inputs: Sequence>(
        _ function: ClusterFunction<Input, Output>, over inputs: sending Inputs,
        settings options: [JobOption]
    ) -> ResultStream<Output> where Inputs.Element == Input {
        values(function, inputs, JobSettings(options), ordered: true)
    }

    // MARK: No values

    /// Calls a function with each input and waits until all calls are over.
    ///
    /// - Throws: the first failure that comes, as ``ItemError``; the job is cancelled then.
    public func forEach<Input, Output, Inputs: Sequence>(
        _ function: ClusterFunction<Input, Output>, over inputs: sending Inputs,
        _ options: JobOption...
    ) async throws where Inputs.Element == Input {
        let settings = JobSettings(options)
        let run = start(
            function.name, function.fixed, function.inputs, inputs, settings, ordered: false)
        let nothing = ResultDecoding<Void>(
            values: { _ in [] }, value: { _ in nil }, failure: nil)
        let feed = ResultFeed(run, nothing, settings.output, settings.progress)
        while try await feed.nextBatch() != nil {}
    }

    /// Combines what a function makes of each input.
    ///
    /// - Parameters:
    ///   - reduction: listed in the program's functions.
    ///   - inputs: anything that can be iterated; given away to the job.
    /// - Returns: nil where there are no inputs.
    /// - Throws: the first failure in the order of the inputs, as ``ItemError``; what `combine`
    ///   throws.
    public func reduce<Input, Partial, Inputs: Sequence>(
        _ reduction: ClusterReduction<Input, Partial>, over inputs: sending Inputs,
        _ options: JobOption...
    ) async throws -> Partial? where Inputs.Element == Input {
        try await combined(reduction, inputs, JobSettings(options))
    }

    /// Combines an initial value with what a function makes of each input.
    ///
    /// - Parameters:
    ///   - initial: comes first, once.
    ///   - reduction: listed in the program's functions.
    ///   - inputs: anything that can be iterated; given away to the job.
    /// - Throws: the first failure in the order of the inputs, as ``ItemError``; what `combine`
    ///   throws.
    public func reduce<Input, Partial, Inputs: Sequence>(
        _ initial: Partial, _ reduction: ClusterReduction<Input, Partial>,
        over inputs: sending Inputs, _ options: JobOption...
    ) async throws -> Partial where Inputs.Element == Input {
        let whole = try await combined(reduction, inputs, JobSettings(options))
        return try whole.map { try reduction.combine(initial, $0) } ?? initial
    }

    // MARK: How

    private func values<Input, Output, Inputs: Sequence>(
        _ function: ClusterFunction<Input, Output>, _ inputs: sending Inputs,
        _ settings: JobSettings, ordered: Bool
    ) -> ResultStream<Output> where Inputs.Element == Input {
        let run = start(
            function.name, function.fixed, function.inputs, inputs, settings, ordered: ordered)
        let outputs = function.outputs
        let decoding = ResultDecoding<Output>(
            values: { try outputs.decode(try $0.decodable()) },
            value: { try outputs.decode($0.bytes) }, failure: nil)
        return ResultStream(ResultFeed(run, decoding, settings.output, settings.progress))
    }

    private func results<Input, Output, Inputs: Sequence>(
        _ function: ClusterFunction<Input, Output>, _ inputs: sending Inputs,
        _ settings: JobSettings, ordered: Bool
    ) -> ResultStream<Result<Output, ItemError>> where Inputs.Element == Input {
        let run = start(
            function.name, function.fixed, function.inputs, inputs, settings, ordered: ordered)
        let outputs = function.outputs
        let decoding = ResultDecoding<Result<Output, ItemError>>(
            values: { try outputs.decode(try $0.decodable()).map { .success($0) } },
            value: { .success(try outputs.decode($0.bytes)) }, failure: { .failure($0) })
        return ResultStream(ResultFeed(run, decoding, settings.output, settings.progress))
    }

    private func combined<Input, Partial, Inputs: Sequence>(
        _ reduction: ClusterReduction<Input, Partial>, _ inputs: sending Inputs,
        _ settings: JobSettings
    ) async throws -> Partial? where Inputs.Element == Input {
        let run = start(
            reduction.name, reduction.fixed, reduction.inputs, inputs, settings, ordered: true,
            folds: true)
        let partials = reduction.partials
        // Items whose value is in another item's have values of no bytes.
        let decoding = ResultDecoding<Partial>(
            values: { $0.values.width == 0 ? [] : try partials.decode(try $0.decodable()) },
            value: { $0.readableBytes == 0 ? nil : try partials.decode($0.bytes) }, failure: nil)
        let feed = ResultFeed(run, decoding, settings.output, settings.progress)
        var whole: Partial?
        while let batch = try await feed.nextBatch() {
            for partial in batch {
                whole = try whole.map { try reduction.combine($0, partial) } ?? partial
            }
        }
        return whole
    }

    private func start<Inputs: Sequence>(
        _ name: String, _ fixed: FixedArgument, _ codec: ValueCodec<Inputs.Element>,
        _ inputs: sending Inputs, _ settings: JobSettings, ordered: Bool, folds: Bool = false
    ) -> JobRun {
        let source = InputSource(inputs, codec)
        let spec = spec(name, source.shape, settings.plan, ordered: ordered, folds: folds)
        return JobRun(
            self, spec, fixed: fixed, feed: source.feed.map { JobRun.InputFeed(feed: $0) })
    }
}

extension ByteBuffer {
    /// Its readable bytes, copied.
    var bytes: [UInt8] { Array(readableBytesView) }
}
