/// The small fields that messages are made of. Reading checks; nothing here can trap on a peer's
/// bytes.

import FoundationEssentials
import MusterModel
import NIOCore

extension ByteBuffer {
    mutating func writeJob(_ job: JobID) { writeInteger(job.rawValue, endianness: .little) }

    mutating func writeSpan(_ range: Range<Int>) {
        writeMultipleIntegers(
            UInt64(max(0, range.lowerBound)), UInt64(max(0, range.upperBound)),
            endianness: .little)
    }

    mutating func writeRun(_ run: LeaseRun) {
        writeSpan(run.items)
        writeInteger(run.attempt, endianness: .little)
    }

    mutating func writeSpans(_ ranges: [Range<Int>], of job: JobID) {
        writeJob(job)
        writeInteger(UInt32(ranges.count), endianness: .little)
        for range in ranges { writeSpan(range) }
    }

    mutating func writeJSON(_ value: some Encodable) {
        // Values of our own types always encode; an empty body would be refused by the peer.
        guard let data = try? JSONEncoder().encode(value) else { return }
        writeBytes(data)
    }

    mutating func read<T: FixedWidthInteger>(_: T.Type) throws -> T {
        guard let value = readInteger(endianness: .little, as: T.self) else {
            throw MusterError(.malformed, "a frame ends too early")
        }
        return value
    }

    mutating func readJob() throws -> JobID { JobID(try read(UInt64.self)) }

    mutating func readIndex() throws -> Int {
        let value = try read(UInt64.self)
        guard value <= UInt64(Limits.itemsPerJob) else {
            throw MusterError(.malformed, "item \(value) is more than any job has")
        }
        return Int(value)
    }

    mutating func readSpan() throws -> Range<Int> {
        let from = try readIndex()
        let to = try readIndex()
        guard from <= to else { throw MusterError(.malformed, "a range ends before it starts") }
        return from..<to
    }

    mutating func readSpans() throws -> [Range<Int>] {
        let count = try read(UInt32.self)
        guard Int(count) <= readableBytes / 16 else {
            throw MusterError(.malformed, "a frame announces more ranges than it has")
        }
        return try (0..<count).map { _ in try readSpan() }
    }

    mutating func readText() throws -> String {
        let bytes = readBytes(length: readableBytes) ?? []
        guard bytes.count <= 4096, let text = String(validating: bytes, as: UTF8.self) else {
            throw MusterError(.malformed, "a text is too long or not UTF-8")
        }
        return text
    }

    /// A SHA-256 in lower-case hexadecimal.
    mutating func readDigest() throws -> String {
        guard let digest = readString(length: 64),
            digest.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else { throw MusterError(.malformed, "a file is not named by its SHA-256") }
        return digest
    }

    mutating func readJSON<T: Decodable>(_ type: T.Type) throws -> T {
        let bytes = readBytes(length: readableBytes) ?? []
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw MusterError(.malformed, "a \(type) is not as the protocol says: \(error)")
        }
    }
}
