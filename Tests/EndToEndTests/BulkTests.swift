/// Much output arrives whole.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Much output", .serialized)
    struct BulkTests {
        /// Lines of 100 bytes and more that are different everywhere: `$1` of them, with `$2` in
        /// each.
        static let script =
            "awk -v n=$1 -v s=$2 'BEGIN{for(i=0;i<n;i++) printf \"%s %098d\\n\", s, i}'"

        /// What a serial run of the script over lines `COUNT LETTER` gives.
        private static func expected(_ lines: [String]) throws -> [UInt8] {
            try Shell.run(
                ["sh", "-c", "while read a b; do set -- $a $b; \(script); done"],
                input: Array(lines.joined(separator: "\n").utf8) + [10],
                environment: ["PATH": "/usr/bin:/bin"]
            ).output
        }

        @Test("20 MB from one item between two small ones", arguments: Place.allCases)
        func one(_ place: Place) throws {
            try Bench.with(place) { start, _ in
                let ended = try start(
                    [
                        "sh", "-c", Self.script, "sh", "{1}", "{2}", ":::", "3", "200000", "3",
                        ":::+",
                        "a", "b", "c",
                    ], []
                ).finish()
                #expect(ended.status == 0, "\(ended.notes)")
                let expected = try Self.expected(["3 a", "200000 b", "3 c"])
                #expect(expected.count > 20_000_000)
                #expect(ended.output.count == expected.count)
                #expect(File.equal(ended.output, expected))
            }
        }

        @Test(
            "200 items of 100 KB, while the first one holds all of them back",
            arguments: Place.allCases)
        func many(_ place: Place) throws {
            try Bench.with(place) { start, directory in
                let gate = directory("gate")
                let script = """
                    [ $2 != 1 ] || until [ -e \(gate) ]; do sleep 0.05; done
                    \(Self.script); [ $2 != 200 ] || : > \(gate)
                    """
                let items = (1...200).map { "\($0)" }
                let ended = try start(
                    ["sh", "-c", script, "sh", "1000", "{}", ":::"] + items, []
                ).finish()
                #expect(ended.status == 0, "\(ended.notes)")
                let expected = try Self.expected(items.map { "1000 \($0)" })
                #expect(expected.count > 20_000_000)
                #expect(ended.output.count == expected.count)
                #expect(File.equal(ended.output, expected))
            }
        }
    }
}
