/// Files on their way from one client: which ones it was told to send, and the one that comes. A
/// file that nobody asked it for is a breach of the protocol; one that the disk or its own content
/// spoils makes the client's next submit fail with the reason, since parts have no answer.

import MusterModel
import MusterTransport
import MusterWire

struct ClientFiles {
    private struct Announced {
        var file: JobFile
        /// Answers that named it, less the times that it came.
        var due: Int
    }

    private var announced: [String: Announced] = [:]
    private var incoming: IncomingFile?
    /// The rest of this one is let by: it failed.
    private var skipped: String?
    private var failures: [String: MusterError] = [:]

    /// The client is told to send these.
    /// - Throws: why one of them did not arrive before.
    mutating func announce(_ files: [JobFile]) throws {
        for file in files {
            if let failure = failures.removeValue(forKey: file.digest) { throw failure }
        }
        guard announced.count + files.count <= 4 * Limits.filesPerJob else {
            throw MusterError(
                .limit, "\(announced.count) announced files never came; submit on a new connection")
        }
        for file in files {
            announced[file.digest, default: Announced(file: file, due: 0)].due += 1
            announced[file.digest]?.file = file
        }
    }

    /// - Parameter begin: makes room for a file that comes.
    /// - Throws: `.malformed` for a part that should not have come.
    mutating func take(
        _ part: FilePart, begin: (JobFile) throws -> IncomingFile
    ) throws {
        if part.offset == 0 {
            guard let file = announced[part.digest]?.file, part.total == UInt64(file.bytes) else {
                throw MusterError(
                    .malformed, "a file came that this client was not asked for, or of another size"
                )
            }
            skipped = nil
            incoming = nil
            do {
                incoming = try begin(file)
            } catch {
                fail(part.digest, error)
            }
        }
        guard part.digest != skipped else { return }
        guard let incoming, incoming.digest == part.digest else {
            throw MusterError(.malformed, "a part of a file came whose start did not")
        }
        do {
            guard try incoming.append(part) else { return }
            self.incoming = nil
            settle(part.digest)
        } catch let error as MusterError where error.code != .malformed {
            fail(part.digest, error)
        }
    }

    private mutating func fail(_ digest: String, _ error: any Error) {
        failures[digest] = error as? MusterError ?? MusterError(.system, "\(error)")
        skipped = digest
        incoming = nil
        settle(digest)
    }

    private mutating func settle(_ digest: String) {
        announced[digest]?.due -= 1
        if announced[digest]?.due == 0 { announced[digest] = nil }
    }
}
