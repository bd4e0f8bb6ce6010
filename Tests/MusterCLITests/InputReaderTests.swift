// Reading real files and pipes: what is a record, and what happens at the edges.

import Glibc
import MusterCLI
import Testing

@Suite("Reading inputs")
struct InputReaderTests {
    private func records(_ bytes: [UInt8], separator: [UInt8] = [10]) throws -> [[UInt8]] {
        let directory = try TemporaryDirectory()
        let path = try directory.file(bytes)
        let reader = try InputReader(path: path, separator: separator)
        var records: [[UInt8]] = []
        while let record = try reader.next() { records.append(record) }
        #expect(try reader.next() == nil)
        // The same in batches, of several sizes.
        for (maxItems, maxBytes) in [(1, 1 << 20), (1000, 1 << 20), (1000, 1), (3, 12)] {
            let reader = try InputReader(path: path, separator: separator)
            var batched: [[UInt8]] = []
            while let batch = try reader.nextBatch(maxItems: maxItems, maxBytes: maxBytes) {
                #expect(batch.count >= 1 && batch.count <= maxItems)
                #expect(batch.bytes.count <= maxBytes || batch.count == 1)
                for index in 0..<batch.count { batched += try batch.fields(at: index) }
            }
            #expect(batched == records)
        }
        return records
    }

    @Test(
        "Records are the bytes between separators",
        arguments: [
            ("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\nb", ["a", "b"]), ("\n", [""]),
            ("\n\n", ["", ""]),
            ("a\n\nb\n", ["a", "", "b"]), ("a\r\nb", ["a\r", "b"]), (" a \n", [" a "]),
            ("\u{FEFF}a\n", ["\u{FEFF}a"]), ("a\u{0}b\n", ["a\u{0}b"]),
        ])
    func lines(text: String, expected: [String]) throws {
        #expect(try texts(records(Array(text.utf8))) == expected)
    }

    @Test("NUL and longer delimiters separate as well")
    func separators() throws {
        #expect(try texts(records(Array("a\nb\0c".utf8), separator: [0])) == ["a\nb", "c"])
        #expect(try texts(records(Array("a,b,c\n".utf8), separator: [44])) == ["a", "b", "c\n"])
        let double = Array("::".utf8)
        #expect(
            try texts(records(Array("a::b:::c::".utf8), separator: double)) == ["a", "b", ":c"])
        #expect(try texts(records(Array("a:".utf8), separator: double)) == ["a:"])
    }

    @Test("Records across the edges of blocks are whole, for separators of one and of three bytes")
    func blockEdges() throws {
        for separator: [UInt8] in [[10], [1, 1, 2]] {
            var bytes: [UInt8] = []
            var expected: [[UInt8]] = []
            for length in [0, 1, 70_000, 262_140, 262_144, 262_145, 5, 600_000, 3] {
                let record = [UInt8](repeating: 1, count: length)
                expected.append(record + [7])
                bytes += record + [7] + separator
            }
            #expect(try records(bytes, separator: separator) == expected)
        }
    }

    @Test("A line of 100 MB is one record, and small ones follow it")
    func hugeLine() throws {
        let directory = try TemporaryDirectory()
        let line = [UInt8](repeating: 0x61, count: 100_000_000)
        let path = try directory.file(line + Array("\nb\nc".utf8))
        let reader = try InputReader(path: path)
        #expect(try reader.next()?.count == line.count)
        #expect(try reader.next() == [0x62])
        #expect(try reader.next() == [0x63])
        let again = try InputReader(path: path)
        let batch = try #require(try again.nextBatch(maxItems: 10, maxBytes: 1000))
        #expect(batch.count == 1 && batch.bytes.count == line.count + 4)
        #expect(try again.nextBatch(maxItems: 10, maxBytes: 1000)?.count == 2)
    }

    @Test("A record without end is refused, after what came before it")
    func limit() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file(
            Array("a\nb\n".utf8) + [UInt8](repeating: 0x78, count: 2_000_000))
        let reader = try InputReader(path: path, mostBytes: 1_000_000)
        #expect(try reader.nextBatch(maxItems: 100, maxBytes: 1 << 20)?.count == 2)
        #expect { try reader.nextBatch(maxItems: 1, maxBytes: 1) } throws: {
            ($0 as? InputError)?.code == .tooLong
        }
    }

    @Test("A file that cannot be read is named with the reason")
    func badFiles() throws {
        let directory = try TemporaryDirectory()
        let missing = Array("\(directory.path)/a\u{1B}b".utf8)
        #expect { try InputReader(path: missing) } throws: { error in
            guard let error = error as? InputError else { return false }
            return error.code == .cannotOpen && error.message.contains("/a\\eb`")
                && error.message.contains("No such file")
        }
        #expect { try InputReader(path: Array(directory.path.utf8)) } throws: { error in
            guard let error = error as? InputError else { return false }
            return error.code == .isDirectory && error.message.contains(directory.path)
        }
        #expect { try InputReader(path: Array("/proc/self/mem".utf8)).next() } throws: { error in
            guard let error = error as? InputError else { return false }
            return error.code == .cannotRead && error.message.contains("/proc/self/mem")
        }
        #expect(throws: InputError.self) { try InputReader(path: [0x61, 0]) }
        #expect(throws: InputError.self) { try InputReader(path: []) }
        if geteuid() != 0 {
            let path = try directory.file("x")
            chmod(String(decoding: path, as: UTF8.self), 0)
            #expect { try InputReader(path: path) } throws: {
                ($0 as? InputError)?.code == .cannotOpen
            }
        }
    }

    @Test("A batch goes out with what has been written, and does not wait for more")
    func streams() throws {
        let pipe = try TestPipe()
        let reader = try InputReader(descriptor: pipe.readEnd, name: "pipe")
        try pipe.send("a\nb\npart")
        let first = try #require(try reader.nextBatch(maxItems: 100, maxBytes: 1 << 20))
        #expect(first.count == 2)
        #expect(!reader.holds(records: 1))
        try pipe.send("ial\nc\n")
        let second = try #require(try reader.nextBatch(maxItems: 1, maxBytes: 1 << 20))
        #expect(try texts(second.fields(at: 0)) == ["partial"])
        #expect(reader.holds(records: 1) && !reader.holds(records: 2))
        pipe.finish()
        #expect(try reader.next() == [0x63])
        #expect(try reader.nextBatch(maxItems: 1, maxBytes: 1) == nil)
    }

    @Test("A delimiter that comes in two halves is one delimiter")
    func splitDelimiter() throws {
        let pipe = try TestPipe()
        let reader = try InputReader(
            descriptor: pipe.readEnd, name: "pipe", separator: Array("::".utf8))
        try pipe.send("x::a:")
        #expect(try reader.nextBatch(maxItems: 9, maxBytes: 1 << 20)?.count == 1)
        try pipe.send(":b")
        pipe.finish()
        #expect(try reader.next() == Array("a".utf8))
        #expect(try reader.next() == Array("b".utf8))
    }

    @Test("A pipe that does not block is waited for")
    func nonBlocking() async throws {
        let pipe = try TestPipe()
        _ = fcntl(pipe.readEnd, F_SETFL, O_NONBLOCK)
        let reader = try InputReader(descriptor: pipe.readEnd, name: "pipe")
        let writer = Thread { try? pipe.send("late\n") }
        #expect(try reader.next() == Array("late".utf8))
        writer.join()
    }
}

/// A thread that runs a body once.
private struct Thread {
    private let handle: pthread_t

    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }

    init(_ body: @escaping () -> Void) {
        var handle = pthread_t()
        pthread_create(
            &handle, nil,
            { pointer in
                guard let pointer else { return nil }
                Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(Body(body)).toOpaque())
        self.handle = handle
    }

    func join() { pthread_join(handle, nil) }
}
