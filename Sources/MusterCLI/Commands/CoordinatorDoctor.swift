/// `muster coordinator doctor`: whether what a coordinator keeps is whole; what is not, where, and
/// what to do. It reads everything and changes nothing.

import ArgumentParser
import MusterDisk
import MusterModel

struct CoordinatorDoctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check what the coordinator keeps on its disk.",
        discussion: "The coordinator must not be running. Exits with 1 where something is damaged.")

    @Option(help: ArgumentHelp("Where the cluster's keys and records are.", valueName: "dir"))
    var stateDir: String?
    @Flag(help: "Findings as JSON lines.") var json = false

    private struct Line: Encodable {
        var severity: String
        var text: String
        var advice: String?
    }

    func run() throws {
        let directory = Places.stateDirectory(stateDir, kind: "coordinator")
        let findings = StoreDoctor.examine(directory: directory)
        for finding in findings {
            if json {
                try Output.json(
                    Line(
                        severity: finding.severity.rawValue, text: finding.text,
                        advice: finding.advice))
            } else {
                Output.line("\(finding.severity.rawValue): \(finding.text)")
                if let advice = finding.advice { Output.line("    \(advice)") }
            }
        }
        if findings.contains(where: { $0.severity == .damage }) { throw ExitStatus(1) }
    }
}
