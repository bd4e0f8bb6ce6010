// What the worker's Swift side knows of the processes that start its items.
//
// The agent starts one nursery while it is still small (nursery.c). For every slot the nursery
// starts a supervisor (supervisor.c), joined to the agent by a stream socket. A supervisor starts
// one item after another (child.c) and proves after each that no process of it is left (tree.c).
// All of it is plain C on memory of its own: it runs in forked copies of a threaded program, where
// no lock can be trusted, so nothing here allocates from the heap or touches stdio.
#pragma once

#include <stdint.h>
#include <sys/types.h>

// Frames on a slot's socket, in host byte order (both ends are one machine and one binary):
// u32 length of what follows it, u8 kind, body. Offsets count from the start of the frame.
//
// launch: 4 kind, 5 zero, 6 u16 zero, 8 u64 serial, 16 u64 timeout ns (0 = none), 24 u64 kill
//         grace ns, 32 u64 output limit in bytes, 40 i32 nice (INT32_MIN = unchanged), 44 u32
//         count of arguments, 48 u32 count of environment entries, 52 directory, arguments and
//         environment, each ended by NUL.
// kill:   4 kind, 5 zero, 6 u16 zero, 8 u64 serial, 16 u64 grace ns (0 = at once).
// drop:   4 kind, 5 zero, 6 u16 zero, 8 u64 first serial, 16 u64 serial behind the last.
// stdout, stderr: 4 kind, 5 bytes.
// ended:  4 kind, 5 u8 ending, 6 u8 stage, 7 zero, 8 i32 code, 12 u64 serial, 20 u64 wall ns,
//         28 u64 CPU ns, 36 u64 peak resident bytes, 44 u64 start, microseconds since 1970 (0 =
//         it never started).
// dropped: 4 kind, 5 u8 zero, 6 u16 zero, 8 u64 first serial, 16 u64 serial behind the last: the
//         answer to a drop. These will not start; those of the drop before them have started.
//         The agent asks for no other drop before it.
enum muster_request {
    MUSTER_REQUEST_LAUNCH = 1,
    MUSTER_REQUEST_KILL = 2,
    MUSTER_REQUEST_DROP = 3,
};

enum muster_event {
    MUSTER_EVENT_STDOUT = 1,
    MUSTER_EVENT_STDERR = 2,
    MUSTER_EVENT_ENDED = 3,
    MUSTER_EVENT_DROPPED = 4,
};

// How an item ended; `code` is the exit status, the signal or the errno.
enum muster_ending {
    MUSTER_ENDING_EXITED = 1,
    MUSTER_ENDING_SIGNALLED = 2,
    MUSTER_ENDING_TIMED_OUT = 3,
    MUSTER_ENDING_KILLED = 4,
    MUSTER_ENDING_OUTPUT_LIMIT = 5,
    MUSTER_ENDING_CANNOT_START = 6,
};

// Where a start failed: making pipes and process, entering the directory, setting the priority,
// executing the command.
enum muster_stage {
    MUSTER_STAGE_SPAWN = 1,
    MUSTER_STAGE_DIRECTORY = 2,
    MUSTER_STAGE_NICE = 3,
    MUSTER_STAGE_EXEC = 4,
};

enum {
    MUSTER_LAUNCH_HEADER_BYTES = 52,
    MUSTER_KILL_BYTES = 24,
    MUSTER_DROP_BYTES = 24,
    MUSTER_DROPPED_BYTES = 24,
    MUSTER_OUTPUT_HEADER_BYTES = 5,
    MUSTER_ENDED_BYTES = 52,
    // The kernel takes at most 6 MiB of arguments and environment; a longer launch is a broken
    // agent, and the supervisor gives up.
    MUSTER_LAUNCH_MAX_BYTES = 8 << 20,
};

// Find descendants by reading all of /proc instead of the kernel's lists of children.
enum { MUSTER_NURSERY_SCAN_PROC = 1 };

// Starts the nursery. `*connection` becomes the agent's end of its socket: when the last copy of
// it is closed, the nursery kills every process it is above of, and exits. Returns 0 or an errno.
int muster_nursery_start(unsigned flags, int *connection, pid_t *pid);

// Has the nursery start a supervisor; `*slot` becomes the agent's end of the supervisor's socket,
// which reads end-of-file when the supervisor is gone or could not be started. Returns 0 or an
// errno (EPIPE: the nursery is gone).
int muster_nursery_request(int connection, int *slot);

// Waits until the nursery is gone and collects it. Returns 0 or an errno.
int muster_nursery_wait(pid_t pid);

// Runs `program argument` in this process's environment and waits for it, with nothing between
// vfork, execve and waitpid. Returns the wait status, or -1.
int muster_floor_run(const char *program, const char *argument);

// Cores the calling thread may run on, or 0 if the kernel does not say.
int muster_usable_cores(void);

// The process's environment as it is now; entries end with NULL.
char *const *muster_environment(void);
