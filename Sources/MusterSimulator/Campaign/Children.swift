/// Several processes share the seeds by turns: each is this program again, its lines are passed on,
/// its totals added up.

import Glibc

struct Children {
    let options: Options

    init(_ options: Options) { self.options = options }

    private struct Child {
        var process: pid_t
        var pipe: Int32
        var text = ""
        var totals: Totals?
    }

    func run() -> Int32 {
        var total = Totals()
        for seed in Campaign.kept(options.kept) {
            let verdict = Scenario.run(seed: seed, events: options.events)
            total.add(verdict)
            for what in verdict.broken.prefix(1) { Out.line("seed \(seed) FAILED: \(what)") }
        }
        var children = (0..<options.processes).compactMap { start($0) }
        guard children.count == options.processes else {
            Out.line("muster-simulator: cannot start itself again", to: 2)
            return 2
        }
        read(&children)
        var isWell = true
        for child in children {
            var status: Int32 = 0
            while waitpid(child.process, &status, 0) < 0 && errno == EINTR {}
            if let own = child.totals { total.add(own) } else { isWell = false }
        }
        Out.line(total.text)
        return isWell && total.failed == 0 ? 0 : 1
    }

    private func start(_ number: Int) -> Child? {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        let words = options.words(ofChild: number)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        var arguments = (["muster-simulator"] + words).map { strdup($0) }
        arguments.append(nil)
        defer { for word in arguments { free(word) } }
        var process: pid_t = 0
        let result = posix_spawn(&process, "/proc/self/exe", &actions, nil, arguments, environ)
        close(ends[1])
        return result == 0 ? Child(process: process, pipe: ends[0]) : nil
    }

    private func read(_ children: inout [Child]) {
        var open = Set(children.indices)
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        while !open.isEmpty {
            let order = open.sorted()
            var polls = order.map {
                pollfd(fd: children[$0].pipe, events: Int16(POLLIN), revents: 0)
            }
            if poll(&polls, nfds_t(polls.count), -1) < 0 && errno == EINTR { continue }
            for (place, child) in order.enumerated() where polls[place].revents != 0 {
                let count = Glibc.read(children[child].pipe, &bytes, bytes.count)
                if count <= 0 {
                    close(children[child].pipe)
                    open.remove(child)
                    continue
                }
                children[child].text += String(decoding: bytes.prefix(count), as: UTF8.self)
                passOn(&children[child])
            }
        }
    }

    private func passOn(_ child: inout Child) {
        while let end = child.text.firstIndex(of: "\n") {
            let line = child.text[..<end]
            if let totals = Totals(line) {
                child.totals = totals
            } else {
                Out.line(String(line))
            }
            child.text = String(child.text[child.text.index(after: end)...])
        }
    }
}
