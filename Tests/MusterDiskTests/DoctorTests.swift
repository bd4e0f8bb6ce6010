// What the doctor says of whole and of damaged stores.

import FoundationEssentials
import MusterDisk
import MusterModel
import MusterStore
import NIOCore
import Testing

@Suite("Doctor")
struct DoctorTests {
    private static func filled() async throws -> (Folder, StoredBlock, StoredBlock) {
        let folder = try Folder()
        let harness = try Harness(folder)
        let inputs = try harness.append("inputs", .inputs, items: 0..<10)
        let results = try harness.append("results", items: 2..<3)
        try await harness.commit(
            .submitted(.test(1)), .inputs(1, inputs), .results(1, results))
        harness.close()
        return (folder, inputs, results)
    }

    private static func findings(
        _ folder: Folder, _ severity: StoreFinding.Severity
    ) -> [StoreFinding] {
        StoreDoctor.examine(directory: folder.path).filter { $0.severity == severity }
    }

    @Test("A whole store, a new one and an empty directory are fine")
    func fine() async throws {
        let (folder, _, _) = try await Self.filled()
        for severity in StoreFinding.Severity.allCases where severity != .fine {
            #expect(Self.findings(folder, severity) == [])
        }
        let texts = Self.findings(folder, .fine).map(\.text)
        #expect(texts.contains("1 jobs, 1 of them unfinished; 0 workers known"))
        #expect(texts.contains("2 blocks of 13 bytes are whole"))
        let empty = try Folder()
        #expect(Self.findings(empty, .fine).first?.text == "\(empty.path): nothing is stored yet")
    }

    @Test("Damaged blocks are named with file, byte, items and what to do")
    func damaged() async throws {
        let (folder, _, _) = try await Self.filled()
        for kind in ["inputs", "results"] {
            var bytes = try folder.bytes(of: "jobs/1/\(kind)-000001.seg")
            bytes[18] ^= 4
            folder.write(bytes, to: "jobs/1/\(kind)-000001.seg")
        }
        let jobs = "\(folder.path)/jobs/1"
        #expect(
            Self.findings(folder, .damage).map(\.text) == [
                "\(jobs)/inputs-000001.seg, byte 0: the checksum is wrong; these are inputs of "
                    + "items 1.1 to 1.10",
                "\(jobs)/results-000001.seg, byte 0: the checksum is wrong; these are results of "
                    + "item 1.3",
            ])
        #expect(Self.findings(folder, .damage).allSatisfy { $0.advice != nil })
    }

    @Test("Files that nobody names are noted, those of others too, and nothing is deleted")
    func leftovers() async throws {
        let (folder, _, _) = try await Self.filled()
        folder.write([1, 2, 3], to: "jobs/1/results-000009.seg")
        folder.write([1], to: "jobs/1/notes.txt")
        let before = folder.files
        #expect(
            Self.findings(folder, .note).map(\.text)
                == ["1 files hold 3 bytes that no commit names"])
        #expect(
            Self.findings(folder, .warning).map(\.text)
                == ["\(folder.path)/jobs/1/notes.txt is no file of Muster's"])
        #expect(
            folder.files.filter { $0.hasPrefix("jobs") } == before.filter { $0.hasPrefix("jobs") })
        let harness = try Harness(folder)
        #expect(!folder.files.contains("jobs/1/results-000009.seg"))
        #expect(folder.files.contains("jobs/1/notes.txt"))
        harness.close()
    }

    @Test("A store without its database is damage, and a start deletes none of its files")
    func withoutDatabase() async throws {
        let (folder, _, _) = try await Self.filled()
        try FileManager.default.removeItem(atPath: "\(folder.path)/store.sqlite")
        #expect(Self.findings(folder, .damage).count == 1)
        let before = folder.files.filter { $0.hasPrefix("jobs/") }
        #expect(before.count == 2)
        let error = #expect(throws: StoreError.self) { try Harness(folder) }
        guard case .damaged = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(folder.files.filter { $0.hasPrefix("jobs/") } == before)
    }

    @Test("A store that a coordinator has open is left alone")
    func running() throws {
        let folder = try Folder()
        let harness = try Harness(folder)
        let warnings = Self.findings(folder, .warning)
        #expect(warnings.map(\.advice) == ["stop the coordinator first: `muster coordinator stop`"])
        harness.close()
    }
}
