// Joining: in come a coordinator's enrolment address, a token and the name this machine would like;
// out goes an identity that is ready to be saved (Files/IdentityFiles.swift) and used. Nothing of
// the token leaves before the coordinator has shown the authority that the token pins, and nothing
// the coordinator answers is taken on trust: the certificate must be over our key, of that
// authority, and of the profile.

import Glibc
import NIOCore
package import NIOPosix

package struct EnrolmentError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Hashable, Sendable {
        /// The coordinator said no; `refusal` is its code.
        case refused = "enrolment-refused"
        case unreachable = "enrolment-unreachable"
        case timedOut = "enrolment-timed-out"
        /// The connection was up and broke: the token may be used up.
        case broken = "enrolment-broken"
        case badAnswer = "enrolment-bad-answer"
    }

    package let code: Code
    /// nil: not refused by the coordinator.
    package let refusal: String?
    package let message: String

    init(_ code: Code, refusal: String? = nil, _ message: String) {
        self.code = code
        self.refusal = refusal
        self.message = message
    }

    package var description: String { "\(self.message) [\(self.refusal ?? self.code.rawValue)]" }
}

package struct EnrolledIdentity: Sendable {
    package let identity: TLSIdentity
    package let authority: Certificate
    package let clusterID: String
    package let role: PeerRole
    package let name: String
}

package enum EnrolmentClient {
    /// Throws: `EnrolmentError`; a `TLSError` when the coordinator is not believed (`pinMismatch`).
    package static func enrol(
        host: String, port: Int, token: JoinToken, name: String,
        group: MultiThreadedEventLoopGroup = .singleton, timeoutSeconds: Int64 = 15
    ) async throws -> EnrolledIdentity {
        try PeerIdentity.requireValidName(name, "A \(token.role.rawValue)'s name")
        guard (1...65_535).contains(port) else {
            throw EnrolmentError(.unreachable, "\(port) is not a port: 1 to 65535 are.")
        }
        let key = try PrivateKey.generate()
        let requestDER = try CertificateRequest.create(for: key).der()
        let derivedKey = try token.derivedKey()
        let context = try TLSContext.enrolmentClient(authorityPin: token.authorityPin)
        let loop = group.next()
        let answered = loop.makePromise(of: EnrolmentAnswer.self)
        let timeout = TimeAmount.seconds(max(1, min(timeoutSeconds, 3600)))
        let exchange = Exchange(
            token: token, derivedKey: derivedKey, requestDER: requestDER, name: name)
        let timer = loop.scheduleTask(in: timeout) {
            answered.fail(
                EnrolmentError(
                    .timedOut, "The coordinator at \(host):\(port) did not answer in time."))
        }
        let connected = ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let tls = try TLSHandler(context: context)
                    try channel.pipeline.syncOperations.addHandlers([
                        tls, EnrolmentClientHandler(tls: tls, exchange, answered),
                    ])
                }
            }
            .connect(host: host, port: port)
        connected.whenFailure { error in
            answered.fail(
                EnrolmentError(
                    .unreachable,
                    "Nobody answers at \(host):\(port), where tokens are redeemed: the port is "
                        + "open only while a token lives. Make one with: muster token create"))
        }
        answered.futureResult.whenComplete { _ in
            timer.cancel()
            connected.whenSuccess { $0.close(promise: nil) }
        }
        let answer = try await answered.futureResult.get()
        return try self.check(answer, key: key, token: token, name: name)
    }

    private static func check(
        _ answer: EnrolmentAnswer, key: PrivateKey, token: JoinToken, name: String
    ) throws -> EnrolledIdentity {
        switch answer {
        case .refused(let code, let message):
            throw EnrolmentError(.refused, refusal: code, message)
        case .accepted(let accepted):
            let authority = try Certificate(pem: accepted.authorityPEM)
            let certificate = try Certificate(pem: accepted.certificatePEM)
            let identity = try TLSIdentity(key: key, certificate: certificate)
            guard try authority.publicKeyPin() == token.authorityPin,
                try CertificateAuthority.clusterID(of: authority) == accepted.clusterID,
                certificate.isSigned(by: authority)
            else {
                throw EnrolmentError(
                    .badAnswer, "The certificate in the answer is not of the pinned authority.")
            }
            let profile = CertificateProfile(clusterID: accepted.clusterID, roles: [token.role])
            let peer = try profile.check(certificate, now: Int64(time(nil)))
            guard accepted.role == token.role, peer.name == accepted.name else {
                throw EnrolmentError(
                    .badAnswer, "The certificate in the answer is not the one that was asked for.")
            }
            return EnrolledIdentity(
                identity: identity, authority: authority, clusterID: accepted.clusterID,
                role: token.role, name: accepted.name)
        }
    }
}

/// What the handler needs of the caller.
private struct Exchange: Sendable {
    let token: JoinToken
    let derivedKey: [UInt8]
    let requestDER: [UInt8]
    let name: String
}

private final class EnrolmentClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let tls: TLSHandler
    private let exchange: Exchange
    private let answered: EventLoopPromise<EnrolmentAnswer>
    private var received = ByteBuffer()
    private var asked = false

    init(tls: TLSHandler, _ exchange: Exchange, _ answered: EventLoopPromise<EnrolmentAnswer>) {
        self.tls = tls
        self.exchange = exchange
        self.answered = answered
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is TLSHandshakeCompleted, !self.asked {
            self.asked = true
            do { try self.ask(context) } catch { self.answered.fail(error) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func ask(_ context: ChannelHandlerContext) throws {
        let exporter = try self.tls.exportKeyingMaterial(
            label: JoinToken.exporterLabel, count: JoinToken.exporterLength)
        let proof = try JoinToken.proof(
            derivedKey: self.exchange.derivedKey, exporter: exporter,
            requestDER: self.exchange.requestDER)
        let request = EnrolmentRequest(
            tokenID: self.exchange.token.id, role: self.exchange.token.role,
            requestDER: self.exchange.requestDER, proof: proof, name: self.exchange.name)
        let bytes = try EnrolmentCodec.encode(request)
        context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        self.received.writeBuffer(&bytes)
        do {
            guard let answer = try EnrolmentCodec.decodeAnswer(&self.received) else { return }
            self.answered.succeed(answer)
        } catch {
            self.answered.fail(EnrolmentError(.badAnswer, "\(error)"))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.answered.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.answered.fail(
            EnrolmentError(
                .broken,
                "The coordinator hung up before it answered. If it says the token is used, "
                    + "make a new one."))
        context.fireChannelInactive()
    }
}
