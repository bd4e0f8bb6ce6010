/// What a program's machine code needs: `linux-x86_64`. Scripts need nothing and have no platform.

package enum Platform {
    /// The platform that this program was built for.
    package static var here: String {
        #if arch(x86_64)
            "linux-x86_64"
        #elseif arch(arm64)
            "linux-aarch64"
        #else
            "linux-other"
        #endif
    }

    /// The platform that a program's first bytes ask for; nil where it is no machine code.
    /// - Parameter head: at least the first 20 bytes of the file, as far as it has them.
    package static func of(program head: [UInt8]) -> String? {
        guard head.count >= 20, head[0..<4] == [0x7f, 0x45, 0x4c, 0x46] else { return nil }
        let isLittle = head[5] == 1
        let (low, high) = isLittle ? (head[18], head[19]) : (head[19], head[18])
        let machine = Int(high) << 8 | Int(low)
        return switch machine {
        case 62: "linux-x86_64"
        case 183: "linux-aarch64"
        case 243: "linux-riscv64"
        case 3: "linux-i386"
        case 40: "linux-arm"
        default: "linux-machine\(machine)"
        }
    }
}
