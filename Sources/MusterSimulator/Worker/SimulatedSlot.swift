/// One slot of a simulated worker: its chunks, and what of the first one runs.

import MusterCore
import MusterModel

struct SimulatedSlot {
    struct Part {
        let chunk: Chunk
        /// Items that have not begun.
        var left: ItemSet

        init(_ chunk: Chunk) {
            self.chunk = chunk
            left = ItemSet(chunk.items)
        }
    }

    /// Items that a slot works on: one of a command, several of a function.
    struct Running {
        var chunk: Chunk
        var items: Range<Int>
        var executions: [Int]
        var began: Int64
        /// Asked to stop.
        var stopped = ItemSet()
        /// Pieces of its output that were sent.
        var sentPieces = 0
        var pieces = 1
    }

    let index: Int
    var chunks: [Part] = []
    var running: Running?
    /// Of what was begun here: what ends later than it should have is known by it.
    var token = 0

    init(index: Int) { self.index = index }
}
