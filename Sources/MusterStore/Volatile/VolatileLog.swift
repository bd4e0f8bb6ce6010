/// An append-only file without a name: it is unlinked as soon as it is open, so that nothing is
/// left behind however the process ends. It appears with the first block, and when its last block
/// is dropped the disk gets its space back.

import Glibc
package import NIOCore

package final class VolatileLog: BlockLog {
    private let directory: String
    private var file: PlacedFile?
    private var end: UInt64 = 0
    /// How often the file has begun anew, so that a place of before is not taken for one of now.
    private var life: UInt32 = 1
    /// Where the blocks begin that are still wanted.
    private var live: Set<UInt64> = []

    init(directory: String) { self.directory = directory }

    package func append(_ bytes: ByteBuffer) throws(StoreError) -> BlockPlace {
        let file = try opened()
        let count = bytes.readableBytes
        let number = bytes.withUnsafeReadableBytes { body in
            file.write(UnsafeRawBufferPointer(start: nil, count: 0), body, at: end)
        }
        guard number == 0 else {
            _ = ftruncate(file.descriptor, off_t(end))
            throw .system(number, path: directory, operation: "write to a spool in", needed: count)
        }
        let place = BlockPlace(segment: life, offset: end, bytes: count)
        // Two blocks at one place cannot be told apart, so an empty one takes a byte as well.
        end += UInt64(max(1, count))
        live.insert(place.offset)
        return place
    }

    package func read(_ place: BlockPlace) throws(StoreError) -> ByteBuffer {
        guard let file, place.segment == life, live.contains(place.offset), place.bytes >= 0,
            end - place.offset >= UInt64(place.bytes)
        else {
            throw .damaged(
                path: directory, offset: place.offset, reason: "no such block in the spool")
        }
        var buffer = ByteBufferAllocator().buffer(capacity: place.bytes)
        var count = 0
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: place.bytes) { room in
            let wanted = UnsafeMutableRawBufferPointer(rebasing: room[..<place.bytes])
            count = file.read(into: wanted, at: place.offset)
            return max(0, count)
        }
        if count < 0 {
            throw .system(
                Int32(-count), path: directory, operation: "read a spool in", needed: place.bytes)
        }
        guard count == place.bytes else {
            throw .damaged(path: directory, offset: place.offset, reason: "the spool ends early")
        }
        return buffer
    }

    package var diskBytes: UInt64 { end }

    func drop(_ places: [BlockPlace]) {
        for place in places where place.segment == life { live.remove(place.offset) }
        guard live.isEmpty, end > 0, let file else { return }
        _ = ftruncate(file.descriptor, 0)
        end = 0
        life &+= 1
    }

    func close() {
        file = nil
        end = 0
        life &+= 1
        live = []
    }

    private func opened() throws(StoreError) -> PlacedFile {
        if let file { return file }
        var path = Array("\(directory)/muster-spool-XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        guard descriptor >= 0 else {
            throw .system(errno, path: directory, operation: "make a spool in", needed: 4096)
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = unlink(path)
        let made = PlacedFile(descriptor: descriptor, path: directory)
        file = made
        return made
    }
}
