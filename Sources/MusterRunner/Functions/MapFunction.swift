// A function that makes a value of each input, opened for a job. In: chunks on lanes. Out: values,
// failures and printed text in the order of the items (MapValues.swift, ReplyWriter.swift).

final class MapFunction<Input: Sendable, Output: Sendable>: OpenFunction {
    private let inputs: ValueCodec<Input>
    private let outputs: ValueCodec<Output>
    private let body: FunctionBody<Input, Output>

    init(
        inputs: ValueCodec<Input>, outputs: ValueCodec<Output>, body: FunctionBody<Input, Output>
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.body = body
    }

    var isAsynchronous: Bool { body.isAsynchronous }

    func run(_ chunk: Chunk, on lane: Lane) {
        guard case .plain(let call) = body else { return }
        var strides = InputStrides(chunk, on: lane, coder: inputs.coder)
        let values = MapValues(chunk, lane, outputs)
        let clock = chunk.job.request.clock
        while let stride = strides.next() {
            values.begin(stride.first, count: stride.inputs.count)
            let last = stride.inputs.count - 1
            while let place = strides.claim.takeOne() {
                lane.begin(chunk.first + UInt64(place), clock: clock)
                if let refusal = stride.refusal {
                    values.fail(place, ItemFailure(.undecodable, refusal))
                    break
                }
                let index = Int(place - stride.first)
                do {
                    values.next.initialize(to: try call(stride.inputs[index]))
                    values.add(place, looks: index == last)
                } catch {
                    values.fail(place, ItemFailure(.threw, error))
                }
                if index == last { break }
            }
            values.end(&strides)
        }
        values.close()
    }

    func run(_ chunk: Chunk, asynchronouslyOn lane: Lane) async {
        guard case .asynchronous(let call) = body else { return }
        var strides = InputStrides(chunk, on: lane, coder: inputs.coder)
        let values = MapValues(chunk, lane, outputs)
        let clock = chunk.job.request.clock
        while let stride = strides.next() {
            values.begin(stride.first, count: stride.inputs.count)
            let last = stride.inputs.count - 1
            while let place = strides.claim.takeOne() {
                lane.begin(chunk.first + UInt64(place), clock: clock)
                if let refusal = stride.refusal {
                    values.fail(place, ItemFailure(.undecodable, refusal))
                    break
                }
                let index = Int(place - stride.first)
                do {
                    values.next.initialize(to: try await call(stride.inputs[index]))
                    values.add(place, looks: index == last)
                } catch {
                    values.fail(place, ItemFailure(.threw, error))
                }
                if index == last { break }
            }
            values.end(&strides)
        }
        values.close()
    }

    /// Every value has left already.
    func finish(_ chunk: Chunk, on lane: Lane) {}
}
