/// `muster-simulator`: runs the real coordinator, worker machine and frame codec in a simulated
/// world, seed after seed, and says which seeds break a promise. Next: `Campaign/Scenario.swift`.

import Glibc

@main
enum Main {
    static func main() {
        exit(CommandLine.run(Array(CommandLine.arguments.dropFirst())))
    }
}
