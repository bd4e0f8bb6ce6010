/// What a test has measured, as a line on standard output for whoever keeps docs/reliability.md.

import Glibc

enum Figure {
    static func say(_ promise: String, _ text: String) {
        let line = Array("figure: \(promise): \(text)\n".utf8)
        _ = write(1, line, line.count)
    }

    /// Median and maximum of seconds, in milliseconds.
    static func spread(_ seconds: [Double]) -> String {
        let sorted = seconds.sorted()
        guard let last = sorted.last else { return "nothing" }
        let median = sorted[sorted.count / 2]
        return "median \(rounded(median)) ms, at most \(rounded(last)) ms of \(sorted.count)"
    }

    private static func rounded(_ seconds: Double) -> Double { (seconds * 10_000).rounded() / 10 }
}
