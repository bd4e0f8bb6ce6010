/// Peers that are not let in. Each is told why, the coordinator writes down why, and goes on.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Refusals", .serialized)
    struct RefusalTests {
        @Test("A token that is none, used, expired, revoked, misspelt or another cluster's")
        func tokens() throws {
            try Cluster.with { cluster in
                // Keeps the enrolment port open when other tokens are gone.
                _ = try cluster.token()
                var number = 0
                func join(_ token: String?) throws -> Child.Ended {
                    number += 1
                    let flag = token.map { ["--token-file", $0] } ?? []
                    return try Shell.run(
                        [
                            Shell.muster, "join", cluster.address, "--state-dir",
                            cluster.directory("stranger\(number)"),
                        ] + flag,
                        environment: cluster.environment)
                }
                func refused(_ token: String?, _ said: String, status: Int32 = 4) throws {
                    let ended = try join(token)
                    #expect(ended.status == status)
                    #expect(ended.notes.contains(said), "\(ended.notes)")
                }
                func logged(_ part: String) throws {
                    try Monotonic.wait(for: "'\(part)' in the log", seconds: 10) {
                        try cluster.refusals().contains { $0.contains(part) }
                    }
                }

                try refused(nil, "a token is needed", status: 2)

                let used = try cluster.token()
                let worker = try Child(
                    [
                        Shell.muster, "join", cluster.address, "--token-file", used, "--state-dir",
                        cluster.directory("w1"), "--name", "w1",
                    ].map { Array($0.utf8) },
                    environment: cluster.environment)
                try cluster.waitForWorkers(1)
                try refused(used, "used already")
                try logged("token-used")
                worker.end()

                let expired = try cluster.token(ttl: "1s")
                try Monotonic.wait(for: "it expires") {
                    let tokens = try cluster.json("token", "list")["tokens"]?.elements ?? []
                    return tokens.contains { $0["state"]?.text == "expired" }
                }
                try refused(expired, "has expired")
                try logged("token-expired")

                let revoked = try cluster.token()
                let id = File.text(revoked).split(separator: ".")[2]
                #expect(try cluster.muster("token", "revoke", String(id)).status == 0)
                try refused(revoked, "was revoked")
                try logged("token-revoked")

                // One letter of the secret: the alphabet has both of these.
                let good = try cluster.token()
                var parts = File.text(good).split(separator: ".").map(String.init)
                parts[3] = (parts[3].hasPrefix("7") ? "8" : "7") + parts[3].dropFirst()
                let misspelt = cluster.directory("misspelt")
                try File.write(parts.joined(separator: "."), to: misspelt)
                try refused(misspelt, "secret is wrong")
                try logged("token-wrong-proof")

                try Cluster.with { other in
                    try refused(try other.token(), "is of another cluster")
                }
                try logged("refused-by-peer")

                let garbage = cluster.directory("garbage")
                try File.write("mst1.worker.abc", to: garbage)
                try refused(garbage, "cut off")
                #expect(try cluster.muster("token", "list").status == 0)
            }
        }

        @Test("A token for one role is none for another, also when its text is changed")
        func tokenRoles() throws {
            try Cluster.with { cluster in
                let client = try cluster.token("--client")
                let worker = try cluster.token("--worker")
                let joined = try cluster.muster(
                    "join", cluster.address, "--token-file", client, "--state-dir",
                    cluster.directory("x"))
                #expect(joined.status == 4)
                #expect(joined.notes.contains("this token is for a client"))
                let loggedIn = try cluster.muster("login", cluster.address, "--token-file", worker)
                #expect(loggedIn.status == 4)
                #expect(loggedIn.notes.contains("this token is for a worker"))
                for (path, from, to) in [
                    (client, "client", "worker"), (worker, "worker", "client"),
                ] {
                    let text = File.text(path).split(separator: ".", maxSplits: 2)
                    #expect(text[1] == from)
                    try File.write("mst1.\(to).\(text[2])", to: path)
                }
                let asWorker = try cluster.muster(
                    "join", cluster.address, "--token-file", client, "--state-dir",
                    cluster.directory("y"))
                #expect(asWorker.status == 4)
                #expect(asWorker.notes.contains("is for the role client, not worker"))
                let asClient = try cluster.muster("login", cluster.address, "--token-file", worker)
                #expect(asClient.status == 4)
                #expect(asClient.notes.contains("is for the role worker, not client"))
                let roles = try cluster.refusals().filter { $0.contains("token-wrong-role") }
                #expect(roles.count == 2)
            }
        }

        @Test("A worker's certificate submits nothing, a client's joins nothing")
        func certificates() throws {
            try Cluster.with(workers: 1) { cluster in
                let home = cluster.directory("thief")
                let profile = "\(home)/muster/clusters/local"
                let own = cluster.directory("config/muster/clusters/local")
                _ = try Shell.run(
                    [
                        "sh", "-ec",
                        """
                        mkdir -p \(home)/muster/clusters; cp -a \(own) \(profile)
                        cp -a \(cluster.directory("w1"))/identity.pem \(profile)/identity.pem
                        cp -a \(cluster.directory("config/muster/current")) \(home)/muster/
                        """,
                    ], environment: cluster.environment)
                var environment = cluster.environment
                environment["XDG_CONFIG_HOME"] = home
                let submitted = try Shell.run(
                    [Shell.muster, "submit", "echo", ":::", "1"], environment: environment)
                #expect(submitted.status == 4, "\(submitted.notes)")
                #expect(submitted.output.isEmpty)
                let jobs = try cluster.json("ps")["jobs"]?.elements
                #expect(jobs?.isEmpty == true)
                try Monotonic.wait(for: "the refusal in the log", seconds: 10) {
                    try cluster.refusals().contains { $0.contains("for the role worker") }
                }

                // The other way: a client's certificate in a worker's state directory.
                let state = cluster.directory("fake")
                let login = try cluster.muster(
                    "login", cluster.address, "--token-file", try cluster.token("--client"),
                    "--name", "mine", "--user", "eve")
                #expect(login.status == 0, "\(login.notes)")
                _ = try Shell.run(
                    [
                        "sh", "-ec",
                        """
                        mkdir -m 700 \(state)
                        cp -a \(cluster.directory("w1"))/membership.json \(state)/
                        cp -a \(cluster.directory("w1"))/authority.pem \(state)/
                        cp -a \(cluster.directory("config"))/muster/clusters/mine/identity.pem \\
                            \(state)/
                        """,
                    ], environment: cluster.environment)
                let joined = try cluster.muster("join", cluster.address, "--state-dir", state)
                #expect(joined.status == 4, "\(joined.notes)")
                try Monotonic.wait(for: "the refusal in the log", seconds: 10) {
                    try cluster.refusals().contains { $0.contains("for the role client") }
                }
                let workers = try cluster.json("worker", "list")["workers"]?.elements
                #expect(workers?.count == 1)
                // And a client is no admin.
                let token = try cluster.muster("token", "create", "--worker", "--cluster", "mine")
                #expect(token.status == 4, "\(token.notes)")
                #expect(token.output.isEmpty)
                let run = try cluster.muster("run", "echo", "{}", ":::", "still", "here")
                #expect(run.text == "still\nhere\n")
            }
        }

        @Test("HTTP, noise, old TLS and peers without certificate are refused by name")
        func strangers() throws {
            try Cluster.with(workers: 1) { cluster in
                func logged(_ part: String) throws {
                    try Monotonic.wait(for: "'\(part)' in the log", seconds: 10) {
                        try cluster.refusals().contains { $0.contains(part) }
                    }
                }
                // It waits for what the coordinator says instead of leaving with its own input.
                func openssl(_ flags: String...) throws -> Child.Ended {
                    try Shell.run(
                        ["openssl", "s_client", "-ign_eof", "-connect", cluster.address] + flags,
                        environment: cluster.environment, seconds: 20)
                }
                let http = try Shell.run(
                    ["curl", "-sS", "-m", "10", "http://\(cluster.address)/"],
                    environment: cluster.environment)
                #expect(http.status != 0)
                #expect(http.output.isEmpty)
                try logged("speaks HTTP, not TLS")

                var noise = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
                noise[0] = 0xff
                let path = cluster.directory("noise")
                try File.write(noise, to: path)
                _ = try Shell.run(
                    [
                        "bash", "-c",
                        "exec 3<>/dev/tcp/127.0.0.1/\(cluster.port); cat \(path) >&3; cat <&3",
                    ],
                    environment: cluster.environment, seconds: 20)
                try logged("is not TLS")

                // Without ALPN the older version would not be what it is refused for.
                let old = try openssl("-tls1_2", "-alpn", "muster-client/1")
                #expect(old.text.contains("Cipher is (NONE)"))
                try logged("does not speak TLS 1.3")

                let bare = try openssl("-tls1_3")
                #expect(bare.status != 0)
                try logged("named no application protocol")

                let anonymous = try openssl("-alpn", "muster-client/1")
                #expect(anonymous.text.contains("New, TLSv1.3"))
                #expect(anonymous.notes.contains("certificate required"))
                try logged("presented no certificate")

                // A certificate of one's own making.
                let key = cluster.directory("own.key")
                let certificate = cluster.directory("own.pem")
                let made = try Shell.run(
                    [
                        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                        "-subj", "/CN=root", "-days", "1",
                    ], environment: cluster.environment)
                #expect(made.status == 0, "\(made.notes)")
                _ = try openssl(
                    "-alpn", "muster-client/1", "-cert", certificate, "-key", key)
                try logged("was not made by this cluster's authority")

                let workers = try cluster.json("worker", "list")["workers"]?.elements ?? []
                #expect(workers.map { $0["state"]?.text } == ["ready"])
                let run = try cluster.muster("run", "echo", "{}", ":::", "still", "here")
                #expect(run.text == "still\nhere\n")
            }
        }
    }
}
