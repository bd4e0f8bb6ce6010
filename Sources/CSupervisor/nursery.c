// The nursery: the one process the agent forks, and the parent of all supervisors.
//
// In: one message per wanted slot, carrying the supervisor's end of a socket. Out: supervisors
// (supervisor.c). It is a subreaper: when an item kills its own supervisor, what is left of the
// item becomes a child of the nursery and is killed at once. When the agent goes away, everything
// below the nursery is killed, then it exits.
//
// Supervisors are started with SIGUSR1 as their exit signal, which makes them "clone children":
// a plain waitpid does not see them. So ECHILD proves that no orphan is left beside them.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// A fork without the C library's fork handlers: another thread may hold their locks for good.
static pid_t bare_fork(unsigned long exit_signal)
{
    return (pid_t)syscall(SYS_clone, exit_signal, 0, 0, 0, 0);
}

// One descriptor with its message; -1 at the agent's end, -2 when there is nothing to receive.
static int receive_descriptor(int connection)
{
    char byte;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec body = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &body,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    ssize_t got = recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR || errno == EMFILE || errno == ENFILE ? -2 : -1;
    if (got == 0)
        return -1;
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    if (!part || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
        return -2;
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(part), sizeof descriptor);
    return descriptor;
}

static void start_supervisor(int control)
{
    pid_t pid = bare_fork(SIGUSR1);
    if (pid == 0)
        supervisor_run(control);
    if (pid > 0)
        tree_spare(pid, true);
    // On failure this was the last copy: the agent reads end-of-file.
    close(control);
}

// Collects dead orphans; true while some live.
static bool orphans_left(void)
{
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid == 0)
            return true;
        if (pid < 0 && errno != EINTR)
            return false;
    }
}

static bool supervisors_left(void)
{
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG | __WCLONE);
        if (pid > 0)
            tree_spare(pid, false);
        if (pid == 0)
            return true;
        if (pid < 0 && errno != EINTR)
            return false;
    }
}

static _Noreturn void nursery_run(int connection)
{
    signals_take_over();
    setsid();
    prctl(PR_SET_NAME, "muster-nursery");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    // Descriptors 0 to 2 are /dev/null, so that neither a terminal nor a pipe of the agent's is
    // kept open, and an item's standard input is in place without a call.
    int null = open("/dev/null", O_RDWR);
    if (connection <= 3)
        connection = fcntl(connection, F_DUPFD_CLOEXEC, 4);
    for (int standard = 0; standard < 3; standard++)
        dup2(null, standard);
    dup3(connection, 3, O_CLOEXEC);
    connection = 3;
    close_from(4);
    if (chdir("/") < 0)
        _exit(1);
    int signals = signals_descriptor((int[]){SIGCHLD, SIGUSR1}, 2);

    bool closing = false;
    unsigned round = 0;
    uint64_t next_round = 0;
    for (;;) {
        bool busy = supervisors_left() && closing;
        busy |= orphans_left();
        if (closing && !busy)
            _exit(0);
        int timeout = -1;
        if (busy) {
            uint64_t now = monotonic_nanoseconds();
            if (now >= next_round) {
                tree_kill_round();
                next_round = now + (uint64_t)tree_patience(round++) * 1000000u;
            }
            timeout = 1 + (int)((next_round - now) / 1000000u);
        } else {
            round = 0;
            next_round = 0;
        }
        struct pollfd watched[2] = {
            {.fd = signals, .events = POLLIN},
            {.fd = closing ? -1 : connection, .events = POLLIN},
        };
        poll(watched, 2, timeout);
        if (watched[0].revents)
            signals_drain(signals);
        if (watched[1].revents) {
            int control = receive_descriptor(connection);
            if (control >= 0) {
                start_supervisor(control);
            } else if (control == -1) {
                closing = true;
                tree_spare_none();
            }
        }
    }
}

int muster_nursery_start(unsigned flags, int *connection, pid_t *pid)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return errno;
    // None of the agent's handlers may run in the child.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // No exit signal: the nursery's end is no business of other waiters in the agent.
    pid_t child = bare_fork(0);
    if (child == 0) {
        tree_scan_proc((flags & MUSTER_NURSERY_SCAN_PROC) != 0);
        nursery_run(ends[1]);
    }
    int failure = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return failure;
    }
    *connection = ends[0];
    *pid = child;
    return 0;
}

int muster_nursery_request(int connection, int *slot)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return errno;
    char byte = 0;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec body = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &body,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(part), &ends[1], sizeof(int));
    ssize_t sent;
    do
        sent = sendmsg(connection, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    int failure = errno;
    close(ends[1]);
    if (sent < 0) {
        close(ends[0]);
        return failure;
    }
    *slot = ends[0];
    return 0;
}

int muster_nursery_wait(pid_t pid)
{
    while (waitpid(pid, NULL, __WALL) < 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}
