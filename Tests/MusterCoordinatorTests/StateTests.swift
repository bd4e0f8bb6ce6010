// What a coordinator keeps in its directory: the lock, the authority, job numbers, names, audit.

import FoundationEssentials
import Glibc
import MusterModel
import MusterTLS
import Testing

@testable import MusterCoordinator

@Suite("State directory")
struct StateTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test("One coordinator at a time has the directory")
    func lock() throws {
        let path = directory.path + "/deep/er"
        var first: StateDirectory? = try StateDirectory(path: path)
        #expect(first?.path == path)
        do {
            _ = try StateDirectory(path: path)
            Issue.record("locked twice")
        } catch let error as MusterError {
            #expect(error.code == .conflict && error.message.contains(path))
        }
        first = nil
        _ = try StateDirectory(path: path)
    }

    @Test("A relative path, or one through a file, is refused")
    func badPaths() throws {
        #expect(throws: MusterError.self) { try StateDirectory(path: "state") }
        let file = directory.path + "/file"
        try PrivateFile.write([1], to: file)
        #expect(throws: MusterError.self) { try StateDirectory(path: file) }
        #expect(throws: MusterError.self) { try StateDirectory(path: file + "/below") }
    }

    @Test("The authority is made once and is the same after a restart")
    func authority() throws {
        let state = try StateDirectory(path: directory.path)
        let now = Int64(time(nil))
        let made = try state.authority(now: now)
        let again = try state.authority(now: now + 1000)
        #expect(made.clusterID == again.clusterID)
        #expect(
            try made.identity.key.publicKey.pin() == again.identity.key.publicKey.pin())
        var status = stat()
        #expect(stat(directory.path + "/authority.pem", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(chmod(directory.path + "/authority.pem", 0o644) == 0)
        #expect(throws: PrivateFileError.self) { try state.authority(now: now) }
    }

    @Test("A name is given once; further machines that wish for it get numbers, also later")
    func names() throws {
        let path = directory.path + "/names"
        let names = try MemberNames(path: path)
        #expect(try names.take("node") == "node")
        #expect(try names.take("node") == "node-2")
        let long = String(repeating: "n", count: 64)
        #expect(try names.take(long) == long)
        let later = try MemberNames(path: path)
        #expect(try later.take("node") == "node-3")
        #expect(try later.take("other") == "other")
        let cut = try later.take(long)
        #expect(cut != long && PeerIdentity.isValidName(cut))
        #expect(chmod(path, 0o644) == 0)
        #expect(throws: PrivateFileError.self) { try MemberNames(path: path) }
    }

    // MARK: Audit

    private struct Line: Decodable {
        var time: String
        var event: String
        var peer: String
        var detail: String
    }

    private func lines(_ path: String) throws -> [Line] {
        let bytes = try PrivateFile.read(path)
        return try bytes.split(separator: UInt8(ascii: "\n"))
            .map { try JSONDecoder().decode(Line.self, from: Data($0)) }
    }

    @Test("Audit lines are JSON, one a line, whatever stands in them")
    func auditLines() throws {
        let path = directory.path + "/audit.jsonl"
        let log = AuditLog(path: path) { _ in }
        let nasty = "a\nb\r\u{0}\u{1b}[2J\"\\\u{7f}é"
        log.write(AuditEvent("refused", peer: nasty, detail: nasty))
        log.write(AuditEvent("joined", peer: "w"))
        let lines = try lines(path)
        #expect(lines.map(\.event) == ["refused", "joined"])
        #expect(lines.first?.peer == nasty && lines.first?.detail == nasty)
        let raw = try PrivateFile.read(path)
        #expect(!raw.contains { $0 < 0x20 && $0 != UInt8(ascii: "\n") })
        #expect(raw.count { $0 == UInt8(ascii: "\n") } == 2)
    }

    @Test("A flood of audit events is cut to a rate")
    func auditRate() throws {
        let path = directory.path + "/audit.jsonl"
        let log = AuditLog(path: path) { _ in }
        let start = time(nil)
        for n in 0..<5000 { log.write(AuditEvent("flood", peer: "\(n)")) }
        let seconds = time(nil) - start + 1
        let lines = try lines(path)
        #expect(lines.count >= 200)
        #expect(lines.count <= 201 * seconds)
    }
}
