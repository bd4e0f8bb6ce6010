// A supervisor: one slot's worth of items, one after another. In: launch and kill requests from
// the agent (link.c). Out: the item's output and how it ended; after the ended event no process of
// the item is left. Starting is child.c, what follows is item.c.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t out_buffer[LINK_OUT_BYTES];
struct link agent = {.out = out_buffer};
int signals;

static void report(uint8_t ending, uint8_t stage, int32_t code)
{
    uint8_t frame[MUSTER_ENDED_BYTES];
    frame_ended(frame, &(struct ended){
        .serial = item.serial,
        .ending = ending,
        .stage = stage,
        .code = code,
        .wall = item.ended - item.started,
        .start = item.started_wall,
        .usage = item.usage,
    });
    link_ended(&agent, frame);
    item.pid = 0;
}

static void run(uint8_t *frame, bool killed)
{
    struct start start;
    int out[2], err[2];
    if (!frame_launch(frame, &start)) {
        agent.lost = true;
        return;
    }
    memset(&item, 0, sizeof item);
    item.serial = load64(frame + 8);
    if (killed) {
        report(MUSTER_ENDING_KILLED, 0, 0);
        return;
    }
    item.kill_grace = load64(frame + 24);
    item.output_left = load64(frame + 32);
    item.kill_at = UINT64_MAX;
    if (pipe2(out, O_CLOEXEC) < 0) {
        report(MUSTER_ENDING_CANNOT_START, MUSTER_STAGE_SPAWN, errno);
        return;
    }
    if (pipe2(err, O_CLOEXEC) < 0) {
        int failure = errno;
        close(out[0]);
        close(out[1]);
        report(MUSTER_ENDING_CANNOT_START, MUSTER_STAGE_SPAWN, failure);
        return;
    }
    item.pipes[0] = out[0];
    item.pipes[1] = err[0];
    start.standard_output = out[1];
    start.standard_error = err[1];
    item.started = monotonic_nanoseconds();
    item.started_wall = wall_microseconds();
    uint64_t timeout = load64(frame + 16);
    item.timeout_at = timeout ? saturating_add(item.started, timeout) : UINT64_MAX;
    pid_t pid = child_start(&start);
    if (pid > 0) {
        item.pid = pid;
        item_attend();
    } else {
        start.failed_stage = MUSTER_STAGE_SPAWN;
        start.failed_errno = errno;
    }
    for (int end = 0; end < 2; end++) {
        close(out[end]);
        close(err[end]);
    }
    if (start.failed_stage)
        report(MUSTER_ENDING_CANNOT_START, (uint8_t)start.failed_stage, start.failed_errno);
    else if (WIFSIGNALED(item.status))
        report(item.ending ? item.ending : MUSTER_ENDING_SIGNALLED, 0, WTERMSIG(item.status));
    else
        report(item.ending ? item.ending : MUSTER_ENDING_EXITED, 0, WEXITSTATUS(item.status));
}

// Events leave in company while further launches wait: waking the agent for each would cost more
// than it has to do, and take the core from the item that runs. The last launch but one lets them
// go in time for the agent to send more; a beat lets them go in any case, and requests in.
static void between_items(void)
{
    bool beat = beat_came();
    if (beat)
        link_receive(&agent, false);
    if (beat || agent.waiting < 2 || agent.filled - agent.sent >= LINK_OUT_BYTES / 4)
        link_flush(&agent);
}

_Noreturn void supervisor_run(int control)
{
    setsid();
    prctl(PR_SET_NAME, "muster-slot");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    dup3(control, 3, O_CLOEXEC);
    close_from(4);
    agent.socket = 3;
    agent.kill_running = item_kill;
    signals = signals_descriptor((int[]){SIGCHLD}, 1);
    if (signals < 0)
        _exit(1);
    while (!agent.lost) {
        bool killed;
        uint8_t *frame = link_next_launch(&agent, &killed);
        if (frame) {
            run(frame, killed);
            link_launch_done(&agent);
            between_items();
        } else if (!link_unsent(&agent)) {
            // A beat finds nothing to do and is the last one.
            if (beat_came())
                beat_stop();
            link_receive(&agent, true);
        } else {
            link_flush(&agent);
            if (!link_unsent(&agent))
                continue;
            struct pollfd watched = {.fd = agent.socket, .events = POLLIN | POLLOUT};
            poll(&watched, 1, -1);
            if (watched.revents & POLLIN)
                link_receive(&agent, false);
        }
    }
    _exit(0);
}
