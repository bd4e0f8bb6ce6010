/// Data that many calls share: encoded once, sent once per worker.

internal import MusterRunner

/// A value that functions of this program share, known by its content.
///
/// It travels to each worker once, however many jobs use it, and stays in the worker's cache.
public struct Broadcast<Value: Codable & Sendable>: Sendable {
    /// The value itself.
    public let value: Value
    let file: SharedFile
}

extension Cluster {
    /// Makes a value one that functions can take as their fixed argument at the cost of sending it
    /// once per worker:
    ///
    /// ```swift
    /// let words = try cluster.broadcast(dictionary)
    /// for try await line in cluster.map(spellCheck.with(words), over: lines) { … }
    /// ```
    ///
    /// - Throws: ``ClusterError``: `.usage` where it cannot be encoded, `.system` where there is
    ///   no room for it among the temporary files.
    public func broadcast<Value: Codable & Sendable>(_ value: Value) throws -> Broadcast<Value> {
        let bytes: [UInt8]
        do {
            bytes = try ValueCodec<Value>().encode(value)
        } catch {
            throw ClusterError(.usage, "the value to broadcast cannot be encoded: \(error)")
        }
        return Broadcast(value: value, file: try SharedFile(bytes))
    }
}
