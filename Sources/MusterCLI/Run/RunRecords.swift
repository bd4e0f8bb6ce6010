/// What an attached run writes down beside its output: `--joblog FILE` (GNU parallel's columns),
/// and `--results DIR`, `x.csv` or `x.jsonl` with every item's result. Items come in the order of
/// the output; files are written as they come.

import Glibc
import Muster
import MusterModel
import MusterWire
import NIOCore

final class RunRecords {
    private let joblog: Int32?
    private let results: Results?

    private enum Results {
        /// A directory with one per item, named by its number: `1/stdout`, `1/stderr`.
        case directory([UInt8])
        case csv(Int32)
        case jsonLines(Int32)
    }

    /// - Throws: `MusterError.system` where a file cannot be made.
    init(joblog: [UInt8]?, results: [UInt8]?) throws {
        self.joblog = try joblog.map { try Self.create($0) }
        guard let results else {
            self.results = nil
            self.writeHeads()
            return
        }
        let name = String(decoding: results, as: UTF8.self)
        if name.hasSuffix(".csv") {
            self.results = .csv(try Self.create(results))
        } else if name.hasSuffix(".jsonl") {
            self.results = .jsonLines(try Self.create(results))
        } else {
            try Self.makeDirectory(results)
            self.results = .directory(results)
        }
        writeHeads()
    }

    private func writeHeads() {
        let columns = "Starttime,JobRuntime,Send,Receive,Exitval,Signal,Command"
        if let joblog {
            let head = "Seq\tHost\t" + columns.replacing(",", with: "\t") + "\n"
            Output.write(Array(head.utf8), to: joblog)
        }
        if case .csv(let file) = results {
            Output.write(Array("Seq,Host,\(columns),Stdout,Stderr\n".utf8), to: file)
        }
    }

    /// Notes one item that has ended.
    /// - Parameters:
    ///   - command: the item's command line as `--dry-run` shows it.
    ///   - line: the item as a line of `--json`.
    func note(
        _ record: ResultRecord, _ outcome: Outcome, worker: String, command: [UInt8],
        line: () -> [UInt8]
    ) {
        if let joblog {
            let cells = cells(record, outcome, worker).joined(separator: "\t") + "\t"
            let shown = command.map { $0 == UInt8(ascii: "\n") ? UInt8(ascii: " ") : $0 }
            Output.write(Array(cells.utf8) + shown + [UInt8(ascii: "\n")], to: joblog)
        }
        switch results {
        case .directory(let base): save(record, below: base)
        case .jsonLines(let file): Output.write(line(), to: file)
        case .csv(let file):
            var row = Array(cells(record, outcome, worker).joined(separator: ",").utf8)
            for text in [
                command, Array(record.stdout.readableBytesView),
                Array(record.stderr.readableBytesView),
            ] { row += [UInt8(ascii: ",")] + Self.quoted(text) }
            Output.write(row + [UInt8(ascii: "\n")], to: file)
        case nil: break
        }
    }

    private func cells(_ record: ResultRecord, _ outcome: Outcome, _ worker: String) -> [String] {
        let start = NumberText.fixed(Double(outcome.startMicroseconds) / 1e6, decimals: 3)
        let seconds = NumberText.fixed(Double(outcome.wallNanoseconds) / 1e9, decimals: 3)
        var signal: Int32 = 0
        if case .signalled(let number) = outcome.ending { signal = number }
        let code = signal > 0 ? 0 : outcome.ending.exitCode
        return [
            "\(record.item + 1)", worker, start, seconds, "0", "\(record.stdout.readableBytes)",
            "\(code)", "\(signal)",
        ]
    }

    private func save(_ record: ResultRecord, below base: [UInt8]) {
        let directory = base + Array("/\(record.item + 1)".utf8)
        do {
            try Self.makeDirectory(directory)
            for (name, bytes) in [("stdout", record.stdout), ("stderr", record.stderr)] {
                let file = try Self.create(directory + Array("/\(name)".utf8))
                defer { close(file) }
                bytes.withUnsafeReadableBytes { _ = Output.write($0, to: file) }
            }
        } catch {
            Output.note("\(error)")
        }
    }

    private static func quoted(_ text: [UInt8]) -> [UInt8] {
        let mark = UInt8(ascii: "\"")
        return [mark] + text.flatMap { $0 == mark ? [mark, mark] : [$0] } + [mark]
    }

    private static func create(_ path: [UInt8]) throws -> Int32 {
        let name = path.map { CChar(bitPattern: $0) } + [0]
        let file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw failure("write", path) }
        return file
    }

    private static func makeDirectory(_ path: [UInt8]) throws {
        let name = path.map { CChar(bitPattern: $0) } + [0]
        guard mkdir(name, 0o777) == 0 || errno == EEXIST else { throw failure("make", path) }
    }

    private static func failure(_ verb: String, _ path: [UInt8]) -> MusterError {
        MusterError(
            .system, "cannot \(verb) \(Escaping.visible(path)): \(String(cString: strerror(errno)))"
        )
    }

    func close() {
        if let joblog { Glibc.close(joblog) }
        switch results {
        case .csv(let file), .jsonLines(let file): Glibc.close(file)
        case .directory, nil: break
        }
    }

    private func close(_ file: Int32) { Glibc.close(file) }
}
