// Launch requests and ended events as bytes; the layout is in CSupervisor.h. Both ends are one
// binary, so a frame that does not parse is a broken agent and ends the supervisor.
#define _GNU_SOURCE
#include "internal.h"

#include <string.h>

static struct region pointers;

bool frame_launch(uint8_t *frame, struct start *start)
{
    uint32_t arguments = load32(frame + 44);
    uint32_t environment = load32(frame + 48);
    uint8_t *at = frame + MUSTER_LAUNCH_HEADER_BYTES;
    uint8_t *end = frame + 4 + load32(frame);
    uint64_t strings = (uint64_t)arguments + environment + 1;
    if (arguments == 0 || strings > (uint64_t)(end - at)
        || !region_reserve(&pointers, (strings + 3) * sizeof(char *)))
        return false;
    char **to = (char **)pointers.base;
    *to++ = NULL; // room for the shell's name
    start->arguments = to;
    for (uint64_t count = 0; count < strings; count++) {
        uint8_t *after = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
        if (!after)
            return false;
        if (count == 0)
            start->directory = (char *)at;
        else
            *to++ = (char *)at;
        if (count == arguments) {
            *to++ = NULL;
            start->environment = to;
        }
        at = after + 1;
    }
    *to = NULL;
    memcpy(&start->nice, frame + 40, sizeof start->nice);
    return at == end;
}

void frame_ended(uint8_t *frame, const struct ended *ended)
{
    const struct rusage *usage = &ended->usage;
    uint64_t seconds = (uint64_t)usage->ru_utime.tv_sec + (uint64_t)usage->ru_stime.tv_sec;
    uint64_t micros = (uint64_t)usage->ru_utime.tv_usec + (uint64_t)usage->ru_stime.tv_usec;
    uint64_t cpu = seconds * 1000000000u + micros * 1000u;
    uint64_t peak = (uint64_t)usage->ru_maxrss * 1024u;
    uint32_t length = MUSTER_ENDED_BYTES - 4;
    memset(frame, 0, MUSTER_ENDED_BYTES);
    memcpy(frame, &length, 4);
    frame[4] = MUSTER_EVENT_ENDED;
    frame[5] = ended->ending;
    frame[6] = ended->stage;
    memcpy(frame + 8, &ended->code, 4);
    memcpy(frame + 12, &ended->serial, 8);
    memcpy(frame + 20, &ended->wall, 8);
    memcpy(frame + 28, &cpu, 8);
    memcpy(frame + 36, &peak, 8);
    memcpy(frame + 44, &ended->start, 8);
}
