// What the system knows about a terminal. Used by Inputs/InputPlan.swift and ProgressPainter.swift.

import Glibc

package enum SystemTerminal {
    package static func isTerminal(_ descriptor: Int32) -> Bool {
        isatty(descriptor) == 1
    }

    /// Columns of the terminal; nil when it is none or does not tell.
    package static func width(_ descriptor: Int32) -> Int? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Whether text of this process may hold more than ASCII, by `LC_ALL`, `LC_CTYPE` and `LANG`.
    package static func usesUTF8(environment: (String) -> String?) -> Bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap(environment).first {
            !$0.isEmpty
        }
        guard let locale = locale?.lowercased() else { return false }
        return locale.contains("utf-8") || locale.contains("utf8")
    }

    /// Whether colours are wanted: on a terminal that is not `dumb`, unless `NO_COLOR` is set.
    package static func allowsColour(
        isTerminal: Bool, environment: (String) -> String?
    ) -> Bool {
        isTerminal && (environment("NO_COLOR") ?? "").isEmpty && environment("TERM") != "dumb"
    }

    /// A variable of this process.
    package static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}
