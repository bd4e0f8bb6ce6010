// What passes on the enrolment port: one request, one answer. In come bytes from a stranger, out
// goes a message or a refusal; every length is checked before anything is taken. A message is a u32
// length and a body of a kind byte and fields, each a u32 length and its bytes. Both big-endian;
// the version of all this is in the ALPN name.

package import NIOCore

package struct EnrolmentMessageError: Error, Hashable, Sendable, CustomStringConvertible {
    package let message: String
    package var description: String { self.message }
}

package struct EnrolmentRequest: Hashable, Sendable {
    package var tokenID: String
    /// What the token says it is for.
    package var role: PeerRole
    package var requestDER: [UInt8]
    /// 32 bytes, from `JoinToken.proof`.
    package var proof: [UInt8]
    /// The name the new member would like.
    package var name: String
}

package enum EnrolmentAnswer: Hashable, Sendable {
    case accepted(Accepted)
    /// The code is a TokenError's or a TLSError's.
    case refused(code: String, message: String)

    package struct Accepted: Hashable, Sendable {
        package var certificatePEM: String
        package var authorityPEM: String
        package var clusterID: String
        package var role: PeerRole
        package var name: String
    }
}

package enum EnrolmentCodec {
    /// Bytes of a message with its length.
    package static let messageLimit = 16 << 10

    private enum Kind: UInt8 {
        case request = 1
        case accepted = 2
        case refused = 3
    }

    // MARK: Writing

    package static func encode(_ request: EnrolmentRequest) throws -> ByteBuffer {
        try self.message(
            .request,
            [
                Array(request.tokenID.utf8), Array(request.role.rawValue.utf8), request.requestDER,
                request.proof, Array(request.name.utf8),
            ])
    }

    package static func encode(_ answer: EnrolmentAnswer) throws -> ByteBuffer {
        switch answer {
        case .accepted(let accepted):
            try self.message(
                .accepted,
                [
                    accepted.certificatePEM, accepted.authorityPEM, accepted.clusterID,
                    accepted.role.rawValue, accepted.name,
                ].map { Array($0.utf8) })
        case .refused(let code, let message):
            try self.message(.refused, [Array(code.utf8.prefix(64)), Self.clipped(message)])
        }
    }

    /// At most 1 KiB, cut between characters.
    private static func clipped(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for character in text where bytes.count + character.utf8.count <= 1024 {
            bytes.append(contentsOf: character.utf8)
        }
        return bytes
    }

    private static func message(_ kind: Kind, _ fields: [[UInt8]]) throws -> ByteBuffer {
        let size = fields.reduce(1) { $0 + 4 + $1.count }
        guard size + 4 <= self.messageLimit else {
            throw EnrolmentMessageError(message: "The enrolment message would be too large.")
        }
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt32(size))
        buffer.writeInteger(kind.rawValue)
        for field in fields {
            buffer.writeInteger(UInt32(field.count))
            buffer.writeBytes(field)
        }
        return buffer
    }

    // MARK: Reading

    /// nil: not all of it has arrived. Throws: `EnrolmentMessageError`.
    package static func decodeRequest(_ buffer: inout ByteBuffer) throws -> EnrolmentRequest? {
        guard let (kind, fields) = try self.fields(&buffer) else { return nil }
        guard kind == .request, fields.count == 5 else {
            throw EnrolmentMessageError(message: "The message is not an enrolment request.")
        }
        guard let role = PeerRole(rawValue: try self.text(fields[1], limit: 64)) else {
            throw EnrolmentMessageError(message: "The enrolment request names an unknown role.")
        }
        guard fields[3].count == 32 else {
            throw EnrolmentMessageError(message: "The enrolment request's proof is not 32 bytes.")
        }
        return EnrolmentRequest(
            tokenID: try self.text(fields[0], limit: 64), role: role, requestDER: fields[2],
            proof: fields[3], name: try self.text(fields[4], limit: 256))
    }

    /// nil: not all of it has arrived. Throws: `EnrolmentMessageError`.
    package static func decodeAnswer(_ buffer: inout ByteBuffer) throws -> EnrolmentAnswer? {
        guard let (kind, fields) = try self.fields(&buffer) else { return nil }
        switch (kind, fields.count) {
        case (.accepted, 5):
            guard let role = PeerRole(rawValue: try self.text(fields[3], limit: 64)) else {
                throw EnrolmentMessageError(message: "The enrolment answer names an unknown role.")
            }
            return .accepted(
                .init(
                    certificatePEM: try self.text(fields[0]),
                    authorityPEM: try self.text(fields[1]),
                    clusterID: try self.text(fields[2], limit: 64), role: role,
                    name: try self.text(fields[4], limit: 64)))
        case (.refused, 2):
            return .refused(
                code: try self.text(fields[0], limit: 64),
                message: try self.text(fields[1], limit: 1024))
        default:
            throw EnrolmentMessageError(message: "The message is not an enrolment answer.")
        }
    }

    private static func fields(
        _ buffer: inout ByteBuffer
    ) throws -> (kind: Kind, fields: [[UInt8]])? {
        guard let size = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else {
            return nil
        }
        guard size >= 1, size <= self.messageLimit - 4 else {
            throw EnrolmentMessageError(
                message: "An enrolment message of \(size) bytes is refused; at most "
                    + "\(self.messageLimit - 4) are allowed.")
        }
        guard buffer.readableBytes >= 4 + Int(size) else { return nil }
        buffer.moveReaderIndex(forwardBy: 4)
        guard var body = buffer.readSlice(length: Int(size)),
            let kind = body.readInteger(as: UInt8.self).flatMap(Kind.init(rawValue:))
        else { throw EnrolmentMessageError(message: "The enrolment message's kind is unknown.") }
        var fields: [[UInt8]] = []
        while body.readableBytes > 0 {
            guard fields.count < 8, let length = body.readInteger(as: UInt32.self),
                let field = body.readBytes(length: Int(length))
            else {
                throw EnrolmentMessageError(message: "An enrolment message's field is cut off.")
            }
            fields.append(field)
        }
        return (kind, fields)
    }

    /// Text that is safe to show: valid UTF-8 and no control characters but the line feeds of a
    /// PEM.
    private static func text(_ bytes: [UInt8], limit: Int = messageLimit) throws -> String {
        guard bytes.count <= limit, let text = String(validating: bytes, as: UTF8.self),
            text.unicodeScalars.allSatisfy({
                $0 == "\n" || $0.properties.generalCategory != .control
            })
        else { throw EnrolmentMessageError(message: "An enrolment message's text is malformed.") }
        return text
    }
}
