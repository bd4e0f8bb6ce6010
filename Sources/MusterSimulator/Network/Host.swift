/// One simulated process with a name that stays when it is killed and started again. Connections
/// end with it, or are left half open where its machine vanished.

final class Host {
    let world: World
    let name: String
    let number: Int
    private(set) var loop: SimulatedLoop
    private(set) var isUp = true
    var links: [SimulatedLink] = []
    /// The clock of what it was started as.
    private(set) var lives = 1

    init(_ world: World, _ name: String, _ number: Int) {
        self.world = world
        self.name = name
        self.number = number
        loop = SimulatedLoop(world: world, name: name)
    }

    var isPaused: Bool { loop.isPaused }

    /// `kill -9`; where the whole machine goes, nobody is told.
    func kill(silently: Bool = false) {
        guard isUp else { return }
        isUp = false
        world.note("\(name) is killed\(silently ? " with its machine" : "")")
        loop.kill()
        let ends = links
        links = []
        for link in ends { link.die(silently: silently) }
    }

    /// A new process, with nothing of the old one.
    func start() {
        guard !isUp else { return }
        isUp = true
        lives += 1
        world.note("\(name) is started")
        loop = SimulatedLoop(world: world, name: name)
    }

    func pause() {
        guard isUp, !loop.isPaused else { return }
        world.note("\(name) is stopped")
        loop.pause()
    }

    func resume() {
        guard loop.isPaused else { return }
        world.note("\(name) goes on")
        loop.resume()
    }
}
