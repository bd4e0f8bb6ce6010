/// Inputs of every make reach the command as they are.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Inputs", .serialized)
    struct InputTests {
        @Test(
            "Spaces, quotes, line breaks, other encodings and dashes arrive untouched",
            arguments: Place.allCases)
        func anyBytes(_ place: Place) throws {
            let words: [[UInt8]] = [
                Array("two words".utf8), Array("a 'quoted' \"word\"".utf8),
                Array("line\nbreak".utf8), [0xff, 0xfe, 0x80, 0x20, 0xc3], Array("-n".utf8),
                Array("--help".utf8), Array("$HOME `id` $(id) ; | > * ?".utf8), [],
                Array("{} {#} {1}".utf8), Array("\\n\t\r".utf8), Array(":::".utf8), [0x1b, 0x07],
            ]
            let input = Array(words.map { $0 + [0] }.joined())
            let expected = Array(
                words.map { [UInt8(ascii: "<")] + $0 + Array(">\n".utf8) }.joined())
            try Bench.with(place) { start, _ in
                let direct = try start(["-0", "printf", "<%s>\\n", "{}"], input).finish()
                #expect(direct.status == 0, "\(direct.notes)")
                #expect(direct.output == expected)
                let shell = try start(["-0", "printf '<%s>\\n' {}"], input).finish()
                #expect(shell.status == 0, "\(shell.notes)")
                #expect(shell.output == expected)
            }
        }

        @Test("Empty lines count, and the last line needs no end", arguments: Place.allCases)
        func lines(_ place: Place) throws {
            try Bench.with(place) { start, _ in
                let ended = try start(
                    ["printf", "{#}<%s>\\n", "{}"], Array("a\n\n-x\r\n\nlast".utf8)
                ).finish()
                #expect(ended.status == 0)
                #expect(ended.text == "1<a>\n2<>\n3<-x\r>\n4<>\n5<last>\n")
            }
        }

        @Test("No input at all runs nothing and succeeds", arguments: Place.allCases)
        func empty(_ place: Place) throws {
            try Bench.with(place) { start, directory in
                let touched = directory("touched")
                let ended = try start(["touch", touched], []).finish()
                #expect(ended.status == 0, "\(ended.notes)")
                #expect(ended.output.isEmpty)
                #expect(!File.exists(touched))
            }
        }

        @Test(
            "An argument too long for the system fails alone and is told why",
            arguments: Place.allCases)
        func longArgument(_ place: Place) throws {
            let input =
                Array("a\n".utf8) + [UInt8](repeating: 120, count: 3 << 20)
                + Array("\nb\n".utf8)
            try Bench.with(place) { start, _ in
                let ended = try start(["echo", "{}"], input).finish()
                #expect(ended.status == 1)
                #expect(ended.text == "a\nb\n")
                #expect(ended.notes.contains("too long"), "\(ended.notes)")
                #expect(ended.notes.utf8.count < 2000)
            }
        }

        @Test("-a reads files, and several sources are one product")
        func files() throws {
            let alone = try Alone()
            try File.write("1\n2\n", to: alone.directory("numbers"))
            let one = try alone.muster("run", "--local", "-a", "numbers", "echo", "n{}")
            #expect(one.text == "n1\nn2\n")
            let two = try alone.muster(
                "run", "--local", "-a", "numbers", "-a", "numbers", "echo", "{1}-{2}")
            #expect(two.text == "1-1\n1-2\n2-1\n2-2\n")
            let dash = try alone.muster(
                "run", "--local", "-a", "-", "echo", "{}", input: Array("x\ny\n".utf8))
            #expect(dash.text == "x\ny\n")
            let missing = try alone.muster("run", "--local", "-a", "nowhere", "echo", "{}")
            #expect(missing.status == 1)
            #expect(missing.notes.contains("nowhere"))
        }
    }
}
