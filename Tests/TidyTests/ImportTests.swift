// Imports go one way, as docs/architecture.md says: the list here is the one of Sources/README.md.

import Testing

@Suite("Imports")
struct ImportTests {
    /// What each room may import of Muster's own targets.
    private static let allowed: [String: Set<String>] = [
        "MusterModel": [],
        "MusterRunner": ["MusterModel"],
        "MusterCore": ["MusterModel"],
        "MusterWire": ["MusterModel"],
        "COpenSSL": [],
        "MusterTLS": ["COpenSSL"],
        "MusterTransport": ["MusterModel", "MusterWire", "MusterTLS"],
        "MusterStore": ["MusterModel"],
        "CChecksum": [],
        "MusterDisk": ["MusterModel", "MusterStore", "CChecksum"],
        "CSupervisor": [],
        "CPythonRunner": [],
        "MusterWorker": [
            "MusterModel", "MusterCore", "MusterWire", "MusterTransport", "CSupervisor",
        ],
        "MusterCoordinator": [
            "MusterModel", "MusterCore", "MusterWire", "MusterTLS", "MusterTransport",
            "MusterStore",
        ],
        "Muster": [
            "MusterModel", "MusterRunner", "MusterWire", "MusterTLS", "MusterTransport",
            "MusterWorker", "MusterCoordinator", "MusterStore",
        ],
        "MusterSimulator": [
            "MusterModel", "MusterCore", "MusterWire", "MusterTransport", "MusterTLS",
            "MusterStore",
            "MusterCoordinator", "MusterWorker", "Muster",
        ],
        "Examples": ["Muster"],
        "MusterCLI": [
            "Muster", "MusterModel", "MusterWire", "MusterTLS", "MusterTransport",
            "MusterWorker", "MusterCoordinator", "MusterStore", "MusterDisk", "CPythonRunner",
        ],
    ]

    @Test("The core imports the model and nothing else")
    func core() throws {
        let files = try Repository.files(below: "Sources/MusterCore")
        #expect(!files.isEmpty)
        for file in files {
            #expect(Set(file.imports).isSubset(of: ["MusterModel"]), "\(file.path)")
        }
    }

    @Test("The model imports nothing but the standard library")
    func model() throws {
        let files = try Repository.files(below: "Sources/MusterModel")
        #expect(!files.isEmpty)
        for file in files { #expect(file.imports == [], "\(file.path)") }
    }

    @Test("Rooms import each other one way")
    func rooms() throws {
        let files = try Repository.files(below: "Sources")
        #expect(files.flatMap(\.imports).contains("MusterWire"), "no import was found at all")
        for file in files {
            let allowed = try #require(
                Self.allowed[file.room], "\(file.room) is missing in the list of rooms here")
            let own = Set(file.imports).intersection(Self.allowed.keys)
            #expect(own.subtracting(allowed) == [], "\(file.path)")
        }
    }

    @Test("No file imports all of Foundation, and none another TLS")
    func foundation() throws {
        for file in try Repository.files(below: "Sources") {
            #expect(!file.imports.contains("Foundation"), "\(file.path)")
            #expect(!file.imports.contains("NIOSSL"), "\(file.path)")
        }
    }

    @Test("The map of the rooms names every room")
    func map() throws {
        let map = try Repository.file("Sources/README.md")
        for room in Self.allowed.keys.sorted() {
            #expect(Repository.exists("Sources/\(room)"), "\(room) is listed here and gone")
            let isThere = map.text.contains("\n| `\(room)` |")
            #expect(isThere, "\(room)")
        }
    }
}
