/// Messages as a line of a trace shows them.

import MusterModel
import MusterWire

extension Message {
    var brief: String {
        switch self {
        case .hello(let hello): "hello\(hello.worker == nil ? "" : " worker")"
        case .welcome(let welcome): "welcome \(welcome.worker?.description ?? "") e\(welcome.epoch)"
        case .refused(let error): "refused: \(error.message)"
        case .request(let id, let request): "request \(id) \(request)".cut
        case .response(let id, let response): "response \(id) \(response)".cut
        case .items(let job, let batch): "items of \(job) \(batch.range)"
        case .inputEnded(let job): "inputEnded of \(job)"
        case .inputCredit(let job, let bytes): "inputCredit of \(job) \(bytes)"
        case .learn(let job, _): "learn \(job)"
        case .lease(let job, let runs, _): "lease \(job)\(runs.map(\.brief).joined())".cut
        case .revoke(let job, let ranges): "revoke \(job) \(ranges)".cut
        case .stop(let job, let ranges, _): "stop \(job) \(ranges)".cut
        case .retire(let job): "retire \(job)"
        case .follow(let job, let item): "follow \(job).\(item)"
        case .released(let job, let ranges): "released \(job) \(ranges)".cut
        case .results(let records): "results\(records.map(\.brief).joined())".cut
        case .values(let runs): "values\(runs.map(\.brief).joined())".cut
        case .wanted: "wanted"
        case .file: "file"
        case .noFile: "noFile"
        case .resultsCredit(let job, let bytes): "resultsCredit of \(job) \(bytes)"
        case .progress(let summary): "progress of \(summary.id)"
        case .jobEnded(let summary): "jobEnded \(summary.id) \(summary.state)"
        case .workerName(let worker, let name): "workerName \(worker) \(name)"
        case .heartbeat(let count): "heartbeat \(count)"
        case .drain: "drain"
        case .drained: "drained"
        case .bye(let reason): "bye: \(reason)"
        case .claim(let claims):
            "claim\(claims.map { " \($0.job):\($0.runs.map(\.brief).joined())" }.joined())".cut
        case .recorded(let job, let ranges): "recorded \(job) \(ranges)".cut
        case .inputRecorded(let job, let upTo): "inputRecorded of \(job) ..<\(upTo)"
        }
    }
}

extension LeaseRun {
    var brief: String { " \(items.lowerBound)..<\(items.upperBound)#\(attempt)" }
}

extension ResultRecord {
    var brief: String { " \(job).\(item)#\(attempt)\(outcome.map { $0.state.word } ?? "…")" }
}

extension ValueRun {
    var brief: String { " \(job).\(items.lowerBound)..<\(items.upperBound)#\(attempt)" }
}

extension String {
    fileprivate var cut: String { count <= 300 ? self : prefix(300) + "…" }
}
