/// `muster map geo:reverse_geocode --bf geo.py`: a function of a Python file, served by the runner
/// that is built into this program (`PythonArchive.swift`). Workers need `python3`, this machine
/// none.

import Glibc
import Muster
import MusterModel
import NIOCore

/// A Python module that a target of `map` names, and where its file lies.
struct PythonModule: Equatable {
    let name: String
    /// Of the file, below the directory from which the module is imported.
    let file: String
    let path: String
    /// Whether one of --bf takes it along already.
    let isGiven: Bool

    /// nil where the target is a program: `geo` or `geo.py` is a module where --bf takes geo.py
    /// along, and a file `geo.py` that is not executable is one.
    init?(_ target: String, among files: [BaseFileFlag]) {
        var stem = Substring(target)
        while stem.hasPrefix("./") { stem = stem.dropFirst(2) }
        let isFile = stem.hasSuffix(".py")
        if isFile { stem = stem.dropLast(3) }
        let inside = isFile ? String(stem) : stem.split(separator: ".").joined(separator: "/")
        if let given = files.first(where: { $0.name == inside + ".py" }) {
            (name, file, path, isGiven) = (Self.dotted(inside), given.name, given.path, true)
        } else if isFile, access(Places.absolute(target), R_OK) == 0,
            access(Places.absolute(target), X_OK) != 0
        {
            let last = inside.split(separator: "/").last.map(String.init) ?? inside
            (name, file, path, isGiven) = (last, last + ".py", target, false)
        } else {
            return nil
        }
    }

    private static func dotted(_ path: String) -> String {
        path.split(separator: "/").joined(separator: ".")
    }

    /// The directory from which it is imported here.
    var root: String {
        let whole = Places.absolute(path)
        guard whole.hasSuffix("/" + file) else { return Places.workingDirectory }
        let root = whole.dropLast(file.utf8.count + 1)
        return root.isEmpty ? "/" : String(root)
    }
}

extension JobMaker {
    /// - Throws: `MusterError`.
    func python(
        _ module: PythonModule, _ function: String, _ files: inout OutgoingFiles
    ) throws -> FunctionWorkload {
        let runner: String
        if isEmbedded {
            // An embedded cluster takes no files along: it lies open in this process.
            let file = try FileBytes.unnamed(PythonArchive.bytes())
            runner = "/proc/\(getpid())/fd/\(file)"
        } else {
            try files.add(ByteBuffer(bytes: PythonArchive.bytes()), as: PythonArchive.name)
            if !module.isGiven { try files.add(Places.absolute(module.path), as: module.file) }
            runner = "./" + PythonArchive.name
        }
        let python = Places.variable("MUSTER_PYTHON") ?? "python3"
        var workload = FunctionWorkload(
            command: [python, "-X", "faulthandler", runner].map { Bytes($0) },
            function: "\(module.name):\(function)")
        workload.values = .json
        return workload
    }
}
