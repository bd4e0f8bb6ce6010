// The guide's code is code that compiles: every Swift snippet of docs/swift.md stands, line by
// line, in GuideSnippets.swift.

import FoundationEssentials
import Testing

@Suite("The guide")
struct GuideTests {
    private static let root: String = {
        let here = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return here.dropLast(3).joined(separator: "/")
    }()

    private static func lines(of path: String) throws -> [Substring] {
        let bytes = try #require(FileManager.default.contents(atPath: "\(root)/\(path)"), "\(path)")
        return String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// Without the indentation, and without what a test bundle cannot have.
    private static func plain(_ line: Substring) -> Substring {
        let text = line.drop { $0 == " " }
        return text.hasPrefix("@main ") ? text.dropFirst(6) : text
    }

    @Test("Every snippet compiles")
    func snippets() throws {
        let code = try Self.lines(of: "Tests/MusterTests/GuideSnippets.swift").map(Self.plain)
            .filter { !$0.isEmpty && !$0.hasPrefix("//") }
        var snippets: [[Substring]] = []
        var isInside = false
        for line in try Self.lines(of: "docs/swift.md") {
            if line.hasPrefix("```") {
                isInside = line == "```swift"
                if isInside { snippets.append([]) }
            } else if isInside, !Self.plain(line).isEmpty {
                snippets[snippets.count - 1].append(Self.plain(line))
            }
        }
        #expect(snippets.count > 10)
        for snippet in snippets {
            let isThere = code.indices.contains { code[$0...].starts(with: snippet) }
            #expect(isThere, "\(snippet.joined(separator: "\n"))")
        }
    }
}
