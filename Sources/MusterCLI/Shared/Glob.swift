/// Patterns of names, as in `muster ps --name 'nightly-*'`.

/// `*` and `?` in names.
enum Glob {
    static func matches(_ text: String, _ pattern: String) -> Bool {
        matches(Array(text)[...], Array(pattern)[...])
    }

    private static func matches(_ text: ArraySlice<Character>, _ pattern: ArraySlice<Character>)
        -> Bool
    {
        guard let head = pattern.first else { return text.isEmpty }
        if head == "*" {
            return (0...text.count).contains { matches(text.dropFirst($0), pattern.dropFirst()) }
        }
        guard let first = text.first, head == "?" || head == first else { return false }
        return matches(text.dropFirst(), pattern.dropFirst())
    }
}
