// A runner in Python that does odd things on request: it leaves the progress file alone, never
// says that it is ready, speaks nonsense. Each is a mode, its first argument; inputs are integers
// of eight bytes, and negative ones are what a mode is about.

import FoundationEssentials

enum OddRunner {
    /// Writes the program and says how it is started.
    static func command(_ mode: String, in folder: String) throws -> [String] {
        let path = folder + ".py"
        try Data(program.utf8).write(to: URL(filePath: path))
        return ["python3", path, mode]
    }

    static let program = #"""
        import json, os, signal, struct, sys, time

        mode = sys.argv[1]

        def once():
            try: os.close(os.open(sys.argv[0] + ".once", os.O_CREAT | os.O_EXCL))
            except FileExistsError: return False
            return True

        if mode == "early" or mode == "early-once" and once(): sys.exit("no such module")
        if mode == "silent-start": time.sleep(1000)
        requests = open(os.environ["MUSTER_RUNNER_REQUESTS"], "rb")
        replies = open(os.environ["MUSTER_RUNNER_REPLIES"], "wb", buffering=0)
        progress = open(os.environ["MUSTER_RUNNER_PROGRESS"], "r+b", buffering=0)

        def reply(kind, body):
            replies.write(struct.pack("<IB", len(body), kind) + body)

        def value(chunk, item, number):
            head = struct.pack("<QQQIIII", chunk, 0, item, 1, 8, 0, 8)
            reply(3, head + struct.pack("<q", number))

        def end_of(number, chunk, item):
            if mode == "half-value": reply(6, struct.pack("<QQ", chunk, item) + b"half")
            if mode in ("halves", "half-value"): os.kill(os.getpid(), signal.SIGSEGV)
            if mode == "midwrite":
                replies.write(struct.pack("<IBQ", 48, 3, 1))
                os._exit(3)
            if mode == "kind": reply(99, b"what?")
            if mode == "long": replies.write(struct.pack("<IB", 2**31, 3))
            if mode == "stranger": value(1, 10**9, 1)
            if mode == "mute": time.sleep(1000)
            if mode == "slow": time.sleep(0.6)
            time.sleep(5)

        if mode == "garbage-start": replies.write(b"hello, world\n" * 100)
        beats = mode == "mute"
        greeting = json.dumps({"protocol": 1, "trims": False, "beats": beats}).encode()
        if mode == "garbage-ready":
            replies.write(struct.pack("<IB", len(greeting), 1) + greeting + b"hello, world\n")
        reply(1, greeting)
        while head := requests.read(5):
            length, kind = struct.unpack("<IB", head)
            body = requests.read(length)
            if kind == 1:
                size, = struct.unpack_from("<I", body)
                job = json.loads(body[4:4 + size])["job"]
                if mode == "open-crash" or mode == "open-once" and once(): os.abort()
                why = b"no such function here" if mode == "refuse" else b""
                reply(2, struct.pack("<Q", job) + why)
            if kind == 2:
                job, chunk, attempt, source = struct.unpack_from("<QQIB", body)
                first, count, width, base, size = struct.unpack_from("<QIIII", body, 21)
                for i in range(count):
                    number, = struct.unpack_from("<q", body, 45 + 8 * i)
                    if mode not in ("halves", "half-value"):
                        progress.seek(0)
                        progress.write(struct.pack("<QQ", first + i + 1, 0))
                    if number < 0: end_of(number, chunk, first + i)
                    value(chunk, first + i, number)
                progress.seek(0)
                progress.write(bytes(16))
        """#
}
