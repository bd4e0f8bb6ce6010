// Bytes from a supervisor to events. In: the slot's socket. Out: calls of Slot.swift.
//
// Output is passed on as it comes, as slices of what was read, without waiting for whole frames.
// An item runs as the same user and could write into its supervisor's socket, so every length and
// number is checked; a socket that speaks nonsense is closed, which counts as a lost supervisor.

private import CSupervisor
import NIOCore

final class SlotDecoder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let slot: Slot
    /// An unfinished head of a frame.
    private var carried: ByteBuffer?
    private var stream = SlotStream.stdout
    /// Bytes of the current output frame still to come.
    private var remaining = 0

    init(slot: Slot) {
        self.slot = slot
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if var joined = carried {
            joined.writeBuffer(&buffer)
            buffer = joined
            carried = nil
        }
        while decodeNext(&buffer, context: context) {}
        if buffer.readableBytes > 0 { carried = buffer }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        slot.caughtUp()
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        slot.lost()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A broken socket is the same news as a closed one.
        context.close(promise: nil)
    }

    /// False when more bytes are needed.
    private func decodeNext(_ buffer: inout ByteBuffer, context: ChannelHandlerContext) -> Bool {
        if remaining > 0 {
            let count = min(remaining, buffer.readableBytes)
            guard count > 0, let bytes = buffer.readSlice(length: count) else { return false }
            remaining -= count
            slot.received(stream, bytes)
            return true
        }
        let start = buffer.readerIndex
        guard let length = buffer.getInteger(at: start, endianness: .host, as: UInt32.self),
            let kind = buffer.getInteger(at: start + 4, as: UInt8.self)
        else { return false }
        switch (UInt32(kind), length) {
        case (MUSTER_EVENT_STDOUT.rawValue, 2...UInt32(1 << 20)),
            (MUSTER_EVENT_STDERR.rawValue, 2...UInt32(1 << 20)):
            stream = UInt32(kind) == MUSTER_EVENT_STDOUT.rawValue ? .stdout : .stderr
            remaining = Int(length) - 1
            buffer.moveReaderIndex(forwardBy: Int(MUSTER_OUTPUT_HEADER_BYTES))
            return true
        case (MUSTER_EVENT_ENDED.rawValue, UInt32(MUSTER_ENDED_BYTES) - 4):
            guard buffer.readableBytes >= Int(MUSTER_ENDED_BYTES) else { return false }
            if let outcome = SlotDecoder.readOutcome(&buffer), slot.received(outcome) {
                return true
            }
        case (MUSTER_EVENT_DROPPED.rawValue, UInt32(MUSTER_DROPPED_BYTES) - 4):
            guard buffer.readableBytes >= Int(MUSTER_DROPPED_BYTES) else { return false }
            if let (_, _, _, _, first, end) = buffer.readMultipleIntegers(
                endianness: .host, as: (UInt32, UInt8, UInt8, UInt16, UInt64, UInt64).self),
                first <= end, slot.received(dropped: first..<end)
            {
                return true
            }
        default:
            break
        }
        buffer.clear()
        context.close(promise: nil)
        return false
    }

    private static func readOutcome(_ buffer: inout ByteBuffer) -> SlotOutcome? {
        guard
            let (_, _, ending, stage, _, code, launch, wall, cpu, peak, start) =
                buffer.readMultipleIntegers(
                    endianness: .host,
                    as: (
                        UInt32, UInt8, UInt8, UInt8, UInt8, Int32, UInt64, UInt64, UInt64, UInt64,
                        UInt64
                    ).self),
            let ending = endingOf(ending, stage: stage, code: code)
        else { return nil }
        return SlotOutcome(
            launch: launch,
            ending: ending,
            wall: .nanoseconds(Int64(clamping: wall)),
            startMicroseconds: start,
            cpu: .nanoseconds(Int64(clamping: cpu)),
            peakMemoryBytes: Int(clamping: peak))
    }

    private static func endingOf(_ ending: UInt8, stage: UInt8, code: Int32) -> SlotOutcome.Ending?
    {
        switch UInt32(ending) {
        case MUSTER_ENDING_EXITED.rawValue: return .exited(code)
        case MUSTER_ENDING_SIGNALLED.rawValue: return .signalled(code)
        case MUSTER_ENDING_TIMED_OUT.rawValue: return .timedOut
        case MUSTER_ENDING_KILLED.rawValue: return .killed
        case MUSTER_ENDING_OUTPUT_LIMIT.rawValue: return .outputLimit
        case MUSTER_ENDING_CANNOT_START.rawValue:
            switch UInt32(stage) {
            case MUSTER_STAGE_SPAWN.rawValue: return .cannotStart(stage: .spawn, errno: code)
            case MUSTER_STAGE_DIRECTORY.rawValue:
                return .cannotStart(stage: .directory, errno: code)
            case MUSTER_STAGE_NICE.rawValue: return .cannotStart(stage: .nice, errno: code)
            case MUSTER_STAGE_EXEC.rawValue: return .cannotStart(stage: .exec, errno: code)
            default: return nil
            }
        default: return nil
        }
    }
}
