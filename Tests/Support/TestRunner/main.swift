// Functions that tests of runners and workers call, served as any program serves its own.
// In: the environment of a runner. Out: see each function.

internal import FoundationEssentials
@preconcurrency internal import Glibc
internal import MusterRunner

struct Square: Codable, Sendable {
    var x: Int
    var y: Int
}

struct Refused: Error, CustomStringConvertible {
    var number: Int
    var description: String { "\(number) is refused" }
}

struct Context: Codable, Sendable {
    var job: UInt64
    var item: UInt64
    var attempt: UInt32
    var seed: UInt64
    var worker: String

    init?(_ context: ItemContext?) {
        guard let context else { return nil }
        job = context.job
        item = context.item
        attempt = context.attempt
        seed = context.seed
        worker = context.worker
    }
}

/// An item that says in a file that it began: `JOB ITEM ATTEMPT`, counted from 1.
struct Noted: Codable, Sendable {
    var x: Int
    var ledger: String

    func note() {
        let context = ItemContext.current
        let line = "\(context?.job ?? 0) \(x) \(context?.attempt ?? 0)\n"
        let file = open(ledger, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        _ = write(file, line, line.utf8.count)
        close(file)
    }
}

/// Keeps the processor busy without memory or system calls.
func spin(_ rounds: Int) -> Int {
    var state = UInt64(truncatingIfNeeded: rounds) | 1
    for _ in 0..<rounds {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
    }
    return Int(truncatingIfNeeded: state >> 1)
}

nonisolated(unsafe) var leaked: [UnsafeMutableRawPointer] = []

let plain: [RunnerFunction] = [
    .map("noop") { (x: Int) throws -> Int in x },
    .map("square") { (x: Int) throws -> Int in x &* x },
    .map("struct") { (square: Square) throws -> Square in Square(x: square.y, y: square.x) },
    .map("string") { (text: String) throws -> String in text },
    .map("power") { (x: Int, exponent: Int) throws -> Int in
        (0..<max(exponent, 0)).reduce(1) { product, _ in product &* x }
    },
    .map("bytes") { (bytes: [UInt8]) throws -> [UInt8] in bytes },
    // As many bytes as the input says; byte i is i modulo 251.
    .map("big") { (count: Int) throws -> [UInt8] in
        (0..<max(count, 0)).map { UInt8($0 % 251) }
    },
    .map("print") { (x: Int) throws -> Int in
        print("out \(x)")
        fputs("err \(x)\n", stderr)
        return x
    },
    // Prints at every tenth item only.
    .map("rare") { (x: Int) throws -> Int in
        if x % 10 == 0 { print("ten \(x)") }
        return x
    },
    .map("flood") { (megabytes: Int) throws -> Int in
        let line = String(repeating: "flood ", count: 170) + "\n"
        for _ in 0..<megabytes * 1024 { fputs(line, stdout) }
        return megabytes
    },
    .map("throw") { (x: Int) throws -> Int in
        if x < 0 || x % 3 == 0 { throw Refused(number: x) }
        return x
    },
    // Does not come back from a negative number.
    .map("abort") { (x: Int) throws -> Int in
        if x < 0 {
            print("last words of \(x)")
            abort()
        }
        return x
    },
    .map("trap") { (x: Int) throws -> Int in
        let numbers = [1, 2, 3]
        return x < 0 ? numbers[3 &- x] : x
    },
    .map("exit") { (x: Int) throws -> Int in
        if x < 0 { exit(Int32(truncatingIfNeeded: -x)) }
        return x
    },
    // Half a line, then the end.
    .map("exit-midwrite") { (x: Int) throws -> Int in
        if x < 0 {
            fputs("half a li", stdout)
            _exit(3)
        }
        return x
    },
    // Milliseconds; blocks its thread.
    .map("sleep") { (milliseconds: Int) throws -> Int in
        usleep(UInt32(clamping: milliseconds * 1000))
        return milliseconds
    },
    .map("ledger") { (noted: Noted) throws -> Int in
        noted.note()
        usleep(5000)
        return noted.x
    },
    .map("leak") { (megabytes: Int) throws -> Int in
        let bytes = max(megabytes, 0) << 20
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 1), alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 1, count: bytes)
        leaked.append(memory)
        return megabytes
    },
    // The same, and stays a while.
    .map("leak-and-wait") { (megabytes: Int) throws -> Int in
        let bytes = max(megabytes, 1) << 20
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 1, count: bytes)
        leaked.append(memory)
        if megabytes > 100 { usleep(5_000_000) }
        return megabytes
    },
    .map("spin") { (rounds: Int) throws -> Int in spin(rounds) },
    .map("forever") { (x: Int) throws -> Int in
        while x >= 0 { usleep(10_000) }
        return x
    },
    .map("nan") { (x: Int) throws -> Double in x % 2 == 0 ? Double(x) : .nan },
    .map("context") { (_: Int) throws -> Context? in Context(.current) },
    .map("process") { (_: Int) throws -> Int in Int(getpid()) },
    .fold("sum", { (x: Int) throws -> Int in x }, combine: { $0 &+ $1 }),
    // Tells whether partial results were combined in order, and which items have failed.
    .fold(
        "list",
        { (x: Int) throws -> [Int] in
            if x % 7 == 3 { throw Refused(number: x) }
            return [x]
        }, combine: { $0 + $1 }),
]

let asynchronous: [RunnerFunction] = [
    .map("anoop") { (x: Int) async throws -> Int in x },
    // Milliseconds; lets go of its thread.
    .map("asleep") { (milliseconds: Int) async throws -> Int in
        try await Task.sleep(nanoseconds: UInt64(max(milliseconds, 0)) * 1_000_000)
        return milliseconds
    },
    // Milliseconds; holds its thread although it is asynchronous.
    .map("ablock") { (milliseconds: Int) async throws -> Int in
        usleep(UInt32(clamping: milliseconds * 1000))
        return milliseconds
    },
    .map("achildren") { (x: Int) async throws -> Int in
        async let one = Context(.current)?.item ?? 0
        async let two = Context(.current)?.item ?? 0
        await Task.yield()
        return await Int(one + two) + x
    },
    .map("main") { (x: Int) async throws -> Int in await MainActor.run { x + 1 } },
    .map(
        "setup",
        setup: { print("set up") }, { (x: Int) async throws -> Int in x }),
    .map(
        "badsetup",
        setup: { throw Refused(number: 1) }, { (x: Int) async throws -> Int in x }),
]

let functions = FunctionTable(plain + asynchronous)
if RunnerProcess.isRunner {
    await RunnerProcess.serve(functions)
} else {
    print(functions.names.joined(separator: "\n"))
}
