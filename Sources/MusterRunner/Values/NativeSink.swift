// Where an encoder writes (NativeEncoder.swift). In: keys and values in the order in which a type
// encodes them. Out: their bytes in the format of NativeFormat.swift.
//
// Nobody says when a container is complete, except that a value is when its encode(to:) returns.
// Nested containers that a type asks for by name may be filled in any order, so each of them gets a
// sink of its own and is put in its place when the value around it is complete.

private import FoundationEssentials

final class NativeSink {
    let bytes: ByteSink
    /// Containers that belong into these bytes, by place, in the order of their creation.
    private var children: [(place: Int, sink: NativeSink)] = []
    private var depth: Int
    /// Set where a type did what no encoding can hold and the call could not throw.
    private var mistake: String?

    init(_ bytes: ByteSink, depth: Int = 0) {
        self.bytes = bytes
        self.depth = depth
    }

    // MARK: Values

    /// Encodes one value behind what is there.
    ///
    /// - Throws: what the value's encode(to:) throws; nothing of the value is left then.
    @inline(__always)
    func encode<Value: Encodable>(_ value: Value) throws {
        if encodePacked(value) { return }
        let start = bytes.count
        let before = children.count
        do {
            guard depth < NativeFormat.deepest else { throw tooDeep(value) }
            depth += 1
            defer { depth -= 1 }
            try value.encode(to: NativeEncoder(sink: self, start: start))
            try finish(start, before)
            if let mistake {
                throw EncodingError.invalidValue(
                    value, .init(codingPath: [], debugDescription: mistake))
            }
        } catch {
            bytes.truncate(to: start)
            children.removeLast(max(children.count - before, 0))
            mistake = nil
            throw error
        }
    }

    /// The value that began at `start` is complete.
    private func finish(_ start: Int, _ before: Int) throws {
        if children.count > before {
            for child in children[before...].reversed() {
                try child.sink.finish(0, 0)
                mistake = mistake ?? child.sink.mistake
                bytes.insert(child.sink.bytes.bytes, at: child.place)
            }
            children.removeLast(children.count - before)
        }
        // A type that encodes nothing still is a value.
        if bytes.count == start { open(NativeTag.keyed, at: start) }
        guard let tag = bytes.byte(at: start), tag == NativeTag.keyed || tag == NativeTag.unkeyed
        else { return }
        let length = bytes.count - start - NativeFormat.keyedHead
        guard length <= ValueBatch.largestValue else {
            throw RunnerError(
                .tooLarge,
                "The value has more than \(ValueBatch.largestValue) bytes; "
                    + "write it to a file and return its name.")
        }
        bytes.store(UInt32(length), at: start + 1)
    }

    /// A container for the value that begins at `start`; a second one of the same kind goes on
    /// with the first one's entries, as a class and its superclass expect.
    func open(_ tag: UInt8, at start: Int) {
        if bytes.count == start {
            bytes.append(tag)
            bytes.append(UInt32(0))
            if tag == NativeTag.unkeyed { bytes.append(UInt32(0)) }
        } else if bytes.byte(at: start) != tag {
            fail("It asks for containers of different kinds for one value.")
        }
    }

    /// A sink for a container or value that is filled later.
    func child() -> NativeSink {
        let sink = NativeSink(ByteSink(capacity: 64), depth: depth + 1)
        if depth >= NativeFormat.deepest {
            fail("It has more than \(NativeFormat.deepest) containers within each other.")
        }
        children.append((bytes.count, sink))
        return sink
    }

    func fail(_ what: String) { mistake = mistake ?? what }

    private func tooDeep(_ value: Any) -> any Error {
        EncodingError.invalidValue(
            value,
            .init(
                codingPath: [],
                debugDescription:
                    "It has more than \(NativeFormat.deepest) containers within each other."))
    }

    // MARK: Pieces

    @inline(__always)
    func key(_ name: String) {
        var name = name
        name.withUTF8 { utf8 in
            if utf8.count < 255 {
                bytes.append(UInt8(utf8.count))
            } else {
                bytes.append(255 as UInt8)
                bytes.append(UInt32(truncatingIfNeeded: utf8.count))
            }
            bytes.append(UnsafeRawBufferPointer(utf8))
        }
    }

    @inline(__always)
    func integer<Number: FixedWidthInteger>(_ number: Number) {
        if let small = Int8(exactly: number) {
            bytes.append(NativeTag.int8)
            bytes.append(small)
        } else if let middle = Int32(exactly: number) {
            bytes.append(NativeTag.int32)
            bytes.append(middle)
        } else if let large = Int64(exactly: number) {
            bytes.append(NativeTag.int64)
            bytes.append(large)
        } else if let large = UInt64(exactly: number) {
            bytes.append(NativeTag.uint64)
            bytes.append(large)
        } else if let huge = Int128(exactly: number) {
            bytes.append(NativeTag.int128)
            bytes.append(huge)
        } else {
            bytes.append(NativeTag.uint128)
            bytes.append(UInt128(truncatingIfNeeded: number))
        }
    }

    func null() { bytes.append(NativeTag.null) }
    func bool(_ value: Bool) { bytes.append(value ? NativeTag.yes : NativeTag.no) }

    func float(_ value: Float) {
        bytes.append(NativeTag.float)
        bytes.append(value.bitPattern)
    }

    func double(_ value: Double) {
        bytes.append(NativeTag.double)
        bytes.append(value.bitPattern)
    }

    func text(_ value: String) {
        bytes.append(NativeTag.text)
        let place = bytes.count
        bytes.append(UInt32(0))
        bytes.store(UInt32(truncatingIfNeeded: bytes.append(value)), at: place)
    }

    // MARK: Types with a way of their own

    /// Whether the value is of a type whose own encode(to:) would go element by element.
    @inline(__always)
    private func encodePacked<Value>(_ value: Value) -> Bool {
        if let value: String = Same.value(value) {
            text(value)
        } else if let value: Int = Same.value(value) {
            integer(value)
        } else if let value: Double = Same.value(value) {
            double(value)
        } else if let value: [UInt8] = Same.value(value) {
            value.withUnsafeBytes { packed(NativeTag.uint8, $0) }
        } else if let value: [Int] = Same.value(value) {
            value.withUnsafeBytes { packed(NativeTag.int64, $0) }
        } else if let value: [Double] = Same.value(value) {
            value.withUnsafeBytes { packed(NativeTag.double, $0) }
        } else if let value: [Float] = Same.value(value) {
            value.withUnsafeBytes { packed(NativeTag.float, $0) }
        } else if let value: Data = Same.value(value) {
            bytes.append(NativeTag.bytes)
            bytes.append(UInt32(truncatingIfNeeded: value.count))
            value.withUnsafeBytes { bytes.append($0) }
        } else {
            return false
        }
        return true
    }

    private func packed(_ tag: UInt8, _ elements: UnsafeRawBufferPointer) {
        bytes.append(NativeTag.packed)
        bytes.append(UInt32(truncatingIfNeeded: elements.count + 1))
        bytes.append(tag)
        bytes.append(elements)
    }
}
