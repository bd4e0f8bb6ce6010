// The code of docs/swift.md, so that it compiles. GuideTests.swift holds the page to this file.

import Muster

struct Square: Codable, Sendable {
    var x: Int
    var y: Int
}

// The page has `@main` in front, which a test bundle cannot have.
struct Sweep: ClusterProgram {
    static let square = ClusterFunction("square") { (x: Int) in Square(x: x, y: x * x) }
    static let functions: FunctionList = [square]

    static func main(_ cluster: Cluster) async throws {
        for try await square in cluster.map(square, over: 1...10) {
            print(square.x, square.y)
        }
    }
}

private enum Model {
    static func load() async throws {}
    static func label(of text: String) -> String { text }
}

private enum Snippets {
    static let square = Sweep.square
    static let lookUp = ClusterFunctionWith("lookUp") { (word: String, known: [String]) in
        known.contains(word)
    }

    static func openCluster() async throws -> Cluster {
        try await .local(slots: 64, pool: .thread)
    }

    static func own() async throws {
        await Cluster.serve([square])
        let cluster = try await Cluster.local(slots: 4)
        let squares = try await cluster.map(square, over: [3, 1, 2]).collected()
        await cluster.close()
        _ = squares
    }

    static func lines(_ cluster: Cluster, _ lines: [String]) async throws {
        var total = 0
        for try await square in cluster.map(square, over: lines.lazy.compactMap { Int($0) }) {
            total += square.y
        }
    }

    static func settings(_ cluster: Cluster) async throws {
        let squares = cluster.map(
            square, over: 0..<1_000_000, .timeout(.seconds(5)), .retries(2), .progress(.bar))
        _ = squares
    }

    static func collect(_ cluster: Cluster) async throws {
        var total = 0
        for try await result in cluster.map(square, over: 0..<100, errors: .collect) {
            switch result {
            case .success(let square): total += square.y
            case .failure(let error): print(error.item, error.code, error.message)
            }
        }
    }

    static let power = ClusterFunctionWith("power") { (x: Int, y: Int) in
        (0..<y).reduce(1) { product, _ in product * x }
    }

    static func fixed(_ cluster: Cluster, _ dictionary: [String]) async throws {
        let cubes = try await cluster.map(power.with(3), over: 1...10).collected()
        let words = try cluster.broadcast(dictionary)
        let found = try await cluster.map(lookUp.with(words), over: ["hello", "wrold"]).collected()
        _ = (cubes, found)
    }

    static let classify = ClusterFunction("classify", setup: { try await Model.load() }) {
        (text: String) in Model.label(of: text)
    }

    static let total = ClusterReduction("total", { (x: Int) in x % 7 }, combine: +)

    static func reduce(_ cluster: Cluster) async throws {
        let sum = try await cluster.reduce(0, total, over: 0..<100_000_000)
        _ = sum
    }

    static func submit(_ cluster: Cluster, _ numbers: [Int]) async throws {
        let handles = numbers.map { cluster.submit(square, $0) }
        for await handle in handles.asCompleted() {
            let square = try await handle.value
            print(square.x, handle.worker ?? "?", handle.seconds ?? 0)
        }
    }

    static let draw = ClusterFunction("draw") { (n: Int) in
        n ^ Int(ClusterItem.current?.seed ?? 0)
    }
}
