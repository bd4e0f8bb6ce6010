/// Where segment files lie below a store's directory: `jobs/41/results-000001.seg`. In come job,
/// kind and number, out come paths; or the other way round for names that were found.

import Glibc
import MusterModel
import MusterStore

struct SegmentKey: Hashable {
    var job: JobID
    var kind: LogKind
    var number: UInt32
}

struct SegmentNames {
    let root: String

    init(directory: String) { root = "\(directory)/jobs" }

    func folder(of job: JobID) -> String { "\(root)/\(job)" }

    func path(of key: SegmentKey) -> String { "\(folder(of: key.job))/\(Self.name(of: key))" }

    private static func name(of key: SegmentKey) -> String {
        let digits = "\(key.number)"
        let zeros = String(repeating: "0", count: max(0, 6 - digits.count))
        return "\(key.kind)-\(zeros)\(digits).seg"
    }

    /// Jobs that have a folder.
    func jobs() -> [JobID] {
        Self.names(in: root).compactMap { name in
            UInt64(name).flatMap { "\($0)" == name ? JobID($0) : nil }
        }.sorted()
    }

    /// Segment files of a job, and names of other things in its folder.
    func files(of job: JobID) -> (segments: [SegmentKey], others: [String]) {
        var segments: [SegmentKey] = []
        var others: [String] = []
        for name in Self.names(in: folder(of: job)) {
            let parts = name.split(separator: "-", maxSplits: 1)
            let kind = LogKind.allCases.first { "\($0)" == parts.first ?? "" }
            if let kind, let number = UInt32(parts.last?.split(separator: ".").first ?? "") {
                let key = SegmentKey(job: job, kind: kind, number: number)
                if Self.name(of: key) == name {
                    segments.append(key)
                    continue
                }
            }
            others.append(name)
        }
        return (segments, others)
    }

    static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func size(of path: String) -> UInt64? {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return UInt64(max(0, status.st_size))
    }
}
