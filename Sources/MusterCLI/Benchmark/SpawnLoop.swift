/// The floor under everything that starts programs: a thread per slot that does nothing but
/// `posix_spawn` and `waitpid`, one program for each line of standard input. What it reaches is
/// what this machine takes to start and end the programs themselves.

import Dispatch
import Glibc
import NIOConcurrencyHelpers

enum SpawnLoop {
    /// Runs `program LINE` for each line, `slots` at a time; returns when all have ended.
    static func run(_ program: String, slots: Int) {
        let input = NIOLockedValueBox(())
        DispatchQueue.concurrentPerform(iterations: slots) { _ in
            while let line = input.withLockedValue({ _ in readLine() }) { spawn(program, line) }
        }
    }

    private static func spawn(_ program: String, _ argument: String) {
        var words = [strdup(program), strdup(argument), nil]
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        guard posix_spawn(&pid, program, nil, nil, &words, environ) == 0 else { return }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    }
}
