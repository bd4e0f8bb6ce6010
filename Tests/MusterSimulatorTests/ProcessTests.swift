// The simulator as a program: one seed is one history in any process, and every planted bug fits
// into the sources.

import FoundationEssentials
import Glibc
import Testing

@testable import MusterSimulator

@Suite("Processes")
struct ProcessTests {
    /// The sources' root.
    private static let root = #filePath.split(separator: "/").dropLast(3)
        .reduce("") { $0 + "/" + $1 }

    /// The program that is built beside the tests.
    private static let program: String = {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        _ = readlink("/proc/self/exe", &path, path.count - 1)
        let own = String(
            decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
            + "/muster-simulator"
    }()

    @Test(
        "The same seed has the same trace in two processes, wherever their memory and hashes lie",
        arguments: [3, 5, 12, 414])
    func trace(seed: Int) throws {
        let first = try line(seed)
        #expect(first.contains("seed \(seed) ok, trace "))
        #expect(try line(seed) == first)
        // Hash tables have another order in each process, and here that of no seed at all.
        #expect(try line(seed, hashing: "1") == first)
    }

    private func line(_ seed: Int, hashing: String? = nil) throws -> String {
        let setting = hashing.map { "SWIFT_DETERMINISTIC_HASHING=\($0) " } ?? ""
        let pipe = try #require(popen("\(setting)'\(Self.program)' --seed \(seed)", "r"))
        var text = ""
        var part = [CChar](repeating: 0, count: 4096)
        while fgets(&part, Int32(part.count), pipe) != nil {
            text += String(
                decoding: part.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        #expect(pclose(pipe) == 0, "\(text)")
        return text
    }

    @Test("Each planted bug names lines that occur once, and says where it is switched on")
    func plants() throws {
        let folder = Self.root + "/Tests/MusterSimulatorTests/Plants"
        let files = try FileManager.default.contentsOfDirectory(atPath: folder)
            .filter { $0.hasSuffix(".edit") }.sorted()
        #expect(files.count >= 25)
        for file in files {
            let edit = try String(contentsOfFile: folder + "/" + file, encoding: .utf8)
            let parts = edit.split(separator: "--- wrong\n", omittingEmptySubsequences: false)
            let head = try #require(parts.first)
                .split(separator: "--- right\n", omittingEmptySubsequences: false)
            let lines = try #require(head.first).split(separator: "\n")
            #expect(parts.count == 2 && head.count == 2 && lines.count == 2, "\(file)")
            let path = try #require(lines.last?.split(separator: " ").last)
            let source = try String(contentsOfFile: Self.root + "/\(path)", encoding: .utf8)
            let right = String(try #require(head.last))
            let count = source.ranges(of: right).count
            #expect(count == 1, "the lines of \(file) occur \(count) times in \(path)")
            #expect(parts.last?.contains("PLANTED") == true, "\(file)")
        }
    }
}
