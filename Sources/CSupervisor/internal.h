// Shared by the files of this target: growing memory, sets of process ids, signals, descriptors.
#pragma once

#include "CSupervisor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

// Everything of Muster is linked into one program, so what these files share is known to the
// linker by a longer name.
#define region_reserve muster_region_reserve
#define monotonic_nanoseconds muster_monotonic_nanoseconds
#define wall_microseconds muster_wall_microseconds
#define saturating_add muster_saturating_add
#define signals_take_over muster_signals_take_over
#define signals_descriptor muster_signals_descriptor
#define signals_drain muster_signals_drain
#define beat_start muster_beat_start
#define beat_stop muster_beat_stop
#define beat_came muster_beat_came
#define close_from muster_close_from
#define tree_scan_proc muster_tree_scan_proc
#define tree_spare muster_tree_spare
#define tree_spare_none muster_tree_spare_none
#define tree_terminate muster_tree_terminate
#define tree_kill_round muster_tree_kill_round
#define tree_patience muster_tree_patience
#define child_start muster_child_start
#define link_receive muster_link_receive
#define link_takes_requests muster_link_takes_requests
#define link_next_launch muster_link_next_launch
#define link_launch_done muster_link_launch_done
#define link_unsent muster_link_unsent
#define link_room muster_link_room
#define link_output muster_link_output
#define link_ended muster_link_ended
#define link_flush muster_link_flush
#define frame_launch muster_frame_launch
#define frame_ended muster_frame_ended
#define item muster_item
#define agent muster_agent
#define signals muster_signals
#define item_kill muster_item_kill
#define item_attend muster_item_attend
#define supervisor_run muster_supervisor_run

// Memory from mmap that only grows; zero-initialised means empty.
struct region {
    uint8_t *base;
    size_t capacity;
};

// Makes room for `bytes`; false when the kernel has no memory, and then nothing has changed.
bool region_reserve(struct region *region, size_t bytes);

uint64_t monotonic_nanoseconds(void);
uint64_t wall_microseconds(void);
uint64_t saturating_add(uint64_t left, uint64_t right);

// Blocks every signal and gives every signal its default disposition, so that what is started
// below needs only its mask emptied.
void signals_take_over(void);
int signals_descriptor(const int *signals, size_t count);
void signals_drain(int descriptor);

// A beat interrupts whatever the process waits in, every BEAT_NANOSECONDS from its start on: one
// timer for many short items instead of one for each.
enum { BEAT_NANOSECONDS = 2000000 };
void beat_start(void);
void beat_stop(void);
// Whether one came since this was last asked.
bool beat_came(void);

// Closes all descriptors from `first` on.
void close_from(int first);

// tree.c: everything below the calling process. `spared` children are passed over with all that
// is below them.
void tree_scan_proc(bool always);
void tree_spare(pid_t child, bool spared);
void tree_spare_none(void);
void tree_terminate(void);
void tree_kill_round(void);

// Milliseconds to wait before kill round `round` + 1: a few quick rounds catch whatever forks while
// it is being killed, then the pace eases off for what the kernel will not let die yet.
int tree_patience(unsigned round);

// child.c: what one start needs; the child runs in the supervisor's memory until it executes.
struct start {
    const char *directory;
    // arguments[-1] is room for the shell's name when a script has no interpreter line.
    char **arguments;
    char **environment;
    int32_t nice; // INT32_MIN = unchanged
    int standard_output;
    int standard_error;
    // Written by the child: 0 or the stage that failed, and its errno.
    volatile int failed_stage;
    volatile int failed_errno;
};

// Starts the child and returns when it has executed its command or failed to: the process id, or
// -1 with errno set. After a failure told by `failed_stage` the child is still to be waited for.
pid_t child_start(struct start *start);

// link.c: the supervisor's socket to the agent. Requests collect in `in`: [start, scanned) are
// waiting launches, [scanned, end) an unfinished frame. Events collect in `out`: [sent, filled).
struct link {
    int socket;
    bool lost; // the agent is gone, or sent what no agent sends
    struct region in;
    size_t start, scanned, end;
    size_t waiting; // launches in [start, scanned) that are still to start
    uint8_t *out;
    size_t sent, filled;
    // The answer to a drop request, until there is room for it.
    bool owes_dropped;
    uint64_t dropped_first, dropped_end;
    // Called for every kill request as soon as it is there; false = not the running item.
    bool (*kill_running)(uint64_t serial, uint64_t grace);
};

enum { LINK_OUT_BYTES = 256 << 10 };

// Receives what is there (`wait`: at least something) and hears kill and drop requests out.
void link_receive(struct link *link, bool wait);
// True while more requests can be taken in.
bool link_takes_requests(const struct link *link);
// The next waiting launch, or NULL; it stays valid until link_launch_done. `killed`: a kill
// request for it came before its turn.
uint8_t *link_next_launch(struct link *link, bool *killed);
void link_launch_done(struct link *link);
// Room for output in front of the space kept for one ended event.
size_t link_room(struct link *link);
// Reads up to `limit` bytes (≤ link_room) from a pipe as an output event; what read returned, of
// which only `keep` at most are passed on.
ssize_t link_output(struct link *link, int pipe, uint8_t kind, size_t limit, uint64_t keep);
void link_ended(struct link *link, const uint8_t *frame);
void link_flush(struct link *link);
// Whether a flush has something to send.
bool link_unsent(const struct link *link);

// Unaligned fields of a frame.
static inline uint32_t load32(const uint8_t *at)
{
    uint32_t value;
    __builtin_memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t load64(const uint8_t *at)
{
    uint64_t value;
    __builtin_memcpy(&value, at, sizeof value);
    return value;
}

// frames.c: how an item ended, and the bytes of it.
struct ended {
    uint64_t serial;
    uint8_t ending, stage;
    int32_t code;
    uint64_t wall; // nanoseconds
    uint64_t start; // microseconds since 1970
    struct rusage usage;
};

// Points `start` into the frame; false when this is not what an agent sends.
bool frame_launch(uint8_t *frame, struct start *start);
// Fills MUSTER_ENDED_BYTES.
void frame_ended(uint8_t *frame, const struct ended *ended);

// item.c: the item a supervisor has just started, until nothing of it is left.
struct item {
    uint64_t serial;
    pid_t pid; // 0 = nothing runs
    bool main_ended;
    int status;
    struct rusage usage;
    int pipes[2]; // read ends of stdout and stderr
    bool unblocked[2]; // reading them does not wait
    uint64_t output_left;
    uint64_t kill_grace;
    uint64_t started, ended;
    uint64_t started_wall; // microseconds since 1970
    uint64_t timeout_at, kill_at; // UINT64_MAX = never
    unsigned kill_round;
    uint8_t ending; // 0 = whatever the main process says
};

extern struct item item;
extern struct link agent;
// The descriptor that tells of SIGCHLD.
extern int signals;

// Ends the running item if it has this serial: TERM now and KILL after the grace, or KILL now.
bool item_kill(uint64_t serial, uint64_t grace);
// Passes output on until the item has ended and no process of it is left, then what is still in
// the pipes.
void item_attend(void);

// supervisor.c: never returns.
_Noreturn void supervisor_run(int control);
