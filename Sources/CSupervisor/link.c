// The supervisor's side of a slot's socket. In: launch and kill requests. Out: output and ended
// events, gathered so that a short item costs one write. Next: supervisor.c.
//
// Kill and drop requests overtake launches: they are acted on as soon as they arrive, also when
// they stand behind launches that wait, and then mark the launches they mean. Nothing here blocks
// except a receive that was asked to wait.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// The zero at this place of a launch tells what became of it.
enum { MARK = 5 };
enum { STARTED = 1, KILLED = 2, DROPPED = 3 };

static void lose(struct link *link)
{
    link->lost = true;
}

static void hear_kill(struct link *link, const uint8_t *frame)
{
    uint64_t serial = load64(frame + 8);
    if (link->kill_running(serial, load64(frame + 16)))
        return;
    for (size_t at = link->start; at < link->scanned; at += 4 + load32(link->in.base + at)) {
        uint8_t *waiting = link->in.base + at;
        if (waiting[4] == MUSTER_REQUEST_LAUNCH && waiting[MARK] == 0
            && load64(waiting + 8) == serial)
            waiting[MARK] = KILLED;
    }
}

static void hear_drop(struct link *link, const uint8_t *frame)
{
    uint64_t first = load64(frame + 8);
    uint64_t end = load64(frame + 16);
    if (link->owes_dropped || first > end) {
        lose(link);
        return;
    }
    link->owes_dropped = true;
    link->dropped_first = end;
    link->dropped_end = end;
    for (size_t at = link->start; at < link->scanned; at += 4 + load32(link->in.base + at)) {
        uint8_t *waiting = link->in.base + at;
        uint64_t serial = load64(waiting + 8);
        if (waiting[4] != MUSTER_REQUEST_LAUNCH || waiting[MARK] == STARTED
            || waiting[MARK] == DROPPED || serial < first || serial >= end)
            continue;
        waiting[MARK] = DROPPED;
        link->waiting--;
        if (serial < link->dropped_first)
            link->dropped_first = serial;
    }
}

static void tell_dropped(struct link *link)
{
    if (!link->owes_dropped || LINK_OUT_BYTES - link->filled < MUSTER_DROPPED_BYTES)
        return;
    uint8_t *frame = link->out + link->filled;
    uint32_t length = MUSTER_DROPPED_BYTES - 4;
    memset(frame, 0, MUSTER_DROPPED_BYTES);
    memcpy(frame, &length, 4);
    frame[4] = MUSTER_EVENT_DROPPED;
    memcpy(frame + 8, &link->dropped_first, 8);
    memcpy(frame + 16, &link->dropped_end, 8);
    link->filled += MUSTER_DROPPED_BYTES;
    link->owes_dropped = false;
}

// Moves `scanned` over every complete frame.
static void scan(struct link *link)
{
    while (!link->lost && link->end - link->scanned >= 8) {
        const uint8_t *frame = link->in.base + link->scanned;
        uint32_t body = load32(frame);
        bool launch = frame[4] == MUSTER_REQUEST_LAUNCH && body >= MUSTER_LAUNCH_HEADER_BYTES - 4
            && body <= MUSTER_LAUNCH_MAX_BYTES;
        bool kill = frame[4] == MUSTER_REQUEST_KILL && body == MUSTER_KILL_BYTES - 4;
        bool drop = frame[4] == MUSTER_REQUEST_DROP && body == MUSTER_DROP_BYTES - 4;
        if (!launch && !kill && !drop) {
            lose(link);
            return;
        }
        if (link->end - link->scanned < 4 + (size_t)body) {
            if (!region_reserve(&link->in, link->scanned + 4 + body))
                lose(link);
            return;
        }
        if (kill)
            hear_kill(link, frame);
        else if (drop)
            hear_drop(link, frame);
        else
            link->waiting++;
        link->scanned += 4 + body;
    }
}

// Waiting launches may fill this much; more wait in the socket.
static const size_t in_limit = 2 * (size_t)MUSTER_LAUNCH_MAX_BYTES + 65536;

bool link_takes_requests(const struct link *link)
{
    return link->end < in_limit;
}

void link_receive(struct link *link, bool wait)
{
    if (link->start > 0 && (link->start == link->scanned || link->start >= 65536)) {
        memmove(link->in.base, link->in.base + link->start, link->end - link->start);
        link->scanned -= link->start;
        link->end -= link->start;
        link->start = 0;
    }
    if (!region_reserve(&link->in, link->end + 4096)) {
        lose(link);
        return;
    }
    ssize_t got = recv(link->socket, link->in.base + link->end, link->in.capacity - link->end,
                       wait ? 0 : MSG_DONTWAIT);
    if (got > 0) {
        link->end += (size_t)got;
        scan(link);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        lose(link);
    }
}

uint8_t *link_next_launch(struct link *link, bool *killed)
{
    while (link->start < link->scanned) {
        uint8_t *frame = link->in.base + link->start;
        if (frame[4] == MUSTER_REQUEST_LAUNCH && frame[MARK] != DROPPED) {
            *killed = frame[MARK] == KILLED;
            frame[MARK] = STARTED;
            link->waiting--;
            return frame;
        }
        link->start += 4 + load32(frame);
    }
    return NULL;
}

void link_launch_done(struct link *link)
{
    link->start += 4 + load32(link->in.base + link->start);
}

size_t link_room(struct link *link)
{
    if (link->sent == link->filled) {
        link->sent = 0;
        link->filled = 0;
    }
    size_t kept = MUSTER_ENDED_BYTES + MUSTER_OUTPUT_HEADER_BYTES;
    if (LINK_OUT_BYTES - link->filled < kept + 65536 && link->sent >= 65536) {
        memmove(link->out, link->out + link->sent, link->filled - link->sent);
        link->filled -= link->sent;
        link->sent = 0;
    }
    size_t room = LINK_OUT_BYTES - link->filled;
    return room > kept ? room - kept : 0;
}

ssize_t link_output(struct link *link, int pipe, uint8_t kind, size_t limit, uint64_t keep)
{
    uint8_t *frame = link->out + link->filled;
    ssize_t got = read(pipe, frame + MUSTER_OUTPUT_HEADER_BYTES, limit);
    if (got <= 0 || keep == 0)
        return got;
    uint32_t kept = (uint64_t)got > keep ? (uint32_t)keep : (uint32_t)got;
    uint32_t length = kept + 1;
    memcpy(frame, &length, sizeof length);
    frame[4] = kind;
    link->filled += MUSTER_OUTPUT_HEADER_BYTES + kept;
    return got;
}

void link_ended(struct link *link, const uint8_t *frame)
{
    // An ended event without output before it (a launch killed while waiting) may find no room.
    while (LINK_OUT_BYTES - link->filled < MUSTER_ENDED_BYTES && !link->lost) {
        if (link_room(link) > 0)
            break;
        struct pollfd watched = {.fd = link->socket, .events = POLLOUT};
        poll(&watched, 1, -1);
        if (watched.revents & (POLLHUP | POLLERR))
            lose(link);
        link_flush(link);
    }
    if (link->lost)
        return;
    memcpy(link->out + link->filled, frame, MUSTER_ENDED_BYTES);
    link->filled += MUSTER_ENDED_BYTES;
}

void link_flush(struct link *link)
{
    tell_dropped(link);
    while (link->sent < link->filled && !link->lost) {
        ssize_t sent = send(link->socket, link->out + link->sent, link->filled - link->sent,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR)
                lose(link);
            return;
        }
        link->sent += (size_t)sent;
    }
}

bool link_unsent(const struct link *link)
{
    return link->owes_dropped || link->sent < link->filled;
}
