// Sources combined to items, compared with what GNU parallel makes of the same command line.

import Glibc
import MusterCLI
import MusterModel
import Testing

private func list(_ values: String..., linked: Bool = false) -> InputSource {
    InputSource(.list(values.map { Array($0.utf8) }), linked: linked)
}

private func plan(
    _ sources: [InputSource], standardInput: Int32 = 0,
    _ change: (inout InputSettings) throws -> Void = { _ in }
) throws -> InputPlan {
    var settings = InputSettings()
    try change(&settings)
    return try InputPlan(sources: sources, settings: settings, standardInput: standardInput)
}

@Suite("Combining sources")
struct InputPlanTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let name: String
        let sources: [InputSource]
        let items: [String]
        var link = false
        var perItem = 1
        var header = false
        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(name: "one list", sources: [list("a", "b")], items: ["a", "b"]),
        Row(
            name: "product, last fastest", sources: [list("a", "b"), list("1", "2", "3")],
            items: ["a|1", "a|2", "a|3", "b|1", "b|2", "b|3"]),
        Row(
            name: "three sources", sources: [list("a", "b"), list("1"), list("x", "y")],
            items: ["a|1|x", "a|1|y", "b|1|x", "b|1|y"]),
        Row(name: "an empty source", sources: [list("a"), list()], items: []),
        Row(
            name: "--link wraps", sources: [list("a", "b", "c"), list("1", "2")],
            items: ["a|1", "b|2", "c|1"], link: true),
        Row(
            name: "--link wraps the first", sources: [list("a"), list("1", "2", "3")],
            items: ["a|1", "a|2", "a|3"], link: true),
        Row(
            name: ":::+ stops at the shortest",
            sources: [list("a", "b"), list("1", "2", "3", linked: true), list("x", "y")],
            items: ["a|1|x", "a|1|y", "b|2|x", "b|2|y"]),
        Row(
            name: ":::+ on the second",
            sources: [list("a", "b"), list("1", "2"), list("x", "y", linked: true)],
            items: ["a|1|x", "a|2|y", "b|1|x", "b|2|y"]),
        Row(
            name: "--link with :::+",
            sources: [list("a", "b"), list("1", "2", "3"), list("x", "y", linked: true)],
            items: ["a|1|x", "b|2|y"], link: true),
        Row(name: "-n 3", sources: [list("a", "b", "c", "d")], items: ["a|b|c", "d"], perItem: 3),
        Row(
            name: "--header with two sources",
            sources: [list("lr", "0.1", "0.01"), list("layers", "2", "4")],
            items: ["0.1|2", "0.1|4", "0.01|2", "0.01|4"], header: true),
    ]

    @Test("Items come as GNU parallel combines them", arguments: rows)
    func combinations(row: Row) throws {
        let change: (inout InputSettings) -> Void = {
            $0.link = row.link
            $0.perItem = row.perItem
            $0.header = row.header
        }
        var items = try plan(row.sources, change)
        #expect(items.knownCount == row.items.count)
        #expect(try items.rest() == row.items)
        #expect(try items.next() == nil)

        // The same from files, one by one and in batches.
        let directory = try TemporaryDirectory()
        let files = try row.sources.enumerated().map { index, source in
            guard case .list(let values) = source.origin else { return source }
            let text = values.map { $0 + [10] }.joined()
            return InputSource(
                .file(try directory.file(Array(text), named: "f\(index)")), linked: source.linked)
        }
        var fromFiles = try plan(files, change)
        #expect(fromFiles.knownCount == nil)
        #expect(try fromFiles.rest() == row.items)
        for maxItems in [1, 2, 100] {
            var batches = try plan(files, change)
            var batched: [String] = []
            while let batch = try batches.nextBatch(maxItems: maxItems, maxBytes: 20) {
                #expect(batch.count <= maxItems && (batch.bytes.count <= 20 || batch.count == 1))
                for index in 0..<batch.count {
                    batched.append(texts(try batch.fields(at: index)).joined(separator: "|"))
                }
            }
            #expect(batched == row.items)
        }
    }

    @Test("Names and the number of fields are known before the first item")
    func fields() throws {
        let sweep = try plan([list("lr", "1"), list("layers", "2")]) { $0.header = true }
        #expect(texts(sweep.names) == ["lr", "layers"])
        #expect(sweep.fieldCount == 2)
        #expect(try plan([list("a"), list("b")]) { $0.perItem = 2 }.fieldCount == 4)
        #expect(try plan([list("a,b")]) { $0.columns = try ColumnPattern(",") }.fieldCount == nil)
        let columns = try plan([list("x,y", "1,2")]) {
            $0.columns = try ColumnPattern(",")
            $0.header = true
        }
        #expect(columns.fieldCount == 2)
        #expect(texts(columns.names) == ["x", "y"])
    }

    @Test("-C cuts and trims, and rows may differ in length")
    func columns() throws {
        var rows = try plan([list("a , b", "c,d,e", "")]) { $0.columns = try ColumnPattern(",") }
        #expect(try rows.rest() == ["a|b", "c|d|e", ""])
        var pairs = try plan([list("a,b", "c")]) {
            $0.columns = try ColumnPattern(",")
            $0.perItem = 2
        }
        #expect(try pairs.rest() == ["a|b|c"])
    }

    @Test("CSV follows RFC 4180")
    func csv() throws {
        let directory = try TemporaryDirectory()
        let text =
            "\u{FEFF}name,mail\r\n\"a \"\"x\"\"\",b\r\n\r\n\"l1\r\nl2\",\"\"\nx,,\n\"q,r\",s\" t"
        let source = InputSource(.file(try directory.file(text)))
        var items = try plan([source]) {
            $0.csv = true
            $0.header = true
        }
        #expect(texts(items.names) == ["name", "mail"])
        #expect(try items.rest() == ["a \"x\"|b", "l1\r\nl2|", "x||", "q,r|s\" t"])
        var list = try plan([list("a;\"b;c\"")]) {
            $0.csv = true
            $0.columns = try ColumnPattern(";")
        }
        #expect(try list.rest() == ["a|b;c"])
    }

    @Test("Broken CSV is told with its line")
    func badCSV() throws {
        let directory = try TemporaryDirectory()
        for (text, part) in [
            ("a\n\"b\nc\n", "line 2"), ("a\n\"b\"c\n", "line 2"), ("x\"\n\"", "line 2"),
        ] {
            let source = InputSource(.file(try directory.file(text)))
            var items = try plan([source]) { $0.csv = true }
            #expect { try items.rest() } throws: { error in
                guard let error = error as? InputError else { return false }
                return error.code == .badCSV && error.message.contains(part)
                    && error.message.contains(directory.path)
            }
        }
        #expect(throws: InputError.self) {
            try plan([list("a")]) {
                $0.csv = true
                $0.columns = try ColumnPattern("::")
            }
        }
    }

    @Test("--shuf gives each item once, in an order that the seed decides")
    func shuffle() throws {
        func order(_ seed: UInt64) throws -> [String] {
            var items = try plan([list("a", "b", "c", "d", "e"), list("1", "2", "3", "4")]) {
                $0.shuffleSeed = seed
            }
            return try items.rest()
        }
        var plain = try plan([list("a", "b", "c", "d", "e"), list("1", "2", "3", "4")])
        let all = try plain.rest()
        #expect(try order(1) == order(1))
        #expect(try order(1) != order(2))
        #expect(try order(1) != all)
        #expect(try order(1).sorted() == all.sorted())
        var numbers = try plan([]) {
            $0.array = try ArrayRange("1-100")
            $0.shuffleSeed = 3
        }
        #expect(numbers.array == nil)
        #expect(Set(try numbers.rest()).count == 100)
    }

    @Test("--array is a case of its own and gives the same numbers as text")
    func array() throws {
        var numbers = try plan([]) { $0.array = try ArrayRange("1-9:4,20%3") }
        #expect(numbers.array?.count == 4)
        #expect(numbers.knownCount == 4)
        #expect(numbers.fieldCount == 1)
        #expect(try numbers.rest() == ["1", "5", "9", "20"])
        var pairs = try plan([]) {
            $0.array = try ArrayRange("1-3")
            $0.perItem = 2
        }
        #expect(pairs.array == nil)
        #expect(pairs.knownCount == 2)
        #expect(try pairs.rest() == ["1|2", "3"])
        #expect(throws: InputError.self) {
            try plan([list("a")]) { $0.array = try ArrayRange("1-3") }
        }
    }

    @Test("The first source of a product is streamed")
    func streamsFirst() throws {
        let pipe = try TestPipe()
        var items = try plan(
            [InputSource(.standardInput), list("1", "2")], standardInput: pipe.readEnd)
        try pipe.send("a\n")
        #expect(try items.nextBatch(maxItems: 100, maxBytes: 1 << 20)?.count == 2)
        try pipe.send("b\n")
        #expect(try items.next().map(texts) == ["b", "1"])
        pipe.finish()
        #expect(try items.rest() == ["b|2"])
    }

    @Test("Groups of -n go out when they are whole, and do not wait for the next one")
    func streamsGroups() throws {
        let pipe = try TestPipe()
        var items = try plan([InputSource(.standardInput)], standardInput: pipe.readEnd) {
            $0.perItem = 2
        }
        try pipe.send("a\nb\nc\n")
        #expect(try items.nextBatch(maxItems: 100, maxBytes: 1 << 20)?.count == 1)
        pipe.finish()
        #expect(try items.rest() == ["c"])
    }

    @Test("--link holds a stream only while it may be needed again, and wraps the lists")
    func linkStream() throws {
        let directory = try TemporaryDirectory()
        let file = InputSource(.file(try directory.file((1...5).map { "\($0)\n" }.joined())))
        var items = try plan([file, list("a", "b")]) { $0.link = true }
        #expect(try items.rest() == ["1|a", "2|b", "3|a", "4|b", "5|a"])
        var empty = try plan([file, list()]) { $0.link = true }
        #expect { try empty.next() } throws: { ($0 as? InputError)?.code == .badCombination }
    }

    @Test("A terminal is told from a pipe")
    func terminal() throws {
        let terminal = try TestTerminal()
        #expect(
            try plan([InputSource(.standardInput)], standardInput: terminal.terminal).readsTerminal)
        let pipe = try TestPipe()
        #expect(try !plan([InputSource(.standardInput)], standardInput: pipe.readEnd).readsTerminal)
        #expect(try !plan([list("a")], standardInput: terminal.terminal).readsTerminal)
    }

    @Test("What cannot be combined is refused at once")
    func refused() throws {
        let stdin = InputSource(.standardInput)
        #expect { try plan([stdin, stdin]) } throws: {
            ($0 as? InputError)?.code == .badCombination
        }
        #expect(throws: InputError.self) { try plan([]) }
        #expect { try plan([list()]) { $0.header = true } } throws: {
            ($0 as? InputError)?.code == .missingHeader
        }
        #expect {
            try plan([list("a"), InputSource(.file(Array("/nonexistent/x".utf8)))])
        } throws: {
            ($0 as? InputError)?.code == .cannotOpen
        }
    }

    @Test("A product too large to count is read all the same")
    func hugeProduct() throws {
        let hundred = InputSource(.list((0..<100).map { Array(String($0).utf8) }))
        var items = try plan(Array(repeating: hundred, count: 10))
        #expect(items.knownCount == nil)
        #expect(try items.next()?.count == 10)
    }
}
