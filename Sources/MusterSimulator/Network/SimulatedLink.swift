/// One end of a simulated connection. Everything goes through the real frame codec: encoded by the
/// sender, cut into pieces on the way, put together by `FrameReader` at the other end.

import MusterModel
import MusterTransport
import MusterWire
import NIOCore

// `@unchecked`: a world and all that is in it belong to one thread.
final class SimulatedLink: Link, @unchecked Sendable {
    let peer: LinkPeer
    let number: Int
    let home: Host
    private unowned let network: Network
    private let loop: SimulatedLoop
    weak var other: SimulatedLink?

    /// Takes the first message, as the opening of a real link does.
    var opening: ((Message) -> Void)?
    /// Called instead where the connection ends before.
    var unopened: (() -> Void)?
    private var delegate: (any LinkDelegate)?
    private var early: [[Message]] = []
    private var reader = FrameReader(maximumBody: Limits.frameBytes)
    private(set) var isClosed = false
    /// What is on its way to this end never arrives.
    private(set) var isCut = false
    private var saidClosed = false
    private var endError: MusterError?

    // As a sender.
    private var inFlight = 0
    private var lastArrival: Int64 = 0
    /// Written while its direction was blocked; nil = the end of the connection.
    private var waiting: [ByteBuffer?] = []

    init(_ network: Network, _ home: Host, number: Int, peer: LinkPeer) {
        self.network = network
        self.home = home
        self.number = number
        self.peer = peer
        loop = home.loop
    }

    private var world: World { network.world }
    var isWritable: Bool { inFlight < network.knobs.room }

    // MARK: Sending

    func send(_ frames: [ByteBuffer]) { for part in frames { send(part: part) } }

    /// Told of each message, decoded once more, before it leaves.
    var watch: ((Message) -> Void)?
    private var watched = FrameReader(maximumBody: Limits.frameBytes)

    private func look(at frames: ByteBuffer) {
        guard let watch else { return }
        var bytes = frames
        watched.append(&bytes)
        while let frame = try? watched.next() {
            guard frame.kind == .lease || frame.kind == .recorded else { continue }
            if let message = try? Message.decode(frame) { watch(message) }
        }
    }

    private func send(part frames: ByteBuffer) {
        guard !isClosed, !isCut, let other else { return }
        look(at: frames)
        inFlight += frames.readableBytes
        if network.isBlocked(home, other.home) || !waiting.isEmpty {
            wait(frames)
        } else {
            pass(frames)
        }
    }

    private func pass(_ frames: ByteBuffer) {
        var rest = frames
        let split = network.knobs.splitChance
        while split > 0, rest.readableBytes > 1, world.random.chance(split),
            let piece = rest.readSlice(length: world.random.int(1...(rest.readableBytes - 1)))
        {
            pass(piece: piece)
        }
        pass(piece: rest)
    }

    private func pass(piece: ByteBuffer) {
        guard let other else { return }
        lastArrival = max(lastArrival, world.now + network.delay())
        world.at(lastArrival, on: other.loop) { other.arrive(piece) }
    }

    private func passEnd() {
        guard let other else { return }
        lastArrival = max(lastArrival, world.now + network.delay())
        world.at(lastArrival, on: other.loop) { other.finish(nil) }
    }

    func flushBlocked() {
        let held = waiting
        waiting = []
        for frames in held { if let frames { pass(frames) } else { passEnd() } }
    }

    func afterSending(on loop: any EventLoop, _ body: @escaping @Sendable () -> Void) {
        loop.execute(body)
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        opening = nil
        unopened = nil
        sayEnd()
        deliverEnd()
        network.forget(self)
    }

    private func sayEnd() {
        guard !isCut, let other else { return }
        if network.isBlocked(home, other.home) { wait(nil) } else { passEnd() }
    }

    private func wait(_ frames: ByteBuffer?) {
        if waiting.isEmpty { network.stuck.append(self) }
        waiting.append(frames)
    }

    /// Where its bytes go to.
    var goal: Host? { other?.home }

    // MARK: Ends

    /// The process of this end is gone. What its kernel had taken still arrives, and then the end;
    /// where the machine itself is gone, nothing does.
    func die(silently: Bool) {
        guard !isClosed else { return }
        isClosed = true
        delegate = nil
        opening = nil
        unopened = nil
        if silently { other?.isCut = true } else { sayEnd() }
        network.forget(self)
    }

    /// The connection breaks: what is on its way is lost, and each end hears of it in its own time.
    /// - Parameter deaf: this end hears nothing of it, as if a middlebox had forgotten it.
    func cut(halfOpen deaf: Bool) {
        guard !isCut, let other else { return }
        world.note("link \(number) to \(other.home.name) is cut\(deaf ? ", half open" : "")")
        isCut = true
        other.isCut = true
        let most = network.knobs.noticeMost
        let reset = MusterError(.unreachable, "the connection was reset")
        let late: Int64 = deaf ? 20_000_000_000 : 0
        let (first, second) = (
            world.random.nanoseconds(0...most), world.random.nanoseconds(0...most)
        )
        world.at(world.now + first + late, on: loop) { [self] in finish(reset) }
        world.at(world.now + second, on: other.loop) { other.finish(reset) }
    }

    private func finish(_ error: MusterError?) {
        guard !isClosed else { return }
        isClosed = true
        endError = error
        if opening != nil {
            opening = nil
            unopened?()
        }
        unopened = nil
        deliverEnd()
        network.forget(self)
    }

    private func deliverEnd() {
        guard let delegate, !saidClosed else { return }
        saidClosed = true
        self.delegate = nil
        let error = endError
        loop.execute { [self] in delegate.closed(error, on: self) }
    }

    // MARK: Receiving

    func start(delegate: any LinkDelegate, on _: any EventLoop) {
        self.delegate = delegate
        let waited = early
        early = []
        for messages in waited { loop.execute { delegate.received(messages, on: self) } }
        if isClosed { deliverEnd() }
    }

    private func arrive(_ piece: ByteBuffer) {
        guard !isClosed, !isCut else { return }
        var bytes = piece
        reader.append(&bytes)
        var messages: [Message] = []
        do {
            while let frame = try reader.next() {
                mix(frame)
                guard let message = try decode(frame) else { continue }
                if let opening {
                    self.opening = nil
                    unopened = nil
                    world.note("\(home.name) ← \(peer.name): \(message.brief)")
                    opening(message)
                } else {
                    messages.append(message)
                }
            }
        } catch {
            world.fail("\(home.name) cannot read what \(peer.name) sent: \(error)")
            return
        }
        other?.taken(piece.readableBytes)
        if messages.isEmpty { return }
        if world.tell != nil {
            for message in messages {
                world.note("\(home.name) ← \(peer.name): \(message.brief)")
            }
        }
        if let delegate { delegate.received(messages, on: self) } else { early.append(messages) }
    }

    /// Half of all time would be JSON: what says the same as before is decoded once, and of
    /// progress, which nobody here goes by, every sixteenth.
    private func decode(_ frame: Frame) throws -> Message? {
        switch frame.kind {
        case .progress:
            network.progressFrames += 1
            return network.progressFrames % 16 == 0 ? try Message.decode(frame) : nil
        case .learn, .hello, .welcome:
            if let known = network.decoded[frame.body] { return known }
            let message = try Message.decode(frame)
            network.decoded[frame.body] = message
            return message
        default: return try Message.decode(frame)
        }
    }

    /// The order of keys in JSON is nobody's decision: of such frames only kind and length count.
    private func mix(_ frame: Frame) {
        world.mix(UInt64(frame.kind.rawValue) << 40 ^ UInt64(frame.body.readableBytes))
        switch frame.kind {
        case .hello, .welcome, .refused, .request, .response, .learn, .progress, .jobEnded: break
        default: world.mix(frame.body)
        }
    }

    private func taken(_ bytes: Int) {
        let wasFull = !isWritable
        inFlight = max(0, inFlight - bytes)
        guard wasFull, isWritable, !isClosed, let delegate else { return }
        loop.execute { [self] in delegate.writable(on: self) }
    }
}
