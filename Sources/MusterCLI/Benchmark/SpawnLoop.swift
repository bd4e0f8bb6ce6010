/// The floor under everything that starts programs: a thread per slot that does nothing but vfork,
/// execve and waitpid, one program for each line of standard input. What it reaches is what this
/// machine takes to start and end the programs themselves.

import Dispatch
import MusterWorker
import NIOConcurrencyHelpers

enum SpawnLoop {
    /// Runs `program LINE` for each line, `slots` at a time; returns when all have ended.
    static func run(_ program: String, slots: Int) {
        let input = NIOLockedValueBox(())
        DispatchQueue.concurrentPerform(iterations: slots) { _ in
            while let line = input.withLockedValue({ _ in readLine() }) {
                BareStart.run(program, line)
            }
        }
    }
}
