// The repository as text. The place of this file tells where it is; out come files by folder, their
// lines and what they import, for the checks beside this file.

import FoundationEssentials

struct TextFile {
    /// From the repository's top level on: `Sources/MusterCore/Scheduler.swift`.
    let path: String
    let text: String

    var lines: [Substring] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() }
        return lines
    }

    var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// `MusterCore` for `Sources/MusterCore/…`.
    var room: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    /// Names of the modules that a Swift file imports.
    var imports: [String] {
        lines.compactMap { line in
            let words = line.split(separator: " ")
            guard let place = words.firstIndex(of: "import"), place + 1 < words.count,
                words[..<place].allSatisfy({ Self.importWords.contains($0) || $0.hasPrefix("@") })
            else { return nil }
            let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "let"]
            let named = kinds.contains(words[place + 1]) ? words[place + 2] : words[place + 1]
            return named.split(separator: ".").first.map(String.init)
        }
    }

    private static let importWords: Set<Substring> = [
        "package", "public", "internal", "fileprivate", "private",
    ]

    /// What stands between backquotes on one line.
    var quoted: [String] {
        lines.flatMap { line in
            line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { !$0.offset.isMultiple(of: 2) }.map { String($0.element) }
        }
    }
}

enum Repository {
    static let root: String = {
        let here = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return here.dropLast(3).joined(separator: "/")
    }()

    /// All files below a folder of the top level that end in one of `endings`, sorted.
    static func files(below folder: String, endings: [String] = [".swift"]) throws -> [TextFile] {
        let paths = try FileManager.default.subpathsOfDirectory(atPath: "\(root)/\(folder)")
        return try paths.sorted().filter { path in endings.contains { path.hasSuffix($0) } }
            .map { try file("\(folder)/\($0)") }
    }

    static func file(_ path: String) throws -> TextFile {
        struct Missing: Error { var path: String }
        guard let bytes = FileManager.default.contents(atPath: "\(root)/\(path)") else {
            throw Missing(path: path)
        }
        return TextFile(path: path, text: String(decoding: bytes, as: UTF8.self))
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: "\(root)/\(path)")
    }

    static func topLevel() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root).sorted()
    }
}
