/// The Python runner as one zip that `python3` runs, made of the files that are built into this
/// program (`CPythonRunner`). `JobMaker+Python.swift` sends it along.

import CPythonRunner

enum PythonArchive {
    static let name = "muster-runner.zip"

    private static let main = """
        import sys, os
        sys.path[0] = os.path.abspath(sys.path[0])
        from _muster.runner.main import main
        main()

        """

    static func bytes() -> [UInt8] {
        var zip = StoredZip()
        zip.add("__main__.py", Array(main.utf8))
        zip.add("_muster/__init__.py", [])
        for index in 0..<muster_python_source_count() {
            let source = muster_python_source_at(index)
            zip.add(
                String(cString: source.name),
                Array(UnsafeBufferPointer(start: source.bytes, count: source.count)))
        }
        return zip.finished()
    }
}

/// A zip of files as they are, for names in ASCII: the same files are always the same bytes, so
/// workers need them once.
struct StoredZip {
    private var body: [UInt8] = []
    private var directory: [UInt8] = []
    private var count = 0

    mutating func add(_ name: String, _ bytes: [UInt8]) {
        // Version 1.0, no flags, stored, 1980-01-01 00:00.
        var facts: [UInt8] = []
        facts.put16(10, 0, 0, 0, 0x21)
        facts.put32(Self.checksum(bytes), UInt32(bytes.count), UInt32(bytes.count))
        facts.put16(UInt16(name.utf8.count), 0)
        let place = UInt32(body.count)
        body.put32(0x0403_4B50)
        body += facts + name.utf8 + bytes
        directory.put32(0x0201_4B50)
        directory.put16(10)
        directory += facts
        // No comment, first disk, no attributes.
        directory.put16(0, 0, 0)
        directory.put32(0, place)
        directory += name.utf8
        count += 1
    }

    func finished() -> [UInt8] {
        var end: [UInt8] = []
        end.put32(0x0605_4B50)
        end.put16(0, 0, UInt16(count), UInt16(count))
        end.put32(UInt32(directory.count), UInt32(body.count))
        end.put16(0)
        return body + directory + end
    }

    /// CRC-32 as in zip (IEEE 802.3, reflected).
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var crc = UInt32.max
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = (crc >> 1) ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
        }
        return ~crc
    }
}

extension [UInt8] {
    fileprivate mutating func put16(_ numbers: UInt16...) {
        for number in numbers { append(contentsOf: [UInt8(number & 0xFF), UInt8(number >> 8)]) }
    }

    fileprivate mutating func put32(_ numbers: UInt32...) {
        for number in numbers { put16(UInt16(number & 0xFFFF), UInt16(number >> 16)) }
    }
}
