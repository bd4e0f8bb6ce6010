// The progress line, its painter and its terminal.

import Glibc
import Muster
import MusterCLI
import Testing

private func snapshot(
    finished: Int, total: Int? = 1200, _ change: (inout ProgressSnapshot) -> Void = { _ in }
) -> ProgressSnapshot {
    var snapshot = ProgressSnapshot(job: "41", label: "resize", total: total)
    snapshot.finished = finished
    change(&snapshot)
    return snapshot
}

@Suite("Progress line")
struct ProgressBarTests {
    static let documented = snapshot(finished: 504) {
        $0.running = 8
        $0.failed = 2
        $0.elapsedSeconds = 12.9
        $0.rate = 41.2
    }

    @Test("The documented line")
    func documentedLine() {
        let line =
            "41 resize:  42%|████▏     | 504/1200 [00:12<00:17, 41.2 item/s, 8 running, 2 failed]"
        #expect(ProgressBar().line(Self.documented, width: nil) == line)
        #expect(ProgressBar().line(Self.documented, width: line.count) == line)
        let ascii = ProgressBar(ascii: true).line(Self.documented, width: nil)
        #expect(ascii.contains("|####2     |"))
        let coloured = ProgressBar(colour: true).line(Self.documented, width: line.count)
        #expect(coloured.contains("\u{1B}[31m2 failed\u{1B}[0m]"))
        #expect(coloured.count == line.count + 9)
    }

    @Test("Unknown totals, unknown rates and ends")
    func variants() {
        let bar = ProgressBar()
        var open = snapshot(finished: 504, total: nil) { $0.elapsedSeconds = 12 }
        open.rate = 41.2
        #expect(bar.line(open, width: nil) == "41 resize: 504 [00:12, 41.2 item/s]")
        #expect(
            bar.line(snapshot(finished: 0), width: nil)
                == "41 resize:   0%|          | 0/1200 [00:00<?, ? item/s]")
        #expect(
            bar.line(snapshot(finished: 1200), width: nil).contains("100%|██████████| 1200/1200"))
        #expect(bar.line(snapshot(finished: 1199), width: nil).contains(" 99%|"))
        #expect(bar.line(snapshot(finished: 0, total: 0), width: nil).contains("100%|"))
        let waiting = snapshot(finished: 9) { $0.waitingForItem = 4 }
        #expect(bar.line(waiting, width: nil).hasSuffix(", waiting for item 4]"))
        #expect(
            bar.plainLine(Self.documented).hasPrefix("41 resize: 42% 504/1200 [00:12<00:17, 41.2"))
        let nameless = ProgressSnapshot(total: 2)
        #expect(bar.line(nameless, width: nil).hasPrefix("  0%|"))
        let hostile = ProgressSnapshot(label: "a\u{1B}]52;c;x\u{07}\r", total: 1)
        #expect(bar.line(hostile, width: nil).hasPrefix("a\\e]52;c;x\\x07\\r: "))
    }

    @Test(
        "The line never exceeds the width",
        arguments: [1, 2, 10, 40, 60, 70, 80, 84, 85, 86, 120, 300])
    func widths(width: Int) {
        for total in [1200, nil] {
            for label in ["resize", "日本語の名前がとても長い名前がとても長い", ""] {
                var item = Self.documented
                item.total = total
                item.label = label
                for ascii in [true, false] {
                    let line = ProgressBar(ascii: ascii).line(item, width: width)
                    #expect(DisplayWidth.columns(line) <= width)
                    if total != nil, width > 140 { #expect(DisplayWidth.columns(line) == width) }
                }
            }
        }
    }

    @Test("Bars grow by eighths, as in tqdm")
    func eighths() {
        let expected = [
            "          ", "▋         ", "█▎        ", "█▉        ", "██▌       ", "███▏      ",
            "███▊      ", "████▍     ", "█████     ", "█████▋    ", "██████▎   ", "██████▉   ",
            "███████▌  ", "████████▏ ", "████████▊ ", "█████████▍", "██████████",
        ]
        let shown = (0...16).map { step in
            let line = ProgressBar().line(ProgressSnapshot.at(step, of: 16), width: nil)
            return String(line.split(separator: "|", omittingEmptySubsequences: false)[1])
        }
        #expect(shown == expected)
    }

    @Test("The rate is smoothed as in tqdm")
    func rate() {
        var meter = RateMeter(at: 100)
        #expect(meter.perSecond == nil)
        meter.update(count: 10, at: 101)
        #expect(meter.perSecond == 10)
        meter.update(count: 30, at: 102)
        // (0.3·20 + 0.7·3) / (0.3·1 + 0.7·0.3)
        #expect(abs((meter.perSecond ?? 0) - 8.1 / 0.51) < 1e-9)
        let before = meter
        meter.update(count: 99, at: 102)
        meter.update(count: 99, at: 50)
        meter.update(count: 5, at: 200)
        meter.update(count: 99, at: .nan)
        #expect(meter == before)
    }
}

extension ProgressSnapshot {
    fileprivate static func at(_ finished: Int, of total: Int) -> ProgressSnapshot {
        var snapshot = ProgressSnapshot(total: total)
        snapshot.finished = finished
        return snapshot
    }
}

@Suite("Painting")
struct ProgressPainterTests {
    @Test("Ten paintings a second at most, and other output in between")
    func paints() {
        var painter = ProgressPainter(bar: ProgressBar(), manner: .terminal)
        let item = snapshot(finished: 1)
        #expect(painter.erase().isEmpty)
        #expect(painter.repaint().isEmpty)
        let first = String(decoding: painter.paint(item, now: 5, width: 80), as: UTF8.self)
        #expect(first.hasPrefix("\r41 resize:") && first.hasSuffix("\u{1B}[K"))
        #expect(painter.paint(item, now: 5.05, width: 80).isEmpty)
        #expect(!painter.paint(item, now: 5.11, width: 80).isEmpty)
        #expect(painter.erase() == Array("\r\u{1B}[K".utf8))
        #expect(painter.erase().isEmpty)
        #expect(String(decoding: painter.repaint(), as: UTF8.self) == first)
        #expect(painter.repaint().isEmpty)
        #expect(painter.finish(item, width: 80).last == 10)
        #expect(painter.erase().isEmpty && painter.repaint().isEmpty)
    }

    @Test("Off a terminal there are whole lines, now and then")
    func plainLines() {
        var painter = ProgressPainter(bar: ProgressBar(), manner: .lines(everySeconds: 10))
        let line = String(
            decoding: painter.paint(snapshot(finished: 1), now: 0, width: nil), as: UTF8.self)
        #expect(line.hasPrefix("41 resize: 0% 1/1200 [") && line.hasSuffix("]\n"))
        #expect(painter.paint(snapshot(finished: 2), now: 9.9, width: nil).isEmpty)
        #expect(!painter.paint(snapshot(finished: 2), now: 10, width: nil).isEmpty)
        #expect(painter.erase().isEmpty && painter.repaint().isEmpty)
    }

    @Test("On a real terminal the line follows the width and makes way for results")
    func terminal() throws {
        let terminal = try TestTerminal()
        try terminal.resize(columns: 100)
        let progress = ProgressTerminal(
            descriptor: terminal.terminal, output: terminal.terminal,
            painter: ProgressPainter(bar: ProgressBar(), manner: .terminal))
        progress.show(snapshot(finished: 1), now: 1)
        #expect(DisplayWidth.columns(terminal.seen()) == 99 + "\r\u{1B}[K".count)
        try terminal.resize(columns: 120)
        progress.show(snapshot(finished: 2), now: 2)
        #expect(DisplayWidth.columns(terminal.seen()) == 119 + "\r\u{1B}[K".count)
        progress.willWriteOutput()
        #expect(terminal.seen() == "\r\u{1B}[K")
        progress.didWriteOutput(lastByte: 0x61)
        progress.show(snapshot(finished: 3), now: 3)
        #expect(terminal.seen() == "", "nothing is painted over half a line")
        progress.willWriteOutput()
        progress.didWriteOutput(lastByte: 10)
        #expect(terminal.seen().contains("2/1200"))
        progress.finish(snapshot(finished: 1200))
        #expect(terminal.seen().hasSuffix("\u{1B}[K\n"))
        progress.clear()
        #expect(terminal.seen() == "")
    }

    @Test("Colours and characters follow the environment")
    func environment() {
        func allows(_ variables: [String: String], terminal: Bool = true) -> Bool {
            SystemTerminal.allowsColour(isTerminal: terminal) { variables[$0] }
        }
        #expect(allows([:]) && allows(["NO_COLOR": ""]))
        #expect(
            !allows(["NO_COLOR": "1"]) && !allows(["TERM": "dumb"]) && !allows([:], terminal: false)
        )
        func utf8(_ variables: [String: String]) -> Bool {
            SystemTerminal.usesUTF8 { variables[$0] }
        }
        #expect(utf8(["LANG": "de_DE.UTF-8"]) && utf8(["LC_ALL": "C.utf8", "LANG": "C"]))
        #expect(
            !utf8([:]) && !utf8(["LANG": "C"]) && !utf8(["LC_ALL": "C", "LANG": "de_DE.UTF-8"]))
    }
}
