// Which of these pages exist? Work that waits, so one process with many threads does it: 64
// requests are under way at once on each worker, whatever its cores.
//
//     swift run -c release url-check https://www.swift.org https://www.swift.org/nothing
//     swift run -c release url-check < urls.txt

import FoundationEssentials
import FoundationNetworking
import Muster

enum Page: String, Codable {
    case exists
    case missing = "does not exist"
    case unknown
}

struct Answer: Codable {
    var address: String
    var page: Page
}

@main
struct URLCheck: ClusterProgram {
    static let look = ClusterFunction("look") { (address: String) async throws -> Answer in
        guard let url = URL(string: address),
            let (_, reply) = try? await session.data(from: url)
        else { return Answer(address: address, page: .unknown) }
        switch (reply as? HTTPURLResponse)?.statusCode {
        case 200: return Answer(address: address, page: .exists)
        case 404: return Answer(address: address, page: .missing)
        default: return Answer(address: address, page: .unknown)
        }
    }

    static let functions: FunctionList = [look]

    /// Made where it is used first: once in each runner.
    private static let session: URLSession = {
        let settings = URLSessionConfiguration.ephemeral
        settings.httpMaximumConnectionsPerHost = 64
        settings.timeoutIntervalForRequest = 10
        return URLSession(configuration: settings)
    }()

    /// Threads in place of processes, and many more than there are cores.
    static func openCluster() async throws -> Cluster {
        try await .local(slots: 64, pool: .thread)
    }

    static func main(_ cluster: Cluster) async throws {
        let words = CommandLine.arguments.dropFirst()
        // Lines are read as workers take them, however many there are.
        let addresses =
            words.isEmpty ? AnySequence(AnyIterator { readLine() }) : AnySequence(words)
        for try await answer in cluster.map(look, over: addresses, .timeout(.seconds(30))) {
            print("\(answer.page.rawValue)\t\(answer.address)")
        }
    }
}
