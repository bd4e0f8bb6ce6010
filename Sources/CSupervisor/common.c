// Small parts that nursery and supervisor share. Next: nursery.c.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

bool region_reserve(struct region *region, size_t bytes)
{
    if (bytes <= region->capacity)
        return true;
    size_t capacity = region->capacity ? region->capacity : 65536;
    while (capacity < bytes)
        capacity *= 2;
    void *base = region->base
        ? mremap(region->base, region->capacity, capacity, MREMAP_MAYMOVE)
        : mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return false;
    region->base = base;
    region->capacity = capacity;
    return true;
}

uint64_t monotonic_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t wall_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t saturating_add(uint64_t left, uint64_t right)
{
    uint64_t sum;
    return __builtin_add_overflow(left, right, &sum) ? UINT64_MAX : sum;
}

void signals_take_over(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    // The bare call, for the C library keeps two signals to itself and refuses to reset them, yet
    // whoever started the agent may have ignored them. All zero is SIG_DFL on every architecture.
    unsigned long plain[8] = {0};
    for (int number = 1; number <= 64; number++)
        syscall(SYS_rt_sigaction, number, plain, NULL, 8);
}

int signals_descriptor(const int *signals, size_t count)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t at = 0; at < count; at++)
        sigaddset(&set, signals[at]);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void signals_drain(int descriptor)
{
    struct signalfd_siginfo arrived[4];
    while (read(descriptor, arrived, sizeof arrived) == (ssize_t)sizeof arrived) {
    }
}

static volatile sig_atomic_t beaten;
static bool beating;

static void beat(int number)
{
    (void)number;
    beaten = 1;
}

static void beat_every(long microseconds)
{
    struct itimerval period = {{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &period, NULL);
}

void beat_start(void)
{
    if (beating)
        return;
    beating = true;
    struct sigaction action = {.sa_handler = beat};
    sigaction(SIGALRM, &action, NULL);
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm, NULL);
    beat_every(BEAT_NANOSECONDS / 1000);
}

void beat_stop(void)
{
    if (!beating)
        return;
    beating = false;
    beat_every(0);
    beaten = 0;
}

bool beat_came(void)
{
    bool came = beaten != 0;
    beaten = 0;
    return came;
}

void close_from(int first)
{
    if (close_range((unsigned)first, ~0u, 0) == 0)
        return;
    struct rlimit limit;
    int end = 65536;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < 1 << 20)
        end = (int)limit.rlim_max;
    for (int descriptor = first; descriptor < end; descriptor++)
        close(descriptor);
}

int muster_usable_cores(void)
{
    // The kernel writes as many bytes as it has cores for; the C library's type stops at 1,024.
    unsigned long mask[1024];
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int cores = 0;
    for (long at = 0; at < bytes / (long)sizeof mask[0]; at++)
        cores += __builtin_popcountl(mask[at]);
    return cores;
}

char *const *muster_environment(void)
{
    return environ;
}
