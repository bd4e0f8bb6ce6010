// Private directories of items: made 0700, found by nobody else, removed without following links.

import FoundationEssentials
import Glibc
import MusterWorker
import Testing

@Suite("Private directories", .timeLimit(.minutes(2)))
struct PrivateDirectoryTests {
    /// A base folder beside a file that must survive.
    private func withBase(
        _ body: (PrivateDirectoryBase, _ outside: String) throws -> Void
    ) throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try #require(mkdir(folder + "/base", 0o700) == 0)
        try #require(mkdir(folder + "/outside", 0o755) == 0)
        let kept = folder + "/outside/kept"
        try "kept".write(toFile: kept, atomically: true, encoding: .utf8)
        try body(PrivateDirectoryBase(path: folder + "/base"), folder + "/outside")
        #expect(FileManager.default.fileExists(atPath: kept))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/base").isEmpty)
    }

    private func shell(_ script: String, in folder: String) throws {
        let status = script.withCString { script in
            folder.withCString {
                system("cd '\(String(cString: $0))' && \(String(cString: script))")
            }
        }
        try #require(status == 0)
    }

    @Test("A directory is new, empty and closed to others")
    func make() throws {
        try withBase { base, _ in
            let first = try base.make()
            let second = try base.make()
            #expect(first != second)
            var status = stat()
            #expect(lstat(first.path, &status) == 0 && status.st_mode == S_IFDIR | 0o700)
            try base.remove(first)
            try base.remove(second)
            try base.remove(second)
        }
    }

    @Test("Whatever lies in it goes, and what links point to stays")
    func remove() throws {
        try withBase { base, outside in
            let directory = try base.make()
            try shell(
                """
                ln -s '\(outside)' link && ln -s '\(outside)/kept' file && ln -s /no/such dangling
                mkfifo fifo && mkdir -p a/b/c shut/in && touch a/b/c/x shut/in/x .hidden &&
                ln -s '\(outside)' a/b/link && touch "$(printf 'odd\\nname\\377')" '-rf' &&
                python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")' &&
                i=0; while [ $i -lt 5000 ]; do : > many$i; i=$((i+1)); done;
                chmod 000 shut/in shut a/b/c; chmod 555 a/b
                """, in: directory.path)
            try base.remove(directory)
        }
    }

    @Test("A directory without any rights is removed by a plain user too")
    func plainUser() throws {
        try withBase { base, _ in
            let directory = try base.make()
            try shell(
                "mkdir -p shut/in && : > shut/in/x && chown -R 65534 . && chmod 000 shut/in shut",
                in: directory.path)
            let folder = URL(fileURLWithPath: base.path).deletingLastPathComponent().path
            try #require(chmod(folder, 0o777) == 0 && chown(base.path, 65534, 65534) == 0)
            // The file system sees this thread as the user nobody, without root's rights.
            guard geteuid() == 0, let symbol = dlsym(nil, "setfsuid") else {
                try base.remove(directory)
                return
            }
            typealias SetUser = @convention(c) (UInt32) -> CInt
            let setUser = unsafeBitCast(symbol, to: SetUser.self)
            _ = setUser(65534)
            defer { _ = setUser(0) }
            #expect(open(directory.path + "/shut", O_RDONLY) == -1)
            try base.remove(directory)
        }
    }

    @Test("A tree deeper than a process has descriptors is removed")
    func deep() throws {
        try withBase { base, _ in
            let directory = try base.make()
            try shell(
                """
                python3 -c '
                import os
                for level in range(3000):
                    os.mkdir("d"); open("f", "w").close(); os.chdir("d")'
                """, in: directory.path)
            try base.remove(directory)
        }
    }

    @Test(
        "Only a directory that nobody touched serves the next item",
        arguments: [
            (":", true), (": > f", false), (": > f; rm f", true), ("mkdir d", false),
            ("chmod 755 .", false), ("chmod 000 .; chmod 755 .", false),
            ("touch f; touch -d @0 . f", false), ("rmdir \"$PWD\"", false),
            ("mv \"$PWD\" \"$PWD.old\"; ln -s /tmp \"$PWD\"", false),
        ] as [(String, Bool)])
    func pristine(command: String, isPristine: Bool) throws {
        try withBase { base, _ in
            for start in [0, UInt64.max] {
                let directory = try base.make()
                try shell(command, in: directory.path)
                #expect(base.isPristine(directory, since: start) == isPristine, "\(start)")
                try shell("rm -rf '\(base.path)'/*", in: "/")
            }
        }
    }

    @Test("A directory swapped for a link, before or meanwhile, never leads outside")
    func swapped() throws {
        try withBase { base, outside in
            let directory = try base.make()
            try shell(
                "rmdir '\(directory.path)' && ln -s '\(outside)' '\(directory.path)'", in: "/")
            try base.remove(directory)
        }
        try withBase { base, outside in
            let directory = try base.make()
            try shell("mkdir -p victim/kept && ln -s '\(outside)' link", in: directory.path)
            // Exchanges folder and link as fast as it can until both are gone.
            let swapper = """
                import ctypes, sys
                libc = ctypes.CDLL(None)
                while libc.renameat2(-100, b"victim", -100, b"link", 2) == 0: pass
                """
            try shell("(python3 -c '\(swapper)' > /dev/null 2>&1 &)", in: directory.path)
            try base.remove(directory)
        }
    }

    @Test("A base that others can rename in is refused, and a missing one")
    func refused() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try #require(chmod(folder, 0o777) == 0)
        #expect(throws: WorkerError.self) { try PrivateDirectoryBase(path: folder) }
        try #require(chmod(folder, 0o1777) == 0)
        _ = try PrivateDirectoryBase(path: folder)
        #expect(throws: WorkerError.self) { try PrivateDirectoryBase(path: folder + "/none") }
    }
}
