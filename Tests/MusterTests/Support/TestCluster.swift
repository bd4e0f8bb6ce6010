// A real cluster inside the test process, whose runners are `muster-test-program`.

import Glibc
import MusterTestFunctions
import Testing

@testable import Muster

enum TestCluster {
    /// Where the products of the build lie.
    private static let folder: String = {
        var path = [CChar](repeating: 0, count: 4096)
        _ = readlink("/proc/self/exe", &path, path.count - 1)
        let running = path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let words = [String(decoding: running, as: UTF8.self)] + CommandLine.arguments
        // The bundle is an argument of the tool that runs tests.
        for word in words where word.contains("/") {
            let folder = word.split(separator: "/", omittingEmptySubsequences: false).dropLast()
                .joined(separator: "/")
            if access(folder + "/muster-test-program", X_OK) == 0 { return folder }
        }
        return "."
    }()

    static var program: String { folder + "/muster-test-program" }

    /// Opens a cluster, hands it over and closes it.
    static func with<Value>(
        slots: Int = 2, pool: RunnerPool = .process,
        _ body: (Cluster) async throws -> Value
    ) async throws -> Value {
        try KnownFunctions.add(TestFunctions.list)
        try #require(access(program, X_OK) == 0, "\(program) is not built")
        let cluster = try await Cluster.local(slots: slots, pool: pool, program: program)
        do {
            let value = try await body(cluster)
            await cluster.close()
            return value
        } catch {
            await cluster.close()
            throw error
        }
    }
}
