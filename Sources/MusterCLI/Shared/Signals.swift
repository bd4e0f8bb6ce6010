/// Signals as events: each goes to a handler on a thread of its own, none interrupts anything.

@preconcurrency import Dispatch
import Glibc
import NIOConcurrencyHelpers

enum Signals {
    private static let sources = NIOLockedValueBox<[any DispatchSourceSignal]>([])

    /// From now on these signals call `handler` instead of doing what they do by default.
    static func handle(_ numbers: [Int32], _ handler: @escaping @Sendable (Int32) -> Void) {
        for number in numbers {
            _ = signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(
                signal: number, queue: DispatchQueue(label: "muster.signals"))
            source.setEventHandler { handler(number) }
            source.resume()
            sources.withLockedValue { $0.append(source) }
        }
    }
}
