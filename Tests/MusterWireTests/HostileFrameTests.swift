// Bytes of somebody who wants to harm: each ends in `MusterError.malformed`, none in a trap, and
// no announced length is believed before the bytes are there.

import MusterModel
import MusterWire
import NIOCore
import Testing

@Suite("Hostile frames")
struct HostileFrameTests {
    /// A frame by hand; `length` where it shall lie.
    static func frame(_ kind: UInt8, _ body: [UInt8], length: UInt32? = nil) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(length ?? UInt32(body.count), endianness: .little)
        buffer.writeInteger(kind)
        buffer.writeBytes(body)
        return buffer
    }

    static func frame(_ kind: Frame.Kind, _ write: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var body = ByteBuffer()
        write(&body)
        return frame(kind.rawValue, Array(body.readableBytesView))
    }

    static func json(_ kind: Frame.Kind, _ text: String) -> ByteBuffer {
        frame(kind) { body in
            if kind == .request || kind == .response || kind == .learn {
                body.writeInteger(UInt64(1), endianness: .little)
            }
            body.writeString(text)
        }
    }

    static func isMalformed(_ bytes: ByteBuffer, maximumBody: Int = Limits.frameBytes) -> Bool {
        do {
            _ = try decodeAll(bytes, maximumBody: maximumBody)
            return false
        } catch {
            return (error as? MusterError)?.code == .malformed
        }
    }

    @Test("A length over the limit is refused from its header alone")
    func lengths() throws {
        let kind = Frame.Kind.bye.rawValue
        for length in [UInt32(Limits.frameBytes) + 1, 1 << 31, .max] {
            #expect(Self.isMalformed(Self.frame(kind, [], length: length)))
        }
        var largest = Self.frame(kind, [], length: UInt32(Limits.frameBytes))
        var reader = FrameReader(maximumBody: Limits.frameBytes)
        reader.append(&largest)
        #expect(try reader.next() == nil)
        #expect(reader.pendingBytes == Frame.headerBytes)
    }

    @Test("Before the welcome the limit is small, and exact")
    func smallLimit() throws {
        let most = Limits.frameBytesBeforeWelcome
        let fits = Self.frame(Frame.Kind.heartbeat.rawValue, Array(repeating: 0, count: most))
        var bytes = fits
        var reader = FrameReader(maximumBody: most)
        reader.append(&bytes)
        #expect(try reader.next()?.body.readableBytes == most)
        let over = Self.frame(Frame.Kind.heartbeat.rawValue, [], length: UInt32(most) + 1)
        #expect(Self.isMalformed(over, maximumBody: most))
    }

    @Test("Unknown kinds are refused")
    func unknownKinds() {
        let known = Set(Frame.Kind.allCases.map(\.rawValue))
        for kind in UInt8.min ... .max where !known.contains(kind) {
            #expect(Self.isMalformed(Self.frame(kind, [])))
        }
    }

    @Test("An empty body is refused wherever something has to be said")
    func emptyBodies() {
        let mayBeEmpty: Set<Frame.Kind> = [
            .drain, .drained, .bye, .results, .values, .claim,
        ]
        for kind in Frame.Kind.allCases {
            #expect(Self.isMalformed(Self.frame(kind.rawValue, [])) != mayBeEmpty.contains(kind))
        }
    }

    @Test("Every message cut short inside its frame is refused or says less, none traps")
    func truncatedBodies() throws {
        for message in Samples.messages {
            let whole = Array(Samples.frame(message).readableBytesView)
            let body = whole.dropFirst(Frame.headerBytes)
            let step = max(1, body.count / 200)
            for count in stride(from: 0, to: body.count, by: step) {
                let cut = Self.frame(whole[4], Array(body.prefix(count)))
                do {
                    let decoded = try decodeAll(cut)
                    // Texts and lists of records have no length of their own.
                    switch message {
                    case .bye, .workerName, .results, .values, .lease, .file, .noFile, .claim: break
                    default: Issue.record("\(message) cut to \(count) bytes gave \(decoded)")
                    }
                } catch {
                    #expect((error as? MusterError)?.code == .malformed)
                }
            }
        }
    }

    @Test("Bytes after the end of a message are refused")
    func trailingBytes() {
        for message in Samples.messages {
            switch message {
            case .bye, .workerName, .file, .noFile: continue  // the text takes them
            default: break
            }
            var bytes = Array(Samples.frame(message).readableBytesView)
            bytes.append(0x21)
            let frame = Self.frame(bytes[4], Array(bytes.dropFirst(Frame.headerBytes)))
            #expect(Self.isMalformed(frame), "\(message)")
        }
    }

    @Test("Counts that the bytes cannot hold are refused before room is made for them")
    func hugeCounts() {
        for count in [UInt32(1) << 31, .max, 2] {
            for kind in [Frame.Kind.revoke, .released, .stop, .lease] {
                let bytes = Self.frame(kind) {
                    $0.writeMultipleIntegers(UInt64(1), count, endianness: .little)
                    $0.writeInteger(UInt64(0))
                }
                #expect(Self.isMalformed(bytes), "\(kind) of \(count)")
            }
            let items = Self.frame(.items) {
                $0.writeMultipleIntegers(UInt64(1), UInt64(0), count, endianness: .little)
            }
            #expect(Self.isMalformed(items))
        }
    }

    @Test("Indices over any job's end and ranges that end before they start are refused")
    func numbers() {
        let over = UInt64(Limits.itemsPerJob) + 1
        let spans: [(UInt64, UInt64)] = [
            (2, 1), (0, over), (over, over), (.max, .max), (0, .max), (UInt64(Int64.max) + 1, 0),
        ]
        for (from, to) in spans {
            for kind in [Frame.Kind.revoke, .released, .stop] {
                let bytes = Self.frame(kind) {
                    $0.writeMultipleIntegers(UInt64(1), UInt32(1), from, to, endianness: .little)
                    if kind == .stop { $0.writeInteger(Int64.min) }
                }
                #expect(Self.isMalformed(bytes), "\(kind) \(from)..<\(to)")
            }
            let lease = Self.frame(.lease) {
                $0.writeMultipleIntegers(
                    UInt64(1), UInt32(1), from, to, UInt32(1), endianness: .little)
            }
            #expect(Self.isMalformed(lease))
        }
        for item in [over, UInt64.max, UInt64(bitPattern: .min)] {
            let follow = Self.frame(.follow) {
                $0.writeMultipleIntegers(UInt64(1), item, endianness: .little)
            }
            let items = Self.frame(.items) {
                $0.writeMultipleIntegers(UInt64(1), item, UInt32(0), endianness: .little)
            }
            #expect(Self.isMalformed(follow))
            #expect(Self.isMalformed(items))
        }
    }

    @Test("A negative grace is none")
    func negativeGrace() throws {
        let bytes = Self.frame(.stop) {
            $0.writeMultipleIntegers(UInt64(1), UInt32(0), Int64.min, endianness: .little)
        }
        guard case .stop(_, _, 0) = try decodeAll(bytes).first else {
            Issue.record("the grace was not 0")
            return
        }
    }

    @Test("Item ends that go back, reach beyond the bytes, or are too many bytes are refused")
    func itemEnds() {
        for (ends, bytes) in [([5, 4], 5), ([1, 9], 8), ([UInt32.max], 8), ([0, .max, 0], 3)] {
            let frame = Self.frame(.items) {
                $0.writeMultipleIntegers(
                    UInt64(1), UInt64(0), UInt32(ends.count), endianness: .little)
                for end in ends { $0.writeInteger(end, endianness: .little) }
                $0.writeRepeatingByte(0, count: bytes)
            }
            #expect(Self.isMalformed(frame), "\(ends)")
        }
        // It would fit into this frame but not, behind a longer head, into a lease's.
        let most = Limits.frameBytes - 24
        let large = Self.frame(.items) {
            $0.writeMultipleIntegers(
                UInt64(1), UInt64(0), UInt32(1), UInt32(most), endianness: .little)
            $0.writeRepeatingByte(0, count: most)
        }
        #expect(Self.isMalformed(large))
    }

    @Test("Results with impossible items, states, endings, stages and lengths are refused")
    func results() throws {
        var good = ByteBuffer()
        let refused = ResultRecord(
            job: JobID(1), item: 0, attempt: 1,
            outcome: Outcome(state: .failed, ending: .cannotStart(stage: .spawn, errno: 2)))
        refused.encode(into: &good)
        let bytes = Array(good.readableBytesView)
        func with(_ place: Int, _ values: [UInt8]) -> ByteBuffer {
            var changed = bytes
            changed.replaceSubrange(place..<(place + values.count), with: values)
            return Self.frame(Frame.Kind.results.rawValue, changed)
        }
        #expect(try decodeAll(with(0, [])).count == 1)
        let noItem = (UInt64(1) << 40).littleEndian
        #expect(Self.isMalformed(with(8, withUnsafeBytes(of: noItem) { Array($0) })))
        #expect(Self.isMalformed(with(8, Array(repeating: 0xff, count: 8))))
        #expect(Self.isMalformed(with(24, [99])), "unknown state")
        #expect(Self.isMalformed(with(24, [ItemState.running.rawValue])), "not final")
        #expect(Self.isMalformed(with(25, [99])), "unknown ending")
        #expect(Self.isMalformed(with(26, [99])), "unknown stage")
        #expect(Self.isMalformed(with(64, [1])), "more output than there is")
        #expect(Self.isMalformed(with(68, [0xff, 0xff, 0xff, 0xff])))
    }

    @Test("Texts that are not UTF-8 or far too long are refused")
    func texts() {
        for text in [
            [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], Array(repeating: 0x61, count: 4097),
        ] {
            let bytes = text.map { UInt8($0) }
            #expect(Self.isMalformed(Self.frame(Frame.Kind.bye.rawValue, bytes)))
            #expect(
                Self.isMalformed(Self.frame(Frame.Kind.workerName.rawValue, [1, 0, 0, 0] + bytes)))
        }
    }

    static let wrongTexts = [
        "", "{", "null", "[]", "7", "\"x\"", "{}", "{\"wire\":1}", "\u{0}",
        "{\"wire\":\"1\",\"version\":\"x\"}", "{\"wire\":1e999,\"version\":\"x\"}",
        "{\"wire\":99999999999999999999,\"version\":\"x\"}", "{\"wire\":1.5,\"version\":\"x\"}",
        "{\"wire\":1,\"version\":null}", "{\"wire\":NaN,\"version\":\"x\"}",
        "{\"wire\":1,\"version\":\"\\ud800\"}",
        "{\"wire\":1,\"version\":\"x\",\"worker\":{\"slots\":-9223372036854775809}}",
        "{\"status\":{},\"jobs\":{}}", "{\"job\":{\"_0\":-1}}", "{\"nonsense\":{}}",
        "{\"job\":{\"_0\":18446744073709551616}}", "{\"attach\":{\"job\":1}}",
    ]

    @Test(
        "JSON that is none, or not what the protocol says, is refused",
        arguments: HostileFrameTests.wrongTexts)
    func wrongJSON(_ text: String) {
        for kind in [Frame.Kind.hello, .welcome, .refused, .request, .response, .learn, .progress] {
            #expect(Self.isMalformed(Self.json(kind, text)), "\(kind): \(text)")
        }
    }

    @Test("Invalid UTF-8 inside JSON is refused")
    func invalidJSONText() {
        let bytes = Array("{\"wire\":1,\"version\":\"".utf8) + [0xff] + Array("\"}".utf8)
        #expect(Self.isMalformed(Self.frame(Frame.Kind.hello.rawValue, bytes)))
    }

    @Test("JSON nested a million deep is refused and takes no stack")
    func deepJSON() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for isClosed in [true, false] {
                let deep =
                    String(repeating: open, count: 1_000_000)
                    + (isClosed ? "1" + String(repeating: close, count: 1_000_000) : "")
                #expect(Self.isMalformed(Self.json(.request, deep)))
                let hidden = "{\"wire\":1,\"version\":\"x\",\"more\":\(deep)}"
                #expect(Self.isMalformed(Self.json(.hello, hidden)))
            }
        }
    }

    @Test("Byte strings in a job that are neither text nor hexadecimal are refused")
    func byteStrings() {
        for coded in ["", "abc", "x:0", "x:zz", "x:ABCD", "y:00"] {
            let text = """
                {"workload":{"command":{"_0":{"words":["\(coded)"]}}},"input":{"stream":{}}}
                """
            #expect(Self.isMalformed(Self.json(.learn, text)))
        }
    }
}
