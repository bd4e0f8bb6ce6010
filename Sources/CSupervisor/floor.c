// What starting and ending one program costs when nothing else is done: the floor that
// `muster benchmark` shows under everything that starts programs.
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

int muster_floor_run(const char *program, const char *argument)
{
    char *const arguments[] = {(char *)program, (char *)argument, NULL};
    // Nothing is undone between fork and exec here, so the child may borrow all memory.
    pid_t child = vfork();
    if (child == 0) {
        execve(program, arguments, environ);
        _exit(127);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return child > 0 ? status : -1;
}
