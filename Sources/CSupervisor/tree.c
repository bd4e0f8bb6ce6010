// Everything below the calling process: found, stopped, killed. In: /proc. Out: signals.
//
// Callers are subreapers, so what an item starts stays below them whatever it does: setsid and
// double forks change session and parent, not the ancestor. A round freezes the tree from the top
// down and then kills it. A process with a stop signal pending cannot complete a fork, so once a
// process is stopped its list of children is whole. What slips through (a parent that dies while
// being read hands its children up) is found by the next round; callers repeat until waitpid says
// ECHILD, and that is the proof.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// The kernel's hard limit for process ids.
#define PID_LIMIT (1 << 22)
#define FREEZE_PASSES 16

// A set with its members in the order of arrival.
struct pid_set {
    uint8_t bits[PID_LIMIT / 8];
    struct region members;
    size_t count;
};

struct linux_dirent64 {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

struct process {
    pid_t pid;
    pid_t parent;
};

static struct pid_set found;
static struct pid_set frozen;
static uint8_t spared[PID_LIMIT / 8];
static bool scan_always;

static bool bit(const uint8_t *bits, pid_t pid)
{
    return bits[pid / 8] >> (pid % 8) & 1;
}

static pid_t member(const struct pid_set *set, size_t at)
{
    return ((const pid_t *)set->members.base)[at];
}

// False when it was there already, or is no process id, or there is no memory left (then a later
// round finds it).
static bool insert(struct pid_set *set, pid_t pid)
{
    if (pid <= 0 || pid >= PID_LIMIT || bit(set->bits, pid))
        return false;
    if (!region_reserve(&set->members, (set->count + 1) * sizeof(pid_t)))
        return false;
    set->bits[pid / 8] |= (uint8_t)(1 << pid % 8);
    ((pid_t *)set->members.base)[set->count++] = pid;
    return true;
}

static void empty(struct pid_set *set)
{
    for (size_t at = 0; at < set->count; at++)
        set->bits[member(set, at) / 8] = 0;
    set->count = 0;
}

static void find(pid_t pid)
{
    if (pid > 0 && pid < PID_LIMIT && !bit(spared, pid))
        insert(&found, pid);
}

static char *put_text(char *at, const char *text)
{
    size_t length = strlen(text);
    memcpy(at, text, length + 1);
    return at + length;
}

static char *put_number(char *at, pid_t number)
{
    char digits[12];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count)
        *at++ = digits[--count];
    *at = '\0';
    return at;
}

// 0 when the name is not a number.
static pid_t number_of(const char *text)
{
    pid_t number = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || number >= PID_LIMIT)
            return 0;
        number = number * 10 + (*text - '0');
    }
    return number;
}

static bool read_children(const char *path)
{
    int list = open(path, O_RDONLY | O_CLOEXEC);
    if (list < 0)
        return false;
    char text[4096];
    ssize_t got;
    pid_t pid = 0;
    while ((got = read(list, text, sizeof text)) > 0) {
        for (ssize_t at = 0; at < got; at++) {
            if (text[at] >= '0' && text[at] <= '9' && pid < PID_LIMIT) {
                pid = pid * 10 + (text[at] - '0');
            } else {
                find(pid);
                pid = 0;
            }
        }
    }
    find(pid);
    close(list);
    return true;
}

// Calls `visit` for every entry of the folder whose name is a number.
static void each_number(const char *folder, void (*visit)(pid_t number, char *path, char *path_end))
{
    int entries = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (entries < 0)
        return;
    char path[64];
    char *end = put_text(put_text(path, folder), "/");
    char block[8192] __attribute__((aligned(16)));
    long got;
    while ((got = syscall(SYS_getdents64, entries, block, sizeof block)) > 0) {
        for (long at = 0; at < got;) {
            const struct linux_dirent64 *entry = (const void *)(block + at);
            pid_t number = number_of(entry->name);
            if (number > 0)
                visit(number, path, put_number(end, number));
            at += entry->length;
        }
    }
    close(entries);
}

static void visit_thread(pid_t number, char *path, char *path_end)
{
    (void)number;
    put_text(path_end, "/children");
    read_children(path);
}

static struct region table;
static size_t table_count;

static void visit_process(pid_t number, char *path, char *path_end)
{
    put_text(path_end, "/stat");
    int stat = open(path, O_RDONLY | O_CLOEXEC);
    if (stat < 0)
        return;
    char text[256];
    ssize_t got = read(stat, text, sizeof text - 1);
    close(stat);
    if (got <= 0 || !region_reserve(&table, (table_count + 1) * sizeof(struct process)))
        return;
    text[got] = '\0';
    // pid (name) state parent …; the name may hold anything, also parentheses.
    const char *close_mark = strrchr(text, ')');
    if (!close_mark || strlen(close_mark) < 5)
        return;
    pid_t parent = 0;
    for (const char *at = close_mark + 4; *at >= '0' && *at <= '9' && parent < PID_LIMIT; at++)
        parent = parent * 10 + (*at - '0');
    ((struct process *)table.base)[table_count++] = (struct process){number, parent};
}

static void find_in_table(pid_t parent)
{
    for (size_t at = 0; at < table_count; at++) {
        struct process process = ((struct process *)table.base)[at];
        if (process.parent == parent)
            find(process.pid);
    }
}

// One walk from the top down; `signal_one` is called for each before its children are read.
static void walk(void (*signal_one)(pid_t pid))
{
    empty(&found);
    bool scan = scan_always || !read_children("/proc/thread-self/children");
    if (scan) {
        table_count = 0;
        each_number("/proc", visit_process);
        find_in_table(getpid());
    }
    for (size_t at = 0; at < found.count; at++) {
        pid_t pid = member(&found, at);
        signal_one(pid);
        if (scan) {
            find_in_table(pid);
        } else {
            char folder[40];
            put_text(put_number(put_text(folder, "/proc/"), pid), "/task");
            each_number(folder, visit_thread);
        }
    }
}

static void terminate_one(pid_t pid)
{
    kill(pid, SIGTERM);
    kill(pid, SIGCONT);
}

static void freeze_one(pid_t pid)
{
    if (insert(&frozen, pid))
        kill(pid, SIGSTOP);
}

void tree_scan_proc(bool always)
{
    scan_always = always;
}

void tree_spare(pid_t child, bool spare)
{
    if (child <= 0 || child >= PID_LIMIT)
        return;
    uint8_t mark = (uint8_t)(1 << child % 8);
    spared[child / 8] = (uint8_t)(spare ? spared[child / 8] | mark : spared[child / 8] & ~mark);
}

void tree_spare_none(void)
{
    memset(spared, 0, sizeof spared);
}

void tree_terminate(void)
{
    walk(terminate_one);
}

void tree_kill_round(void)
{
    empty(&frozen);
    size_t before;
    unsigned passes = 0;
    do {
        before = frozen.count;
        walk(freeze_one);
    } while (frozen.count > before && ++passes < FREEZE_PASSES);
    for (size_t at = 0; at < frozen.count; at++)
        kill(member(&frozen, at), SIGKILL);
}

int tree_patience(unsigned round)
{
    return round < 6 ? 1 << round : 50;
}
