// How files look: length, width, opening, words that do not belong in sources, and what may lie at
// the top level. Layout within lines is swift-format's, which deploy/test runs.

import Testing

@Suite("Style")
struct StyleTests {
    private static let longestFile = 300
    private static let widestLine = 100

    /// Files over the limit, each with its own limit and the reason why it is not cut.
    private static let longFiles: [String: Int] = [
        // One pass over shell text; its states only make sense side by side.
        "Sources/MusterModel/Template/ShellText.swift": 320
    ]

    private static func swiftFiles() throws -> [TextFile] {
        let files = try Repository.files(below: "Sources") + Repository.files(below: "Tests")
        try #require(files.count > 100, "the sources were not found")
        return files
    }

    @Test("Swift files have at most 300 lines")
    func length() throws {
        for file in try Self.swiftFiles() {
            let limit = Self.longFiles[file.path] ?? Self.longestFile
            #expect(file.lines.count <= limit, "\(file.path)")
        }
    }

    @Test("Exceptions for long files are still needed")
    func exceptions() throws {
        for path in Self.longFiles.keys.sorted() {
            #expect(try Repository.file(path).lines.count > Self.longestFile, "\(path)")
        }
    }

    @Test("Lines have at most 100 columns")
    func width() throws {
        let files =
            try Self.swiftFiles()
            + Repository.files(below: "Sources", endings: [".c", ".h", ".modulemap"])
        for file in files {
            for (number, line) in file.lines.enumerated() where line.count > Self.widestLine {
                Issue.record("\(file.path):\(number + 1) has \(line.count) columns")
            }
        }
    }

    @Test("Every file opens with a comment")
    func opening() throws {
        let files = try Self.swiftFiles() + Repository.files(below: "Sources", endings: [".c"])
        for file in files {
            let opens = file.text.hasPrefix("//")
            #expect(opens, "\(file.path)")
        }
    }

    @Test("Sources hold no forced try, no fatalError, no print and nothing left to do")
    func words() throws {
        // Cut in two, so that this file may be searched as well.
        let banned = ["try" + "!", "fatalError" + "(", "TO" + "DO", "FIX" + "ME"]
        for file in try Repository.files(below: "Sources", endings: [".swift", ".c", ".h"]) {
            for (number, line) in file.lines.enumerated() {
                for word in banned where line.contains(word) {
                    Issue.record("\(file.path):\(number + 1) holds \(word)")
                }
                // Examples are programs of their own, and printing is what they are for.
                if file.name.hasSuffix(".swift"), file.room != "Examples",
                    !Self.isDocumentation(line), Self.calls("print", in: line)
                {
                    Issue.record("\(file.path):\(number + 1) prints past MusterCLI/Shared/Output")
                }
            }
        }
    }

    /// What documentation shows is what programs of users do.
    private static func isDocumentation(_ line: Substring) -> Bool {
        line.drop { $0 == " " }.hasPrefix("///")
    }

    /// Whether the line holds `name(` that is neither a member nor the end of a longer name.
    private static func calls(_ name: String, in line: Substring) -> Bool {
        var rest = line
        while let range = rest.firstRange(of: name + "(") {
            let before = rest[..<range.lowerBound].last
            let isPart = before.map { $0.isLetter || $0.isNumber || "._`".contains($0) } ?? false
            // A function of that name may be declared.
            if !isPart && !rest[..<range.lowerBound].hasSuffix("func ") { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }

    @Test("A call is told apart from a longer name and from a member")
    func callsAreFound() {
        #expect(Self.calls("print", in: "    print(x)"))
        #expect(Self.calls("print", in: "a.print(x); print(y)"))
        #expect(!Self.calls("print", in: "reprint(x); a.print(x)"))
    }

    @Test("The top level holds what it should and nothing else")
    func topLevel() throws {
        let found = try Repository.topLevel().filter { !$0.hasPrefix(".") }
        let known: Set = ["Package.swift", "README.md", "Sources", "Tests", "deploy", "docs"]
        #expect(Set(found).subtracting(["Package.resolved"]) == known)
    }
}
