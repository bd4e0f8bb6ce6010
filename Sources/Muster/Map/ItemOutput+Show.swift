/// Text that items printed, from a record to where the job's owner wants it.

import Glibc
import MusterModel
import MusterWire
import NIOCore

extension ItemOutput {
    func show(_ record: ResultRecord, _ progress: ProgressTeller?) {
        guard record.stdout.readableBytes > 0 || record.stderr.readableBytes > 0 else { return }
        switch self {
        case .discard: return
        case .handle(let call):
            call(record.item, String(buffer: record.stdout), String(buffer: record.stderr))
        case .forward:
            progress?.willWrite()
            Self.write(record.stdout, to: 1)
            Self.write(record.stderr, to: 2)
            let last = record.stderr.readableBytes > 0 ? record.stderr : record.stdout
            progress?.didWrite(last.getInteger(at: last.writerIndex - 1) ?? UInt8(ascii: "\n"))
        }
    }

    /// A reader that has gone away is the business of the program's own output.
    private static func write(_ buffer: ByteBuffer, to descriptor: Int32) {
        var rest = buffer
        while rest.readableBytes > 0 {
            let count = rest.withUnsafeReadableBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count > 0 {
                rest.moveReaderIndex(forwardBy: count)
            } else if errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&waiting, 1, -1)
            } else if errno != EINTR {
                return
            }
        }
    }
}
