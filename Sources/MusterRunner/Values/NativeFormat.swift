// The native encoding of Codable types: its bytes. What NativeEncoder.swift writes and
// NativeDecoder.swift reads, wherever values of such types are on their way.
//
// A value is a tag byte and its payload; every payload says or implies its length, so that a reader
// can step over what it does not know. Keys are written out: a type may be decoded in another order
// than it was encoded, skip keys and ask for keys that are not there. A synthesized Codable finds
// each key where it expects it and never searches.
//
//     integer         the smallest of 1, 4, 8 or 16 bytes that holds it, signed (or 8 unsigned)
//     keyed           u32 bytes, then per entry: u8 key length (255: a u32 follows), key, value
//     unkeyed         u32 bytes, u32 count, values
//     packed          u32 bytes, u8 tag of the elements, their payloads side by side

enum NativeTag {
    static let null: UInt8 = 0
    static let no: UInt8 = 1
    static let yes: UInt8 = 2
    static let int8: UInt8 = 3
    static let int32: UInt8 = 4
    static let int64: UInt8 = 5
    static let uint64: UInt8 = 6
    static let int128: UInt8 = 7
    static let uint128: UInt8 = 8
    static let float: UInt8 = 9
    static let double: UInt8 = 10
    static let text: UInt8 = 11
    static let keyed: UInt8 = 12
    static let unkeyed: UInt8 = 13
    static let packed: UInt8 = 14
    /// Only as an element of packed bytes.
    static let uint8: UInt8 = 15
    /// Bytes of Data.
    static let bytes: UInt8 = 16

    /// Bytes of the payload of a tag that implies it.
    static func width(_ tag: UInt8) -> Int? {
        switch tag {
        case null, no, yes: 0
        case int8, uint8: 1
        case int32, float: 4
        case int64, uint64, double: 8
        case int128, uint128: 16
        default: nil
        }
    }
}

enum NativeFormat {
    /// Containers within containers; deeper ones would end in an overflow of the stack.
    static let deepest = 512
    /// From a keyed or unkeyed container's tag to its first entry.
    static let keyedHead = 5
    static let unkeyedHead = 9
}

/// A value within a block: its tag and where its payload lies.
struct NativeValue {
    var tag: UInt8
    var start: UInt32
    var end: UInt32

    /// Reads the value at `position` of a piece of a block that ends at `limit`, which is within
    /// the block.
    ///
    /// - Throws: `.undecodable` when it is none.
    @inline(__always)
    init(_ block: ByteBlock, at position: UInt32, limit: UInt32) throws {
        guard position < limit else { throw RunnerError.truncated }
        tag = block.start.load(fromByteOffset: Int(position), as: UInt8.self)
        start = position + 1
        let length: UInt32
        switch tag {
        case NativeTag.int8: length = 1
        case NativeTag.int64, NativeTag.double: length = 8
        default:
            if let width = NativeTag.width(tag), tag != NativeTag.uint8 {
                length = UInt32(width)
            } else {
                guard tag >= NativeTag.text, tag <= NativeTag.bytes, tag != NativeTag.uint8 else {
                    throw RunnerError(.undecodable, "Tag \(tag) is none of this version.")
                }
                guard limit - start >= 4 else { throw RunnerError.truncated }
                let place = Int(start)
                length = UInt32(
                    littleEndian: block.start.loadUnaligned(
                        fromByteOffset: place, as: UInt32.self))
                start += 4
            }
        }
        guard limit - start >= length else { throw RunnerError.truncated }
        end = start + length
    }

    init(tag: UInt8, start: UInt32, end: UInt32) {
        self.tag = tag
        self.start = start
        self.end = end
    }
}
