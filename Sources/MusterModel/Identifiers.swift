/// Names of things that cross process boundaries. Items have no type of their own: an item is
/// its 0-based index (`Int`) in its job; people see it 1-based, as in `41.7`.

/// A job's number: 1, 2, 3 … in the order of submission on one coordinator.
package struct JobID: RawRepresentable, Hashable, Comparable, Sendable, Codable,
    CustomStringConvertible
{
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: JobID, b: JobID) -> Bool { a.rawValue < b.rawValue }
    package var description: String { "\(rawValue)" }
}

/// One joining of a worker: a machine that comes back gets a new number, so that nothing meant
/// for its earlier life reaches the new one.
package struct WorkerID: RawRepresentable, Hashable, Comparable, Sendable, Codable,
    CustomStringConvertible
{
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (a: WorkerID, b: WorkerID) -> Bool { a.rawValue < b.rawValue }
    package var description: String { "#\(rawValue)" }
}

/// A point on a monotonic clock, in nanoseconds since an unnamed start. The wall clock decides
/// nothing in Muster, so it may jump.
package struct Instant: Hashable, Comparable, Sendable {
    package var nanoseconds: Int64
    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    package static let zero = Instant(nanoseconds: 0)
    package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    package func advanced(byNanoseconds n: Int64) -> Instant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(n)
        return Instant(nanoseconds: overflow ? .max : sum)
    }

    /// Nanoseconds from `earlier` to here; 0 where `earlier` is later.
    package func nanoseconds(since earlier: Instant) -> Int64 {
        max(0, nanoseconds - earlier.nanoseconds)
    }
}
