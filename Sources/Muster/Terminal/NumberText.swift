// Numbers, times and sizes for people. Values come in, short text goes out.

package enum NumberText {
    /// `value` with a fixed number of decimals, rounded to the nearest; `?` when it is not finite.
    package static func fixed(_ value: Double, decimals: Int) -> String {
        var scale: Int64 = 1
        for _ in 0..<decimals { scale *= 10 }
        let scaled = (value.magnitude * Double(scale)).rounded()
        guard value.isFinite, scaled < 9e18 else { return "?" }
        let number = Int64(scaled)
        let sign = value < 0 && number != 0 ? "-" : ""
        guard decimals > 0 else { return sign + String(number) }
        let fraction = String(number % scale)
        let zeros = String(repeating: "0", count: decimals - fraction.count)
        return sign + String(number / scale) + "." + zeros + fraction
    }

    /// `count` and the noun, in the plural unless it is one: `1 item`, `37 items`.
    package static func counted(_ count: Int, _ noun: String) -> String {
        count == 1 ? "1 \(noun)" : "\(count) \(noun)s"
    }
}

package enum DurationText {
    /// A clock as progress bars show it: `00:12`, `1:02:03`.
    package static func clock(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 1e15 else { return "?" }
        let whole = Int(seconds)
        let pair = { (number: Int) in number < 10 ? "0\(number)" : String(number) }
        let minutes = pair(whole / 60 % 60) + ":" + pair(whole % 60)
        return whole >= 3600 ? "\(whole / 3600):" + minutes : minutes
    }

    /// A length of time in two units at most: `12 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4
    /// h`.
    package static func text(_ duration: Duration) -> String {
        let (whole, attoseconds) = duration.components
        let seconds = Double(whole) + Double(attoseconds) / 1e18
        if seconds < 0 { return "0 ms" }
        if seconds < 0.9995 { return NumberText.fixed(seconds * 1000, decimals: 0) + " ms" }
        if seconds < 59.95 { return NumberText.fixed(seconds, decimals: 1) + " s" }
        guard seconds < 1e15 else { return "?" }
        let rounded = Int(seconds.rounded())
        let pairs = [(86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")]
        for (size, unit, smallSize, smallUnit) in pairs where rounded >= size {
            let rest = rounded % size / smallSize
            return "\(rounded / size) \(unit)" + (rest > 0 ? " \(rest) \(smallUnit)" : "")
        }
        return "\(rounded) s"
    }
}

package enum ByteText {
    /// A size in powers of 1024: `512 B`, `4.0 KiB`, `1.5 GiB`.
    package static func text(_ bytes: Int) -> String {
        guard bytes.magnitude >= 1024 else { return "\(bytes) B" }
        var value = Double(bytes) / 1024
        for unit in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
            if value.magnitude < 1023.95 {
                return NumberText.fixed(value, decimals: 1) + " \(unit)"
            }
            value /= 1024
        }
        return NumberText.fixed(value, decimals: 1) + " EiB"
    }
}
