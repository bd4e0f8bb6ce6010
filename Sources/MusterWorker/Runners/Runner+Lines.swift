/// Programs that answer one line per line (`--serve`). In: the items of a piece, each written as a
/// line. Out: for each a line of the program's stdout, as the item's output. Several lines are
/// asked before the first is answered, so answers can only be told apart by their order.

import DequeModule
import MusterModel
import MusterWire
import NIOCore

extension Runner {
    func sendLines(_ piece: RunnerWork.Piece) {
        guard let process = life?.process else { return }
        for item in piece.items {
            do {
                let line = try line(of: item, in: piece.chunk)
                life?.asked.append((piece.serial, item))
                process.request {
                    $0.write {
                        $0.writeBytes(line)
                        $0.writeInteger(UInt8(ascii: "\n"))
                    }
                }
            } catch {
                let why = (error as? MusterError)?.message ?? "\(error)"
                let fault = RunnerFault(ending: .badInput, words: why)
                guard let chunk = work.answer(piece.serial, item..<(item + 1)) else { continue }
                pool.report(fault, item, of: chunk)
                over(chunk, item..<(item + 1), wallNanoseconds: 0)
            }
        }
    }

    private func line(of item: Int, in chunk: RunnerChunk) throws -> [UInt8] {
        if case .array(let array) = chunk.job.kit.spec.input {
            guard let value = array.value(at: item) else {
                throw MusterError(.malformed, "its number is outside the array")
            }
            return Array(String(value).utf8)
        }
        guard let input = chunk.job.kit.inputs.item(item) else {
            throw MusterError(.malformed, "its input did not arrive")
        }
        let fields = try ItemFields.decode(Array(input.readableBytesView))
        guard fields.count == 1 else {
            throw MusterError(
                .malformed, "it has \(fields.count) inputs; a program that serves lines takes one")
        }
        guard !fields[0].contains(UInt8(ascii: "\n")) else {
            throw MusterError(
                .malformed,
                "its input holds a line break, but the program is asked one line for each item")
        }
        return fields[0]
    }

    /// Bytes of one answer.
    private static let lineBytes = 8 << 20

    func readLines(_ bytes: ByteBuffer) {
        var bytes = bytes
        var lines: [ByteBuffer] = []
        while let newline = bytes.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
            guard var line = bytes.readSlice(length: newline + 1 - bytes.readerIndex) else { break }
            if let life, life.line.readableBytes > 0 {
                var whole = life.line
                whole.writeBuffer(&line)
                line = whole
                self.life?.line = ByteBuffer()
            }
            lines.append(line)
        }
        life?.line.writeBuffer(&bytes)
        let asked = life?.asked.count ?? 0
        let most = min(Self.lineBytes, work.first?.chunk.job.options.outputBytes ?? .max)
        for (place, line) in lines.enumerated() {
            if line.readableBytes > most { return answeredTooMuch(most) }
            // The last one it was asked may not be what this line answers.
            if place == asked - 1 && lines.count > asked { return answeredUnasked() }
            guard let (serial, item) = life?.asked.popFirst() else { return answeredUnasked() }
            answered(line, item, serial)
        }
        if life?.line.readableBytes ?? 0 > most { answeredTooMuch(most) }
    }

    private func answered(_ line: ByteBuffer, _ item: Int, _ serial: UInt64) {
        let now = pool.now
        let since = max(
            life?.watch.lastAnswer ?? .zero,
            work.pieces.first { $0.serial == serial }?.sentAt ?? now)
        guard let chunk = work.answer(serial, item..<(item + 1)) else { return }
        if life?.answeredLines == 0 { program.hasStarted() }
        life?.answeredLines += 1
        life?.watch.lastAnswer = now
        let wall = UInt64(max(0, now.nanoseconds(since: since)))
        pool.report(
            pool.outcome(.exited(0), wallNanoseconds: wall), item, of: chunk, stdout: line,
            stderr: life?.process.takeStderr() ?? ByteBuffer())
        over(chunk, item..<(item + 1), wallNanoseconds: wall)
    }

    private func answeredTooMuch(_ most: Int) {
        let words = "the program answered with a line of more than \(most) bytes and was ended"
        endForLines(RunnerFault(ending: .outputLimit, words: words))
    }

    private func answeredUnasked() {
        let words =
            "the program wrote a line that it was not asked for and was ended: it has to write "
            + "exactly one line for each line that it reads"
        endForLines(RunnerFault(ending: .threw, words: words))
    }

    private func endForLines(_ fault: RunnerFault) {
        guard let life, life.fault == nil else { return }
        self.life?.fault = fault
        self.life?.isDeaf = true
        if work.pieces.isEmpty {
            // Nobody is waiting for an answer: the next ones are told.
            program.hasFailed(fault, now: pool.now)
        }
        life.process.kill(grace: .zero)
    }
}
