/// What `deploy/soak` asks for, as it comes in the environment. Without it there is no soak.

import Glibc

struct SoakOptions {
    var seconds: Double
    /// The classes of faults to choose from.
    var classes: [SoakClass]
    /// Ends after so many kills of the coordinator, whatever the time.
    var kills: Int?
    var seed: UInt64
    /// The soak has a network of its own, in which packets may be dropped.
    var ownsNetwork: Bool

    /// Nil when nobody asked for a soak.
    static let given: SoakOptions? = {
        guard let minutes = variable("MUSTER_SOAK_MINUTES").flatMap(Double.init) else { return nil }
        let names = variable("MUSTER_SOAK_ONLY")?.split(separator: ",").map(String.init) ?? []
        let asked = names.isEmpty ? SoakClass.allCases : names.compactMap(SoakClass.init(rawValue:))
        return SoakOptions(
            seconds: minutes * 60, classes: asked,
            kills: variable("MUSTER_SOAK_KILLS").flatMap { Int($0) },
            seed: variable("MUSTER_SOAK_SEED").flatMap { UInt64($0) } ?? .random(in: 1...999_999),
            ownsNetwork: variable("MUSTER_SOAK_NETWORK") == "1")
    }()

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// Numbers that are the same for the same seed (SplitMix64, Steele and others 2014).
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
