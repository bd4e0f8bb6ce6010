// Reads a file descriptor in large blocks and cuts it at separators. Bytes come in through read(2),
// one record at a time goes out to RecordReader.swift, or a whole batch in the plain case. Memory
// is one block, or one record where a record is longer.

import Glibc
import Muster
import MusterModel

/// Records of one descriptor: lines, or what `-0` and `-d` make of it.
///
/// A record is every byte between two separators, as it is: `\r` is kept, and so are blanks and
/// NUL. An empty line is an empty record. The last record needs no separator; behind a last
/// separator there is no record. Used by one thread at a time.
package final class InputReader {
    /// Read at a time, in bytes; the buffer's size unless one record is longer.
    static let blockBytes = 256 << 10
    /// Longest record in bytes. Far above the 100 MB of a large line, far below what a length
    /// holds.
    static let mostRecordBytes = 1 << 30

    /// The file's name as shown in errors.
    package let name: String
    /// Whether reading never waits for somebody to write.
    package let isRegularFile: Bool
    private let descriptor: Int32
    private let closes: Bool
    private let separator: [UInt8]
    private let mostBytes: Int

    private var buffer: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    /// Unread bytes are `start..<end`; up to `scanned` no separator begins.
    private var start = 0
    private var scanned = 0
    private var end = 0
    private var reachedEnd = false
    /// Where the located record ends, and where the next one begins.
    private var located: (end: Int, next: Int)?
    /// Met in the middle of a batch; thrown behind it.
    private var delayed: InputError?

    /// Reads a descriptor that stays open.
    ///
    /// - Parameter separator: must not be empty.
    package convenience init(
        descriptor: Int32, name: String, separator: [UInt8] = [10],
        mostBytes: Int = mostRecordBytes
    ) throws(InputError) {
        try self.init(descriptor, name, separator, mostBytes: mostBytes, closes: false)
    }

    /// Opens a file.
    ///
    /// - Throws: `cannotOpen`, `isDirectory`.
    package convenience init(
        path: [UInt8], separator: [UInt8] = [10], mostBytes: Int = mostRecordBytes
    ) throws(InputError) {
        let name = Escaping.visible(path)
        guard !path.contains(0) else {
            throw InputError(.cannotOpen, "cannot open `\(name)`: a file name has no NUL")
        }
        let descriptor = (path + [0]).map(CChar.init(bitPattern:)).withUnsafeBufferPointer {
            $0.baseAddress.map { open($0, O_RDONLY | O_CLOEXEC) } ?? -1
        }
        guard descriptor >= 0 else {
            let reason = SystemText.lastError()
            throw InputError(.cannotOpen, "cannot open the input file `\(name)`: \(reason)")
        }
        try self.init(descriptor, name, separator, mostBytes: mostBytes, closes: true)
    }

    private init(
        _ descriptor: Int32, _ name: String, _ separator: [UInt8], mostBytes: Int, closes: Bool
    ) throws(InputError) {
        var status = stat()
        let known = fstat(descriptor, &status) == 0
        let kind = status.st_mode & S_IFMT
        if !known || kind == S_IFDIR {
            let reason = SystemText.lastError()
            if closes { close(descriptor) }
            guard known else {
                throw InputError(.cannotRead, "cannot read from \(name): \(reason)")
            }
            throw InputError(.isDirectory, "`\(name)` is a directory; give a file with inputs")
        }
        self.descriptor = descriptor
        self.name = name
        self.closes = closes
        self.separator = separator
        self.mostBytes = mostBytes
        isRegularFile = kind == S_IFREG
        capacity = Self.blockBytes
        buffer = .allocate(capacity: capacity)
    }

    deinit {
        buffer.deallocate()
        if closes { close(descriptor) }
    }

    // MARK: one record

    /// The next record; nil at the end.
    ///
    /// - Throws: `cannotRead`, `tooLong`.
    package func next() throws(InputError) -> [UInt8]? {
        guard let found = try locate(mayRead: true) else { return nil }
        let record = Array(UnsafeBufferPointer(start: buffer + start, count: found.end - start))
        consume()
        return record
    }

    /// Whether `count` records, or the end, can be had without reading.
    package func holds(records count: Int) -> Bool {
        if reachedEnd || isRegularFile { return true }
        var from = start
        for _ in 0..<count {
            guard let found = separatorIndex(from: from) else { return false }
            from = found + separator.count
        }
        return true
    }

    // MARK: many records

    /// Records as items of one field each; nil at the end. Waits for the first one only: the batch
    /// ends early rather than wait for more to be written.
    ///
    /// - Parameters:
    ///   - maxItems: at least one.
    ///   - maxBytes: exceeded only by a single item that is larger itself.
    /// - Throws: `cannotRead`, `tooLong`, after what was read before has been given out.
    package func nextBatch(maxItems: Int, maxBytes: Int) throws(InputError) -> InputBatch? {
        if let delayed { throw delayed }
        guard let first = try locate(mayRead: true) else { return nil }
        let prefix = ItemFields.lengthBytes
        // An item takes at least its separator in the buffer and a length in the batch.
        let room = max(
            first.end - start + prefix,
            isRegularFile ? maxBytes : min(maxBytes, (end - start + 1) * (prefix + 1)))
        var ends: [Int] = []
        let bytes = [UInt8](unsafeUninitializedCapacity: room) { output, used in
            let output = UnsafeMutableRawPointer(output.baseAddress ?? buffer)
            var found: (end: Int, next: Int)? = first
            while ends.count < max(maxItems, 1), let record = found {
                let length = record.end - start
                guard used + prefix + length <= room else { break }
                output.storeBytes(
                    of: UInt32(truncatingIfNeeded: length).littleEndian, toByteOffset: used,
                    as: UInt32.self)
                memcpy(output + used + prefix, buffer + start, length)
                used += prefix + length
                ends.append(used)
                consume()
                do throws(InputError) {
                    found = try locate(mayRead: isRegularFile)
                } catch {
                    delayed = error
                    found = nil
                }
            }
        }
        return InputBatch(bytes: bytes, ends: ends)
    }

    // MARK: the buffer

    private func consume() {
        guard let found = located else { return }
        start = found.next
        scanned = start
        located = nil
    }

    /// Finds the next record; nil at the end, or when it is not all in the buffer and `mayRead` is
    /// false.
    private func locate(mayRead: Bool) throws(InputError) -> (end: Int, next: Int)? {
        if let located { return located }
        while true {
            if let index = separatorIndex(from: scanned) {
                located = (index, index + separator.count)
                return located
            }
            scanned = max(start, end - (separator.count - 1))
            if reachedEnd {
                located = start < end ? (end, end) : nil
                return located
            }
            guard mayRead else { return nil }
            try fill()
        }
    }

    private func separatorIndex(from index: Int) -> Int? {
        guard index < end else { return nil }
        var from = index
        while from < end, let found = memchr(buffer + from, Int32(separator[0]), end - from) {
            let found = buffer.distance(to: found.assumingMemoryBound(to: UInt8.self))
            if separator.count == 1 { return found }
            guard found + separator.count <= end else { return nil }
            if memcmp(buffer + found, separator, separator.count) == 0 { return found }
            from = found + 1
        }
        return nil
    }

    /// Reads one block behind `end`, after making room for it.
    private func fill() throws(InputError) {
        if start == end {
            start = 0
            scanned = 0
            end = 0
            if capacity > 16 * Self.blockBytes { resize(to: Self.blockBytes) }
        } else if start > 0, capacity - end < Self.blockBytes / 2 {
            memmove(buffer, buffer + start, end - start)
            scanned -= start
            end -= start
            start = 0
        }
        if end - start > mostBytes {
            throw InputError(
                .tooLong,
                "an input in \(name) is longer than \(mostBytes) bytes; "
                    + "is it separated by something else than line breaks? See -0 and -d")
        }
        if capacity - end < Self.blockBytes / 2 { resize(to: capacity * 2) }
        while true {
            let count = read(descriptor, buffer + end, capacity - end)
            if count > 0 {
                end += count
                return
            }
            if count == 0 {
                reachedEnd = true
                return
            }
            if errno == EINTR { continue }
            guard errno == EAGAIN else {
                throw InputError(.cannotRead, "cannot read \(name): \(SystemText.lastError())")
            }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&waiting, 1, -1)
        }
    }

    private func resize(to newCapacity: Int) {
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
        memcpy(larger, buffer, end)
        buffer.deallocate()
        buffer = larger
        capacity = newCapacity
    }
}

/// What the system says about its last error.
enum SystemText {
    static func lastError() -> String {
        let code = errno
        return strerror(code).map { String(cString: $0) } ?? "error \(code)"
    }
}
