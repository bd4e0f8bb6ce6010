// A command on its way to a supervisor. In: argv, environment, directory and limits of one item.
// Out: the bytes of a launch request, whose layout stands in CSupervisor.h. Next: Slot.swift.
//
// What the kernel would refuse is refused here, before anything is sent, with words that help.

private import CSupervisor
private import Glibc
package import NIOCore

package struct Launch: Hashable, Sendable {
    /// Without a slash the first is searched in the PATH of `environment`.
    package var argv: [[UInt8]]
    package var environment: EnvironmentBlock
    /// Absolute path of the directory to start in.
    package var directory: [UInt8]
    /// Wall time before the item is ended; nil = none.
    package var timeout: Duration?
    /// Time from TERM to KILL when `timeout` is over; zero = KILL at once.
    package var killGrace: Duration
    /// Most bytes of stdout and stderr together; Int.max = no limit.
    package var outputLimit: Int
    /// Absolute niceness from -20 to 19; nil = the worker's own.
    package var nice: Int?

    package init(
        argv: [[UInt8]],
        environment: EnvironmentBlock,
        directory: [UInt8],
        timeout: Duration? = nil,
        killGrace: Duration = .seconds(5),
        outputLimit: Int = .max,
        nice: Int? = nil
    ) {
        self.argv = argv
        self.environment = environment
        self.directory = directory
        self.timeout = timeout
        self.killGrace = killGrace
        self.outputLimit = outputLimit
        self.nice = nice
    }

    /// Longest single argument or environment entry in bytes (MAX_ARG_STRLEN without its NUL).
    package static let maxStringBytes = 128 * 1024 - 1

    /// Most bytes of arguments and environment together, with a pointer for each, as the kernel
    /// counts. The supervisor's own bound lies above the kernel's highest.
    package static let maxTotalBytes: Int = {
        let system = sysconf(Int32(_SC_ARG_MAX))
        return min(system > 0 ? system : 128 * 1024, 6 << 20)
    }()

    /// Checks everything that can be known before the start.
    ///
    /// - Throws: `.invalidLaunch`, `.launchTooLarge`.
    package func validate() throws(WorkerError) {
        guard let command = argv.first else {
            throw WorkerError(.invalidLaunch, "There is no command to run.")
        }
        guard directory.first == UInt8(ascii: "/"), !directory.contains(0) else {
            throw WorkerError(
                .invalidLaunch,
                "The working directory \(quoted(directory)) is not an absolute path.")
        }
        if let nice, !(-20...19).contains(nice) {
            throw WorkerError(.invalidLaunch, "Niceness \(nice) is not between -20 and 19.")
        }
        guard outputLimit >= 0, killGrace >= .zero, (timeout ?? .zero) >= .zero else {
            throw WorkerError(.invalidLaunch, "A limit of the item is negative.")
        }
        var total = environment.bytes.count + 8 * environment.count + command.count + 1
        var longest = environment.longest
        for argument in argv {
            guard !argument.contains(0) else {
                throw WorkerError(
                    .invalidLaunch,
                    "An argument holds a NUL byte, which no command line can carry. "
                        + "Give such input by file or standard input.")
            }
            longest = max(longest, argument.count)
            total += argument.count + 1 + 8
        }
        guard longest <= Launch.maxStringBytes else {
            throw WorkerError(
                .launchTooLarge,
                "An argument or environment entry has \(longest) bytes; the system takes "
                    + "\(Launch.maxStringBytes). Give long input by file or standard input.",
                errno: E2BIG)
        }
        guard total <= Launch.maxTotalBytes else {
            throw WorkerError(
                .launchTooLarge,
                "Command line and environment need \(total) bytes; the system takes "
                    + "\(Launch.maxTotalBytes). Give long input by file or standard input.",
                errno: E2BIG)
        }
    }

    /// About what the request takes.
    package var approximateBytes: Int {
        argv.reduce(directory.count + environment.bytes.count) { $0 + $1.count }
    }

    /// Appends the launch request.
    ///
    /// - Throws: what ``validate()`` throws; then the buffer is as it was.
    package func encode(serial: UInt64, into buffer: inout ByteBuffer) throws(WorkerError) {
        try validate()
        var length = Int(MUSTER_LAUNCH_HEADER_BYTES)
        length += directory.count + 1 + environment.bytes.count
        for argument in argv { length += argument.count + 1 }
        buffer.reserveCapacity(minimumWritableBytes: length)
        buffer.writeMultipleIntegers(
            UInt32(length - 4),
            UInt8(MUSTER_REQUEST_LAUNCH.rawValue), UInt8(0), UInt16(0),
            serial,
            timeout.map { max($0.clampedNanoseconds, 1) } ?? 0,
            killGrace.clampedNanoseconds,
            UInt64(outputLimit),
            nice.map { Int32($0) } ?? .min,
            UInt32(argv.count),
            UInt32(environment.count),
            endianness: .host)
        buffer.writeBytes(directory)
        buffer.writeInteger(UInt8(0))
        for argument in argv {
            buffer.writeBytes(argument)
            buffer.writeInteger(UInt8(0))
        }
        buffer.writeBytes(environment.bytes)
    }

    /// Appends a request to end the launch with this serial.
    static func encodeKill(serial: UInt64, grace: Duration, into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(
            UInt32(MUSTER_KILL_BYTES) - 4,
            UInt8(MUSTER_REQUEST_KILL.rawValue), UInt8(0), UInt16(0),
            serial,
            grace.clampedNanoseconds,
            endianness: .host)
    }
}

extension Launch {
    /// Appends a request to drop these launches.
    static func encodeDrop(_ launches: Range<UInt64>, into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(
            UInt32(MUSTER_DROP_BYTES) - 4,
            UInt8(MUSTER_REQUEST_DROP.rawValue), UInt8(0), UInt16(0),
            launches.lowerBound,
            launches.upperBound,
            endianness: .host)
    }
}

/// Bytes of a user's for a message: at most the beginning, without control characters.
private func quoted(_ bytes: [UInt8]) -> String {
    let text = String(decoding: bytes.prefix(200), as: UTF8.self)
    let visible = text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }
    return "'" + String(String.UnicodeScalarView(visible)) + "'"
}

extension Duration {
    /// Whole nanoseconds, no less than 0 and no more than fit.
    var clampedNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return .max }
        let (sum, carry) = whole.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        return carry ? .max : sum
    }
}
