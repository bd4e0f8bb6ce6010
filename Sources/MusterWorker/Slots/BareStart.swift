// A program started and awaited with nothing around it: in goes its path and one argument, out
// comes its wait status. `muster benchmark` shows what remains above this. Next: CSupervisor/floor.c.

private import CSupervisor

package enum BareStart {
    /// - Returns: nil when there was no process to be had.
    @discardableResult
    package static func run(_ program: String, _ argument: String) -> CInt? {
        let status = muster_floor_run(program, argument)
        return status < 0 ? nil : status
    }
}
