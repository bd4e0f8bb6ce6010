/// A process that a benchmark started: in a process group of its own, so that all of it can be
/// ended; its number is never signalled once it was reaped. `BenchmarkScene` keeps the list.

import Glibc
import Muster
import MusterModel
import NIOConcurrencyHelpers

/// What to start.
struct BenchmarkProgram: Sendable {
    /// A path, or a name that is looked for in PATH.
    var program: String
    var arguments: [String]
    /// Files for the three descriptors; nil = /dev/null.
    var input: String?
    var output: String?
    var errors: String?
    /// `NAME=value`, all of it.
    var environment: [String]

    /// This program itself, with these arguments.
    static func muster(_ arguments: [String], environment: [String]) -> BenchmarkProgram {
        BenchmarkProgram(
            program: "/proc/self/exe", arguments: arguments, environment: environment)
    }
}

final class BenchmarkChild: Sendable {
    let pid: pid_t
    let program: BenchmarkProgram
    /// What asks it to end at once and in order.
    let endSignal: Int32
    /// Exit code or 128 + signal; nil until it was reaped.
    private let status = NIOLockedValueBox<Int32?>(nil)

    /// - Throws: `.system` where it cannot be started.
    init(_ program: BenchmarkProgram, endSignal: Int32) throws {
        self.program = program
        self.endSignal = endSignal
        pid = try Self.spawn(program)
    }

    private static func spawn(_ program: BenchmarkProgram) throws -> pid_t {
        let name = program.program == "/proc/self/exe" ? "muster" : program.program
        var argv: [UnsafeMutablePointer<CChar>?] = ([name] + program.arguments).map { strdup($0) }
        var environment: [UnsafeMutablePointer<CChar>?] = program.environment.map { strdup($0) }
        argv.append(nil)
        environment.append(nil)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer {
            for pointer in argv + environment { free(pointer) }
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        let creating = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, 0, program.input ?? "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(
            &actions, 1, program.output ?? "/dev/null", creating, 0o600)
        posix_spawn_file_actions_addopen(
            &actions, 2, program.errors ?? "/dev/null", creating, 0o600)
        // This process ignores or handles some signals; the child starts as from a shell.
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        let failure = posix_spawnp(
            &pid, program.program, &actions, &attributes, argv, environment)
        guard failure == 0 else {
            throw MusterError(
                .system, "cannot start \(name): \(String(cString: strerror(failure)))")
        }
        return pid
    }

    /// Waits for its end.
    /// - Parameter limit: seconds after which it and its children are killed.
    /// - Returns: its exit code, or 128 + the signal that ended it.
    /// - Throws: `.system` where it took too long.
    func wait(limit: Double) throws -> Int32 {
        let guardian = BenchmarkTimer(seconds: limit) { [weak self] in self?.signal(SIGKILL) }
        defer { guardian.cancel() }
        var info = siginfo_t()
        while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
        let code = reap() ?? 0
        if guardian.hasFired {
            throw MusterError(
                .system,
                "`\(program.arguments.joined(separator: " "))` was not over after "
                    + "\(DurationText.text(.seconds(limit))) and was killed")
        }
        return code
    }

    /// Its exit code if it is over; nil while it runs.
    func poll() -> Int32? {
        if let known = status.withLockedValue({ $0 }) { return known }
        var info = siginfo_t()
        guard waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT | WNOHANG) == 0,
            info.si_signo == SIGCHLD
        else { return nil }
        return reap()
    }

    /// To it and to what it started.
    func signal(_ number: Int32) {
        status.withLockedValue { status in
            if status == nil { kill(-pid, number) }
        }
    }

    /// Asks it to end, waits, kills what is left.
    func end(patience: Double) {
        if poll() != nil { return }
        status.withLockedValue { status in
            if status == nil { kill(pid, endSignal) }
        }
        let end = ContinuousClock.now + .seconds(patience)
        while poll() == nil {
            if ContinuousClock.now > end { signal(SIGKILL) }
            usleep(2000)
        }
    }

    /// Takes the zombie away. Until then its group's number belongs to nobody else, so what the
    /// child left behind is ended here.
    private func reap() -> Int32? {
        status.withLockedValue { status in
            if let status { return status }
            kill(-pid, SIGKILL)
            var word: Int32 = 0
            guard waitpid(pid, &word, 0) == pid else { return nil }
            let ended = word & 0x7f
            status = ended == 0 ? (word >> 8) & 0xff : 128 + ended
            return status
        }
    }
}
