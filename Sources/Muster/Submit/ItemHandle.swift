/// What `submit` gives back: one call that runs somewhere, and its value once it is there.

import MusterRunner

/// Where a submitted call is.
public enum HandleState: String, Hashable, Sendable {
    /// It waits for a slot, or runs.
    case waiting
    /// Its value is there.
    case succeeded
    /// The function threw, or input or value could not be used.
    case failed
    /// It took longer than its `timeout`.
    case timedOut
    /// It was cancelled.
    case cancelled
    /// The system ended it: its runner died, or its cluster is gone.
    case aborted
}

/// One submitted call of a function.
public struct ItemHandle<Output: Sendable>: Sendable {
    let cell: ItemCell
    let outputs: ValueCodec<Output>

    /// The function's value, as soon as it is there.
    ///
    /// Where the awaiting task is cancelled, so is the call.
    ///
    /// - Throws: ``ItemError`` where the call failed or was cancelled, ``ClusterError`` where
    ///   cluster or job are gone.
    public var value: Output {
        get async throws {
            let end: ItemCell.End
            if let already = cell.end {
                end = already
            } else {
                end = await withTaskCancellationHandler {
                    await cell.untilOver()
                } onCancel: {
                    cell.cancel()
                }
            }
            return try value(of: end)
        }
    }

    /// The value or why there is none, as soon as either is known.
    ///
    /// - Throws: ``ClusterError`` where cluster or job are gone.
    public var result: Result<Output, ItemError> {
        get async throws {
            do {
                return .success(try await value)
            } catch let error as ItemError {
                return .failure(error)
            }
        }
    }

    private func value(of end: ItemCell.End) throws -> Output {
        switch end {
        case .value(let bytes, _, _, _):
            do {
                return try outputs.decode(bytes)
            } catch {
                throw ClusterError(
                    .undecodable,
                    "a value is not of the type that its function returns; was the program changed "
                        + "while it ran? (\(error))")
            }
        case .failed(let error): throw error
        case .lost(let error): throw error
        }
    }

    /// Cancels the call: it is over at once, and its worker is told to stop. Does nothing where it
    /// is over.
    public func cancel() { cell.cancel() }

    /// Where the call is now.
    public var state: HandleState {
        switch cell.end {
        case nil: .waiting
        case .value: .succeeded
        case .lost: .aborted
        case .failed(let error):
            switch error.code {
            case .threw, .badValue, .cannotStart, .outputLimit: .failed
            case .timedOut: .timedOut
            case .cancelled: .cancelled
            case .crashed, .memoryLimit, .workersLost: .aborted
            }
        }
    }

    /// Whether it is over, with a value or without.
    public var isOver: Bool { cell.end != nil }

    /// The worker that ran it; nil while it is not over, and where none did.
    public var worker: String? {
        switch cell.end {
        case .value(_, let worker, _, _): worker
        case .failed(let error): error.worker
        case .lost, nil: nil
        }
    }

    /// Number of the attempt that ended it, from 1; nil while it is not over.
    public var attempt: Int? {
        switch cell.end {
        case .value(_, _, let attempt, _): attempt
        case .failed(let error): error.attempt
        case .lost, nil: nil
        }
    }

    /// Seconds that the attempt took on its worker; nil while it is not over. Short calls that ran
    /// together share their time evenly.
    public var seconds: Double? {
        switch cell.end {
        case .value(_, _, _, let nanoseconds): Double(nanoseconds) / 1e9
        case .failed(let error): error.seconds
        case .lost, nil: nil
        }
    }

    var hasFailed: Bool {
        switch cell.end {
        case .failed, .lost: true
        case .value, nil: false
        }
    }
}

extension Cluster {
    /// Starts one call of a function and gives back a handle at once.
    ///
    /// Calls of one function with the same options share a job, so many of them cost little each:
    /// submit them all, then await their values.
    ///
    /// - Parameters:
    ///   - function: listed in the program's functions.
    ///   - input: encoded here and now; where that fails, the handle throws it.
    ///   - options: as `.timeout(.seconds(5))`. (`.progress` is without effect.)
    public func submit<Input, Output>(
        _ function: ClusterFunction<Input, Output>, _ input: Input, _ options: JobOption...
    ) -> ItemHandle<Output> {
        let cell: ItemCell
        do {
            let bytes = try function.inputs.encode(input)
            let settings = JobSettings(options)
            cell = queues.submit(
                bytes, width: function.inputs.width, function.name, function.fixed, settings,
                on: self)
        } catch {
            cell = ItemCell(nil, 0)
            cell.finish(
                .lost(
                    ClusterError(
                        .usage, "the input of \(function.name) cannot be encoded: \(error)"))
            )
        }
        return ItemHandle(cell: cell, outputs: function.outputs)
    }
}
