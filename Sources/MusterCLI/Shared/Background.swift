/// `--background`: the same program is started again as a process of its own; its pid is printed
/// when it says that it is ready.

import Glibc
import MusterModel

enum Background {
    private static let variable = "MUSTER_READY_DESCRIPTOR"

    /// Starts this program again without `flag`, waits until it is ready, prints its pid.
    static func start(dropping flag: String) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw failure("make a pipe") }
        let words = RawArguments.current.words.filter { $0 != Array(flag.utf8) }
        var argv: [UnsafeMutablePointer<CChar>?] = ([Array("muster".utf8)] + words).map { word in
            strdup(String(decoding: word, as: UTF8.self))
        }
        argv.append(nil)
        defer { for pointer in argv { free(pointer) } }
        setenv(variable, "\(ends[1])", 1)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        // POSIX_SPAWN_SETSID, which Swift's Glibc does not show: a session of its own.
        posix_spawnattr_setflags(&attributes, 0x80)
        var pid: pid_t = 0
        let status = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv, environ)
        close(ends[1])
        guard status == 0 else {
            errno = status
            throw failure("start the program again")
        }
        var byte: UInt8 = 0
        guard read(ends[0], &byte, 1) == 1 else {
            // It has said why on stderr.
            var code: Int32 = 0
            waitpid(pid, &code, 0)
            throw ExitStatus(code & 0x7f == 0 ? max(1, (code >> 8) & 0xff) : 1)
        }
        Output.line("\(pid)")
    }

    /// Tells whoever started this process in the background that it is ready.
    static func ready() {
        guard let text = Places.variable(variable), let descriptor = Int32(text) else { return }
        unsetenv(variable)
        var byte: UInt8 = 1
        _ = write(descriptor, &byte, 1)
        close(descriptor)
    }

    private static func failure(_ what: String) -> MusterError {
        MusterError(.system, "cannot \(what): \(String(cString: strerror(errno)))")
    }
}
