// The clusters that a user knows, on disk.

import FoundationEssentials
import Glibc
import Muster
import MusterModel
import MusterTLS
import Testing

@Suite("Profiles")
final class ProfileTests {
    private let directory = "/tmp/muster-test-\(UInt64.random(in: 0 ... .max))"
    private let profile = ClusterProfile(
        host: "::1", port: 7077, cluster: "c1", role: "client", user: "ada")

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private func saved(_ names: String...) throws -> ProfileStore {
        let store = ProfileStore(directory: directory + "/config/muster")
        let now = Int64(time(nil))
        let authority = try CertificateAuthority.create(clusterID: "c1", now: now)
        for name in names {
            try store.save(
                name, profile,
                identity: try authority.makeIdentity(role: .client, name: "ada", now: now),
                authority: authority.certificate)
        }
        return store
    }

    @Test("A saved profile loads as it was and connects as who it says")
    func saveAndLoad() throws {
        let store = try saved("home", "work")
        #expect(store.names() == ["home", "work"])
        #expect(try store.load("home") == profile)
        #expect(profile.address == "[::1]:7077")
        #expect(try store.context("home", profile).protocols == [.client])
    }

    @Test("One profile is in use, until it is removed")
    func use() throws {
        let store = try saved("home", "work")
        #expect(store.current() == nil)
        try store.use("work")
        #expect(store.current() == "work")
        try store.remove("home")
        #expect(store.current() == "work")
        try store.remove("work")
        #expect(store.current() == nil)
        #expect(store.names().isEmpty)
    }

    @Test("Unknown and impossible names are refused, naming those that are known")
    func names() throws {
        let store = try saved("home")
        for name in ["other", "", "..", "../home", "a/b", "-x", String(repeating: "n", count: 65)] {
            for body in [{ try store.use(name) }, { try store.remove(name) }] {
                do {
                    try body()
                    Issue.record("'\(name)' was taken")
                } catch let error as MusterError {
                    #expect(error.code == .notFound && error.message.contains("home"))
                }
            }
            #expect(throws: MusterError.self) { try store.load(name) }
        }
        #expect(throws: MusterError.self) { _ = try saved("../out") }
    }

    @Test("A damaged profile says so and what to do")
    func damaged() throws {
        let store = try saved("home")
        let file = store.directory + "/clusters/home/cluster.json"
        for text in ["{", "{}", "[]", "{\"host\":1}", "\u{0}"] {
            try PrivateFile.write(Array(text.utf8), to: file)
            do {
                _ = try store.load("home")
                Issue.record("loaded \(text)")
            } catch let error as MusterError {
                #expect(error.code == .system && error.message.contains("log in again"))
            }
        }
        var wrong = profile
        wrong.role = "king"
        #expect(throws: MusterError.self) { try store.context("home", wrong) }
    }

    @Test("Files that others could read are not trusted, and none is written so")
    func modes() throws {
        let store = try saved("home")
        let folder = store.directory + "/clusters/home"
        for file in ["identity.pem", "cluster.json"] {
            var status = stat()
            #expect(stat("\(folder)/\(file)", &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            #expect(chmod("\(folder)/\(file)", 0o644) == 0)
        }
        var status = stat()
        #expect(stat(folder, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
        #expect(throws: PrivateFileError.self) { try store.load("home") }
        #expect(throws: PrivateFileError.self) { try store.context("home", profile) }
    }
}
