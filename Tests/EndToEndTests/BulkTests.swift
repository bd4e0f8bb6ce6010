/// Much output arrives whole.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Much output", .serialized)
    struct BulkTests {
        /// Bytes that are different everywhere, made by awk: `count` lines of 100 bytes.
        static let script =
            "awk -v n=$1 -v s=$2 'BEGIN{for(i=0;i<n;i++) printf \"%s %098d\\n\", s, i}'"

        private static func expected(_ lines: Int, _ letter: String) -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(lines * 101)
            for line in 0..<lines {
                let digits = Array("\(line)".utf8)
                bytes += letter.utf8
                bytes.append(UInt8(ascii: " "))
                bytes += [UInt8](repeating: UInt8(ascii: "0"), count: 98 - digits.count)
                bytes += digits
                bytes.append(UInt8(ascii: "\n"))
            }
            return bytes
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
                let expected =
                    Self.expected(3, "a") + Self.expected(200_000, "b")
                    + Self.expected(3, "c")
                #expect(ended.output.count == expected.count)
                #expect(ended.output == expected)
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
                let expected = Array(items.map { Self.expected(1000, $0) }.joined())
                #expect(ended.output.count == expected.count)
                #expect(ended.output == expected)
            }
        }
    }
}
