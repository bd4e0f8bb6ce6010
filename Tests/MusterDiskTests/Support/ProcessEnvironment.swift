// Whether somebody wants figures printed.

import Glibc

enum ProcessEnvironment {
    static func has(_ name: String) -> Bool { getenv(name) != nil }
}
