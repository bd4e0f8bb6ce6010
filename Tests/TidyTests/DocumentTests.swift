// Documents say what the program does: its verbs, flags and exit codes are all on the page, and the
// files that documents speak of are there.

import Testing

@Suite("Documents")
struct DocumentTests {
    /// The strings of the array literal behind `name = [`, up to its `]`.
    private static func strings(_ name: String, in path: String) throws -> [String] {
        let text = try Repository.file(path).text
        let start = try #require(text.firstRange(of: name + " = ["), "\(name) in \(path)")
        let list = text[start.upperBound...].prefix { $0 != "]" }
        return list.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .filter { !$0.offset.isMultiple(of: 2) }.map { String($0.element) }
    }

    @Test("Every verb is on the page of the command line")
    func verbs() throws {
        let page = try Repository.file("docs/cli.md").text
        let main = "Sources/MusterCLI/Commands/Main.swift"
        let verbs = try Self.strings("static let verbs", in: main)
        #expect(verbs.count > 15)
        for verb in try verbs + Self.strings("static let longVerbs", in: main) {
            let isThere = page.contains("`muster \(verb)")
            #expect(isThere, "muster \(verb)")
        }
    }

    @Test("Every flag of run is on the page of the command line")
    func flags() throws {
        let page = try Repository.file("docs/cli.md").text
        let table = try Repository.file("Sources/MusterCLI/Arguments/FlagTable.swift").text
        let start = try #require(table.firstRange(of: "static let run: [FlagSpec] = ["))
        var names: [Substring] = []
        for part in table[start.upperBound...].split(separator: "(\"").dropFirst() {
            names.append(part.prefix { $0 != "\"" })
        }
        #expect(names.count > 35)
        for name in names {
            let isThere = page.contains("--\(name)")
            #expect(isThere, "--\(name)")
        }
    }

    @Test("Every exit code is on the page of the command line")
    func exitCodes() throws {
        var codes: Set<Int> = [0]
        for file in try Repository.files(below: "Sources/MusterCLI") {
            for part in file.text.split(separator: "ExitStatus(").dropFirst() {
                if let code = Int(part.prefix { $0 != ")" }) { codes.insert(code) }
            }
        }
        let places = [
            ("Sources/MusterModel/MusterError.swift", "var exitCode: Int32 {"),
            ("Sources/MusterCLI/Commands/Main.swift", "func exitCode(of error"),
            ("Sources/MusterCLI/Run/JobWatcher.swift", "MARK: Ends"),
        ]
        for (path, start) in places {
            let text = try Repository.file(path).text
            let body = try #require(text.firstRange(of: start), "\(start) in \(path)")
            let words = text[body.upperBound...].prefix(3000)
            for mark in ["return ", "case .usage: ", "case .authentication: ", ".version: "] {
                for part in words.split(separator: mark).dropFirst() {
                    if let code = Int(part.prefix { $0.isNumber }) { codes.insert(code) }
                }
            }
        }
        #expect(codes.isSuperset(of: [0, 1, 2, 3, 4, 5, 7, 124, 141]))
        let page = try Repository.file("docs/cli.md").text
        let start = try #require(page.firstRange(of: "## Exit codes"))
        let end = page[start.upperBound...].firstRange(of: "\n## ")?.lowerBound ?? page.endIndex
        let listed = page[start.upperBound..<end].split(separator: "\n").flatMap { line in
            line.split(separator: "|").first.map { cell in
                cell.split { !$0.isNumber }.compactMap { Int($0) }
            } ?? []
        }
        #expect(codes.subtracting(listed) == [])
    }

    @Test("Files that documents link to are there")
    func links() throws {
        let pages = try Repository.files(below: "docs", endings: [".md"])
        let others = [try Repository.file("README.md"), try Repository.file("Sources/README.md")]
        for page in pages + others {
            let folder = page.path.split(separator: "/").dropLast().joined(separator: "/")
            for part in page.text.split(separator: "](").dropFirst() {
                let link = part.prefix { $0 != ")" && $0 != "#" }
                guard !link.isEmpty, !link.contains("://") else { continue }
                let path = folder.isEmpty ? String(link) : "\(folder)/\(link)"
                #expect(Repository.exists(path), "\(page.path) links to \(link)")
            }
        }
    }

    @Test("Source files and folders that documents name are there")
    func named() throws {
        let sources = try Repository.files(below: "Sources", endings: [".swift", ".c", ".h"])
        let names = Set(sources.map(\.name))
        var count = 0
        for path in ["docs/architecture.md", "docs/protocol.md", "Sources/README.md"] {
            for word in try Repository.file(path).quoted where !word.contains("*") {
                let last = word.split(separator: "/").last.map(String.init) ?? word
                if word.hasSuffix(".swift") || word.hasSuffix(".c") {
                    count += 1
                    #expect(names.contains(last), "\(path) names \(word)")
                } else if word.hasSuffix("/"), word.hasPrefix("Muster") {
                    count += 1
                    #expect(Repository.exists("Sources/\(word)"), "\(path) names \(word)")
                }
            }
        }
        #expect(count > 30)
    }

    @Test("The version is the newest one of the changelog")
    func version() throws {
        let hello = try Repository.file("Sources/MusterWire/Hello.swift").text
        let start = try #require(hello.firstRange(of: "static let program = \""))
        let version = hello[start.upperBound...].prefix { $0 != "\"" }
        let headings = try Repository.file("docs/changelog.md").lines.filter { $0.hasPrefix("## ") }
        #expect(headings.first == "## \(version)")
    }
}
