// Takes the words behind the flags apart: the command up to the first `:::`-like word, then groups
// of inputs. RunOptions.swift passes the tail in; Inputs/InputPlan.swift opens the sources.

/// A command and the sources named behind it.
package struct CommandLineSplit: Equatable, Sendable {
    /// The command; empty when each input is a shell line itself.
    package let words: [[UInt8]]
    package let sources: [InputSource]

    private enum Group {
        case list(linked: Bool)
        case files(linked: Bool)

        init?(_ word: [UInt8]) {
            switch word {
            case Array(":::".utf8): self = .list(linked: false)
            case Array(":::+".utf8): self = .list(linked: true)
            case Array("::::".utf8): self = .files(linked: false)
            case Array("::::+".utf8): self = .files(linked: true)
            default: return nil
            }
        }
    }

    /// - Parameter afterSources: whether `-a` gave sources already, to which `:::+` may link.
    /// - Throws: `badInputSource`.
    package init(tail: [[UInt8]], afterSources: Bool = false) throws(UsageError) {
        let end = tail.firstIndex { Group($0) != nil } ?? tail.count
        words = Array(tail[..<end])
        var sources: [InputSource] = []
        var index = end
        while index < tail.count, let group = Group(tail[index]) {
            let name = String(decoding: tail[index], as: UTF8.self)
            let start = index + 1
            index = tail[start...].firstIndex { Group($0) != nil } ?? tail.count
            let values = Array(tail[start..<index])
            let linked: Bool
            let origins: [InputSource.Origin]
            switch group {
            case .list(let links):
                linked = links
                origins = [.list(values)]
            case .files(let links):
                linked = links
                origins = values.map(InputSource.Origin.init(path:))
                if values.isEmpty {
                    throw UsageError(.badInputSource, "`\(name)` names no file; write \(name) FILE")
                }
            }
            if linked, sources.isEmpty, !afterSources {
                throw UsageError(
                    .badInputSource,
                    "`\(name)` links to the source before it, and there is none; write "
                        + "`\(name.dropLast())`")
            }
            sources += origins.map { InputSource($0, linked: linked) }
        }
        self.sources = sources
    }
}
