// When a lost coordinator is tried again.

import MusterModel
import MusterTransport
import Testing

@Suite("Redialling")
struct RedialTests {
    @Test("The first try comes at once, the others after pauses that double up to two seconds")
    func pauses() {
        var redial = Redial()
        #expect(redial.isFirst)
        #expect(redial.next() == .zero)
        #expect(!redial.isFirst)
        #expect(Limits.redialLeastNanoseconds == 50_000_000)
        var most = Duration.milliseconds(50)
        for _ in 0..<12 {
            let pause = redial.next()
            #expect(pause <= most && pause >= most / 2)
            most = min(most * 2, .seconds(2))
        }
        #expect(most == Redial.longest)
    }
}
