// Key files: how they are written, and every reason not to believe one.

import Glibc
import Testing

@testable import MusterTLS

@Suite("Key files")
struct PrivateFileTests {
    let directory: TemporaryDirectory
    let identity: TLSIdentity
    let path: String

    init() throws {
        self.directory = try TemporaryDirectory()
        self.identity = try TestCluster().identity(.worker)
        self.path = self.directory("worker.pem")
    }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        lstat(path, &status)
        return status.st_mode & 0o7777
    }

    private func refusal() -> PrivateFileError.Code? {
        do throws(PrivateFileError) {
            _ = try IdentityFiles(path: self.path).load()
            return nil
        } catch { return error.code }
    }

    @Test("An identity comes back as it was, from a file of mode 0600 and nothing beside it")
    func roundTrip() throws {
        let files = IdentityFiles(path: self.path)
        try files.save(self.identity)
        try files.save(self.identity)
        let again = try files.load()
        #expect(again.certificate == self.identity.certificate)
        #expect(self.mode(self.path) == 0o600)
        #expect(self.directory.names == ["worker.pem"])
        try IdentityFiles.saveCertificate(self.identity.certificate, to: self.directory("ca.crt"))
        let trusted = try IdentityFiles.loadCertificate(from: self.directory("ca.crt"))
        #expect(trusted == self.identity.certificate)
    }

    @Test("An authority's file is never overwritten")
    func exclusive() throws {
        let files = IdentityFiles(path: self.path)
        try files.save(self.identity, replacing: false)
        let other = try TestCluster().identity(.worker)
        let error = #expect(throws: PrivateFileError.self) {
            try files.save(other, replacing: false)
        }
        #expect(error?.code == .alreadyExists)
        let kept = try files.load()
        #expect(kept.certificate == self.identity.certificate)
        #expect(self.directory.names == ["worker.pem"])
    }

    @Test(
        "A key others can reach is refused",
        arguments: [mode_t(0o644), 0o640, 0o604, 0o660, 0o602, 0o610])
    func exposed(mode: mode_t) throws {
        try IdentityFiles(path: self.path).save(self.identity)
        chmod(self.path, mode)
        #expect(self.refusal() == .exposed)
    }

    @Test("Another owner's key is refused", .enabled(if: geteuid() == 0))
    func owner() throws {
        try IdentityFiles(path: self.path).save(self.identity)
        chown(self.path, 12_345, 12_345)
        #expect(self.refusal() == .wrongOwner)
    }

    @Test("A symbolic link, a pipe, a directory, nothing and an empty file are refused")
    func kinds() throws {
        #expect(self.refusal() == .missing)
        try IdentityFiles(path: self.directory("real.pem")).save(self.identity)
        symlink(self.directory("real.pem"), self.path)
        #expect(self.refusal() == .symbolicLink)
        unlink(self.path)
        mkfifo(self.path, 0o600)
        #expect(self.refusal() == .notRegular)
        unlink(self.path)
        mkdir(self.path, 0o700)
        #expect(self.refusal() == .notRegular)
        rmdir(self.path)
        close(open(self.path, O_CREAT | O_WRONLY, 0o600))
        #expect(self.refusal() == .empty)
    }

    @Test("Writing through a symbolic link replaces the link, not its target")
    func linkTarget() throws {
        let target = self.directory("target")
        try PrivateFile.write([1], to: target)
        symlink(target, self.path)
        try IdentityFiles(path: self.path).save(self.identity)
        #expect(self.refusal() == nil)
        let untouched = try PrivateFile.read(target)
        #expect(untouched == [1])
    }

    @Test("A file without a key, without a certificate, or with another key's is refused")
    func content() throws {
        let other = try PrivateKey.generate()
        func write(_ text: String) throws {
            try PrivateFile.write(Array(text.utf8), to: self.path)
        }
        try write(self.identity.certificate.pem())
        #expect(self.refusal() == .keyMalformed)
        try write("not PEM at all")
        #expect(self.refusal() == .keyMalformed)
        try write(self.identity.key.pem())
        #expect(self.refusal() == .certificateMalformed)
        try write(other.pem() + self.identity.certificate.pem())
        #expect(self.refusal() == .keyMismatch)
        try PrivateFile.write([UInt8](repeating: 65, count: 70_000), to: self.path)
        #expect(self.refusal() == .tooLarge)
    }

    @Test("A directory that is not there is an error that names it")
    func noDirectory() {
        let error = #expect(throws: PrivateFileError.self) {
            try PrivateFile.write([1], to: self.directory("none/key.pem"))
        }
        #expect(error?.code == .systemFailure)
        #expect(error?.message.contains("none") == true)
    }
}
