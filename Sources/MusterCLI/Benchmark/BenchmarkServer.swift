/// A web server of the benchmark's own, which answers every request after a while, and the request
/// to it as a function makes it: a connection, HTTP/1.1, blocking. `BalanceBenchmark.swift` starts
/// it, `BenchmarkFunctions.swift` asks it.

import Glibc
import MusterModel
import NIOCore
import NIOPosix

final class BenchmarkServer: Sendable {
    let port: Int
    private let channel: any Channel

    private init(_ channel: any Channel, port: Int) {
        self.channel = channel
        self.port = port
    }

    /// On a free port of the loopback.
    static func start(milliseconds: Int64) async throws -> BenchmarkServer {
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try await ServerBootstrap(group: group.next())
            .serverChannelOption(.backlog, value: 256)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Answering(after: .milliseconds(milliseconds)))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        guard let port = channel.localAddress?.port else {
            throw MusterError(.system, "the benchmark's web server has no port")
        }
        return BenchmarkServer(channel, port: port)
    }

    func stop() { channel.close(promise: nil) }

    /// Status of the page at this port of the loopback.
    static func status(port: Int) throws -> Int {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw failure("no socket") }
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw failure("cannot connect") }
        let request = Array("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".utf8)
        guard send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count
        else { throw failure("cannot send") }
        var answer: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 512)
        while true {
            let count = recv(socket, &part, part.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure("cannot read") }
            if count == 0 { break }
            answer += part.prefix(count)
        }
        let words = String(decoding: answer, as: UTF8.self).split(separator: " ")
        return words.count > 1 ? Int(words[1]) ?? 0 : 0
    }

    private static func failure(_ what: String) -> MusterError {
        MusterError(
            .system, "the benchmark's web server: \(what): \(String(cString: strerror(errno)))")
    }
}

/// Waits for the end of a request's head, and then for its time.
private final class Answering: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let delay: TimeAmount
    private var head: [UInt8] = []

    init(after delay: TimeAmount) { self.delay = delay }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        head += unwrapInboundIn(data).readableBytesView
        guard head.suffix(4).elementsEqual([13, 10, 13, 10]) else { return }
        head = []
        let channel = context.channel
        context.eventLoop.scheduleTask(in: delay) {
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
            channel.writeAndFlush(ByteBuffer(string: answer)).whenComplete { _ in
                channel.close(promise: nil)
            }
        }
    }
}
