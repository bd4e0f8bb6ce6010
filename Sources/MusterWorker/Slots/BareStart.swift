// A program started and awaited with nothing around it: in go its path and one argument, out comes
// its wait status. For `muster benchmark`. Next: CSupervisor/floor.c.

private import CSupervisor

package enum BareStart {
    /// - Returns: nil when there was no process to be had.
    @discardableResult
    package static func run(_ program: String, _ argument: String) -> CInt? {
        let status = muster_floor_run(program, argument)
        return status < 0 ? nil : status
    }
}
