/// Tests of the program as its users have it: real processes, real TLS, real files. One after the
/// other, since they start many processes and some ask how busy ones behave.

import Testing

@Suite("End to end", .serialized)
enum EndToEnd {}

/// Where a run happens.
enum Place: String, CaseIterable, CustomTestStringConvertible {
    case embedded, cluster
    var testDescription: String { rawValue }
}

/// Either kind of run behind one door, for what must be the same in both.
enum Bench {
    /// Gives `body` a way to start `muster run` and a directory for its files.
    static func with(
        _ place: Place, slots: Int = 4,
        _ body: (_ start: ([String], [UInt8]) throws -> Child, TemporaryDirectory) throws -> Void
    ) throws {
        switch place {
        case .embedded:
            let alone = try Alone()
            try body(
                { words, input in
                    try Child(
                        ([Shell.muster, "run", "--local", "-j", "\(slots)"] + words)
                            .map { Array($0.utf8) },
                        environment: alone.environment, directory: alone.directory.path,
                        input: input)
                }, alone.directory)
        case .cluster:
            try Cluster.with(workers: 1, slots: slots) { cluster in
                try body(
                    { words, input in
                        try Child(
                            ([Shell.muster, "run"] + words).map { Array($0.utf8) },
                            environment: cluster.environment, directory: cluster.directory.path,
                            input: input)
                    }, cluster.directory)
            }
        }
    }
}
