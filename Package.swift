// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")

let package = Package(
    name: "Muster",
    products: [
        .executable(name: "muster", targets: ["MusterCLI"]),
        .library(name: "Muster", targets: ["Muster"]),
        .executable(name: "muster-simulator", targets: ["MusterSimulator"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .target(name: "MusterModel", swiftSettings: strict),
        .target(name: "MusterRunner", dependencies: ["MusterModel"], swiftSettings: strict),
        .target(name: "MusterCore", dependencies: ["MusterModel"], swiftSettings: strict),
        .target(name: "MusterWire", dependencies: ["MusterModel", nioCore], swiftSettings: strict),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(
            name: "MusterTLS", dependencies: ["COpenSSL", nioCore, nioPosix],
            swiftSettings: strict),
        .target(
            name: "MusterTransport",
            dependencies: [
                "MusterModel", "MusterWire", "MusterTLS", nioCore, nioPosix,
                .product(name: "DequeModule", package: "swift-collections"),
            ], swiftSettings: strict),
        .target(
            name: "MusterStore", dependencies: ["MusterModel", nioCore], swiftSettings: strict),
        .target(
            name: "CChecksum", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])]),
        // Apart from MusterStore, so that programs of users need neither SQLite nor Foundation.
        .target(
            name: "MusterDisk",
            dependencies: [
                "CChecksum", "MusterModel", "MusterStore", nioCore,
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ], swiftSettings: strict),
        .target(
            name: "MusterCoordinator",
            dependencies: [
                "MusterModel", "MusterCore", "MusterWire", "MusterTLS", "MusterTransport",
                "MusterStore", nioCore,
                nioPosix, .product(name: "DequeModule", package: "swift-collections"),
            ], swiftSettings: strict),
        .target(
            name: "CSupervisor", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])]),
        // The compiler reads the runner's Python files (#embed), so they are always those of here.
        .target(
            name: "CPythonRunner",
            cSettings: [.unsafeFlags(["-std=gnu2x", "-Wall", "-Wextra", "-Werror"])]),
        .target(
            name: "MusterWorker",
            dependencies: [
                "CSupervisor", "MusterModel", "MusterCore", "MusterWire", "MusterTransport",
                nioCore, nioPosix, .product(name: "DequeModule", package: "swift-collections"),
            ], swiftSettings: strict),
        .target(
            name: "Muster",
            dependencies: [
                "MusterModel", "MusterRunner", "MusterWire", "MusterTLS", "MusterTransport",
                "MusterStore", "MusterCoordinator", "MusterWorker", nioCore, nioPosix,
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "MusterCLI",
            dependencies: [
                "CPythonRunner", "Muster", "MusterModel", "MusterWire", "MusterTLS",
                "MusterTransport", "MusterStore", "MusterDisk", "MusterCoordinator",
                "MusterWorker", nioCore, nioPosix,
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        // The real coordinator and worker machine in a simulated world: tests of millions of events.
        .executableTarget(
            name: "MusterSimulator",
            dependencies: [
                "Muster", "MusterModel", "MusterCore", "MusterWire", "MusterTLS",
                "MusterTransport", "MusterStore", "MusterCoordinator", "MusterWorker", nioCore,
                .product(name: "HeapModule", package: "swift-collections"),
            ], swiftSettings: strict),
        // What people learn from: programs that use the library and nothing else of Muster.
        .executableTarget(
            name: "compute-x", dependencies: ["Muster"], path: "Sources/Examples/ComputeX",
            swiftSettings: strict),
        .executableTarget(
            name: "url-check", dependencies: ["Muster"], path: "Sources/Examples/URLCheck",
            swiftSettings: strict),
        .testTarget(
            name: "MusterModelTests", dependencies: ["MusterModel"], swiftSettings: strict),
        .testTarget(
            name: "MusterCoreTests", dependencies: ["MusterCore", "MusterModel"],
            swiftSettings: strict),
        .testTarget(
            name: "MusterCLITests",
            dependencies: [
                "MusterCLI", "MusterModel",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .testTarget(
            name: "MusterTLSTests", dependencies: ["MusterTLS", "COpenSSL", nioCore, nioPosix],
            swiftSettings: strict),
        .testTarget(
            name: "MusterWireTests", dependencies: ["MusterWire", "MusterModel", nioCore],
            swiftSettings: strict),
        .testTarget(
            name: "MusterStoreTests", dependencies: ["MusterStore", "MusterModel", nioCore],
            swiftSettings: strict),
        .testTarget(
            name: "MusterDiskTests",
            dependencies: [
                "MusterDisk", "MusterStore", "MusterModel", "CChecksum", nioCore, nioPosix,
                .product(name: "GRDB", package: "GRDB.swift"),
            ], swiftSettings: strict),
        .testTarget(
            name: "MusterTransportTests",
            dependencies: [
                "MusterTransport", "MusterModel", "MusterWire", "MusterTLS", nioCore, nioPosix,
            ], swiftSettings: strict),
        .testTarget(
            name: "MusterCoordinatorTests",
            dependencies: [
                "MusterCoordinator", "MusterCore", "MusterStore", "MusterModel", "MusterWire",
                "MusterTLS",
                "MusterTransport", nioCore, nioPosix,
            ], swiftSettings: strict),
        // Functions that tests of the library submit, and the program whose runners serve them.
        .target(
            name: "MusterTestFunctions", dependencies: ["Muster"],
            path: "Tests/Support/TestFunctions", swiftSettings: strict),
        .executableTarget(
            name: "muster-test-program", dependencies: ["Muster", "MusterTestFunctions"],
            path: "Tests/Support/TestProgram", swiftSettings: strict),
        .testTarget(
            name: "MusterTests",
            dependencies: [
                "Muster", "MusterModel", "MusterWire", "MusterTLS", "MusterTransport",
                "MusterTestFunctions", "muster-test-program", nioCore, nioPosix,
                .product(name: "DequeModule", package: "swift-collections"),
            ], swiftSettings: strict),
        .testTarget(
            name: "MusterWorkerTests",
            dependencies: [
                "MusterWorker", "MusterModel", "MusterWire", "MusterTransport", "MusterTLS",
                "CSupervisor", "muster-test-runner", nioCore, nioPosix,
            ], swiftSettings: strict),
        // A program that serves functions which tests of runners and workers call.
        .executableTarget(
            name: "muster-test-runner", dependencies: ["MusterRunner"],
            path: "Tests/Support/TestRunner", swiftSettings: strict),
        .testTarget(
            name: "MusterRunnerTests",
            dependencies: ["MusterRunner", "MusterModel", "muster-test-runner"],
            swiftSettings: strict),
        .testTarget(name: "TidyTests", swiftSettings: strict),
        .testTarget(
            name: "MusterSimulatorTests", dependencies: ["MusterSimulator"],
            exclude: ["seeds.txt", "Plants"], swiftSettings: strict),
        // Depends on nothing of ours: it runs the `muster` that is built beside it.
        .testTarget(name: "EndToEndTests", swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
