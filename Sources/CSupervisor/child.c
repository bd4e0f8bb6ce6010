// The start of one item: from clone to execve. In: struct start, filled by supervisor.c. Out: a
// running command, or the stage and errno of what failed.
//
// The child borrows the supervisor's memory until it executes (CLONE_VM | CLONE_VFORK): no page
// table is copied, and a failure is told through plain memory. It therefore writes nothing but the
// struct, the spare argument slot and its own stack.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static char child_stack[65536] __attribute__((aligned(64)));
static char candidate[PATH_MAX];

static const char *search_path(char *const *environment)
{
    for (; *environment; environment++) {
        if (strncmp(*environment, "PATH=", 5) == 0)
            return *environment + 5;
    }
    return "/bin:/usr/bin";
}

// Returns only on failure, with errno set.
static void execute(struct start *start, const char *path)
{
    execve(path, start->arguments, start->environment);
    if (errno != ENOEXEC)
        return;
    // A script without an interpreter line: to be read by the shell, as execvp has it.
    char **arguments = start->arguments - 1;
    char *name = start->arguments[0];
    arguments[0] = "/bin/sh";
    arguments[1] = (char *)path;
    execve("/bin/sh", arguments, start->environment);
    start->arguments[0] = name;
}

// Tries each folder of the item's own PATH. A folder without the command is passed over; a command
// that may not be executed is remembered, for that is the better message if no other is found.
static void execute_by_search(struct start *start, const char *name)
{
    size_t name_length = strlen(name);
    bool refused = false;
    for (const char *folder = search_path(start->environment);; folder++) {
        const char *end = strchrnul(folder, ':');
        size_t length = (size_t)(end - folder);
        if (length + name_length + 3 <= sizeof candidate) {
            memcpy(candidate, folder, length);
            if (length == 0)
                candidate[length++] = '.';
            candidate[length] = '/';
            memcpy(candidate + length + 1, name, name_length + 1);
            execute(start, candidate);
            if (errno == EACCES)
                refused = true;
            else if (errno != ENOENT && errno != ENOTDIR && errno != ENODEV && errno != ESTALE
                     && errno != ETIMEDOUT && errno != ELOOP && errno != ENAMETOOLONG)
                return;
        }
        if (*end == '\0')
            break;
        folder = end;
    }
    errno = refused ? EACCES : ENOENT;
}

static int fail(struct start *start, int stage)
{
    start->failed_errno = errno;
    start->failed_stage = stage;
    _exit(127);
}

static int child_main(void *argument)
{
    struct start *start = argument;
    setsid();
    // Should the item kill its supervisor, it ends with it; the nursery takes care of the rest.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(start->directory) < 0)
        return fail(start, MUSTER_STAGE_DIRECTORY);
    if (start->nice != INT32_MIN && setpriority(PRIO_PROCESS, 0, start->nice) < 0)
        return fail(start, MUSTER_STAGE_NICE);
    // Standard input is the supervisor's own /dev/null.
    if (dup2(start->standard_output, 1) < 0 || dup2(start->standard_error, 2) < 0)
        return fail(start, MUSTER_STAGE_SPAWN);
    // All of the supervisor's descriptors close on exec.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const char *name = start->arguments[0];
    if (strchr(name, '/'))
        execute(start, name);
    else if (*name == '\0')
        errno = ENOENT;
    else
        execute_by_search(start, name);
    return fail(start, MUSTER_STAGE_EXEC);
}

pid_t child_start(struct start *start)
{
    start->failed_stage = 0;
    start->failed_errno = 0;
    return clone(child_main, child_stack + sizeof child_stack, CLONE_VM | CLONE_VFORK | SIGCHLD,
                 start);
}
