// One running item. In: its pipes, the deaths below the supervisor, kill requests, the clock. Out:
// output events, signals to its processes, and in `item` how it ended. Next: tree.c.
//
// Most items live for a millisecond, so the first moments are spent in one wait for the end; only
// then pipes and socket are watched. A beat (common.c) ends that wait: a timer for each item would
// cost more than all other calls here. The supervisor itself keeps the write ends of the pipes
// open: no wake-up for closed pipes, and the end of an item never hangs on who else holds them.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// The wait for a short item's end ends with the first beat after this time.
static const uint64_t quiet_nanoseconds = BEAT_NANOSECONDS / 2;
static const size_t read_bytes = 65536;

struct item item;

static uint64_t soon(uint64_t nanoseconds)
{
    return saturating_add(monotonic_nanoseconds(), nanoseconds);
}

// Ends the item for this reason: TERM now, KILL after the grace, or KILL now.
static void stop_item(uint8_t ending, uint64_t grace)
{
    bool first = item.ending == 0;
    if (first)
        item.ending = ending;
    item.timeout_at = UINT64_MAX;
    uint64_t kill_at = grace ? soon(grace) : 0;
    if (kill_at < item.kill_at)
        item.kill_at = kill_at;
    if (first && grace)
        tree_terminate();
}

bool item_kill(uint64_t serial, uint64_t grace)
{
    if (item.pid == 0 || item.serial != serial)
        return false;
    if (!item.main_ended)
        stop_item(MUSTER_ENDING_KILLED, grace);
    return true;
}

static void bury(pid_t pid, int status, const struct rusage *usage)
{
    if (pid != item.pid || item.main_ended)
        return;
    item.ended = monotonic_nanoseconds();
    item.main_ended = true;
    item.status = status;
    item.usage = *usage;
    // What it left behind goes at once.
    item.kill_at = 0;
    item.timeout_at = UINT64_MAX;
}

// Collects the dead; true while anything below is alive.
static bool collect(void)
{
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG | __WALL, &usage);
        if (pid == 0)
            return true;
        if (pid > 0)
            bury(pid, status, &usage);
        else if (errno != EINTR)
            return false;
    }
}

static void read_pipe(int which, size_t limit)
{
    uint64_t left = item.output_left;
    if (left < limit)
        limit = (size_t)left + 1;
    if (!item.unblocked[which]) {
        // Only the reading end: an item may read its own pipes empty through /proc.
        fcntl(item.pipes[which], F_SETFL, O_NONBLOCK);
        item.unblocked[which] = true;
    }
    ssize_t got = link_output(&agent, item.pipes[which], (uint8_t)(MUSTER_EVENT_STDOUT + which),
                              limit, left);
    if (got <= 0)
        return;
    if ((uint64_t)got > left) {
        item.output_left = 0;
        stop_item(MUSTER_ENDING_OUTPUT_LIMIT, 0);
    } else {
        item.output_left = left - (uint64_t)got;
    }
}

// Waits for a short item's end; false when nothing of it is left.
static bool wait_quietly(void)
{
    if (item.timeout_at != UINT64_MAX && item.timeout_at - item.started < 4 * BEAT_NANOSECONDS)
        return true;
    beat_start();
    while (!item.main_ended) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, __WALL, &usage);
        if (pid > 0)
            bury(pid, status, &usage);
        else if (errno != EINTR)
            return false;
        else if (monotonic_nanoseconds() - item.started >= quiet_nanoseconds)
            return true;
    }
    return collect();
}

// Milliseconds until something is due, rounded up; -1 = nothing is.
static int until(uint64_t due)
{
    if (due == UINT64_MAX)
        return -1;
    uint64_t now = monotonic_nanoseconds();
    if (now >= due)
        return 0;
    uint64_t milliseconds = (due - now + 999999) / 1000000;
    return milliseconds > 3600000 ? 3600000 : (int)milliseconds;
}

static void watch(uint64_t due)
{
    size_t room = link_room(&agent);
    bool reads = room >= 4096 && item.ending != MUSTER_ENDING_OUTPUT_LIMIT && !agent.lost;
    struct pollfd watched[4] = {
        {.fd = signals, .events = POLLIN},
        {.fd = agent.lost ? -1 : agent.socket},
        {.fd = reads ? item.pipes[0] : -1, .events = POLLIN},
        {.fd = reads ? item.pipes[1] : -1, .events = POLLIN},
    };
    if (link_takes_requests(&agent))
        watched[1].events |= POLLIN;
    if (link_unsent(&agent))
        watched[1].events |= POLLOUT;
    if (poll(watched, 4, until(due)) <= 0)
        return;
    if (watched[0].revents)
        signals_drain(signals);
    if (watched[1].revents & (POLLHUP | POLLERR))
        agent.lost = true;
    else if (watched[1].revents & POLLIN)
        link_receive(&agent, false);
    for (int which = 0; which < 2; which++) {
        room = link_room(&agent);
        if (watched[2 + which].revents && room >= 4096
            && item.ending != MUSTER_ENDING_OUTPUT_LIMIT)
            read_pipe(which, room < read_bytes ? room : read_bytes);
    }
    link_flush(&agent);
}

// Until nothing of the item is left.
static void outlive(void)
{
    bool alive = wait_quietly();
    if (alive) {
        beat_stop();
        link_flush(&agent);
    }
    uint64_t next_round = 0;
    while (alive) {
        uint64_t now = monotonic_nanoseconds();
        if (agent.lost)
            item.kill_at = 0;
        if (now >= item.timeout_at)
            stop_item(MUSTER_ENDING_TIMED_OUT, item.kill_grace);
        uint64_t due = item.timeout_at < item.kill_at ? item.timeout_at : item.kill_at;
        if (now >= item.kill_at) {
            if (now >= next_round) {
                tree_kill_round();
                next_round = soon((uint64_t)tree_patience(item.kill_round++) * 1000000);
            }
            due = next_round;
        }
        watch(due);
        alive = collect();
    }
}

// What was written before the end is in the pipes. Whoever else got hold of them from the item
// does not count, so this reads what is there now and no more.
static void drain(void)
{
    for (int which = 0; which < 2; which++) {
        int there = 0;
        ioctl(item.pipes[which], FIONREAD, &there);
        size_t left = there > 0 ? (size_t)there : 0;
        while (left > 0 && !agent.lost && item.ending != MUSTER_ENDING_OUTPUT_LIMIT) {
            size_t room = link_room(&agent);
            if (room < 4096) {
                struct pollfd watched = {.fd = agent.socket, .events = POLLOUT};
                if (link_takes_requests(&agent))
                    watched.events |= POLLIN;
                poll(&watched, 1, -1);
                if (watched.revents & (POLLHUP | POLLERR))
                    agent.lost = true;
                else if (watched.revents & POLLIN)
                    link_receive(&agent, false);
                link_flush(&agent);
                continue;
            }
            size_t limit = left < room ? left : room;
            uint64_t before = item.output_left;
            read_pipe(which, limit < read_bytes ? limit : read_bytes);
            uint64_t got = before - item.output_left;
            if (got == 0)
                break;
            left = left > got ? left - (size_t)got : 0;
        }
    }
}

void item_attend(void)
{
    outlive();
    drain();
}
