/// A range of items leased together with one attempt number.
package struct LeaseRun: Hashable, Sendable {
    package var items: Range<Int>
    package var attempt: UInt32

    package init(items: Range<Int>, attempt: UInt32) {
        self.items = items
        self.attempt = attempt
    }
}
