/// A wall clock of a process's own, which a test sets while the process runs: seconds beside the
/// true time, or a time that stands still. Monotonic clocks stay true, as where somebody sets a
/// machine's clock. In goes a file with two numbers; a library that is loaded before the C
/// library's functions reads them at each call.

import Glibc

final class FalseClock {
    /// Some more than ten years, so that no certificate of today is valid.
    static let tenYears: Int64 = 10 * 366 * 86_400

    /// Words before a program's own, to start it with this clock.
    let words: [String]
    private let file: Int32

    /// - Throws: `HarnessError` where there is no C compiler.
    init(_ name: String, in directory: TemporaryDirectory) throws {
        let library = directory("clock.so")
        if !File.exists(library) {
            let source = directory("clock.c")
            try File.write(Self.source, to: source)
            let built = try Shell.run(
                ["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"],
                environment: ["PATH": "/usr/local/bin:/usr/bin:/bin"])
            guard built.status == 0 else { throw HarnessError("no false clock: \(built.notes)") }
        }
        let path = directory("clock-\(name)")
        try File.write([UInt8](repeating: 0, count: 16), to: path)
        file = open(path, O_WRONLY | O_CLOEXEC)
        words = ["env", "LD_PRELOAD=\(library)", "MUSTER_FALSE_CLOCK=\(path)"]
    }

    deinit { close(file) }

    /// So many seconds after the true time, or before it.
    func shift(_ seconds: Int64) { set(seconds, 0) }

    /// It stands where it is.
    func freeze() { set(0, Int64(time(nil))) }

    private func set(_ offset: Int64, _ frozen: Int64) {
        let numbers = [offset, frozen]
        _ = numbers.withUnsafeBytes { pwrite(file, $0.baseAddress, 16, 0) }
    }

    /// Waits until a wall-clock time are made what they would be by the true clock.
    private static let source = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <fcntl.h>
        #include <pthread.h>
        #include <semaphore.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <time.h>
        #include <unistd.h>

        static volatile long long *numbers;

        __attribute__((constructor)) static void begin(void) {
            const char *path = getenv("MUSTER_FALSE_CLOCK");
            int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
            if (file < 0) return;
            void *map = mmap(0, 16, PROT_READ, MAP_SHARED, file, 0);
            if (map != MAP_FAILED) numbers = map;
            close(file);
        }

        static int wall(struct timespec *t) {
            int code = syscall(SYS_clock_gettime, CLOCK_REALTIME, t);
            if (numbers && numbers[1]) { t->tv_sec = numbers[1]; t->tv_nsec = 0; }
            else if (numbers) t->tv_sec += numbers[0];
            return code;
        }

        static struct timespec truth(const struct timespec *t) {
            struct timespec now, false_now, when = *t;
            wall(&false_now);
            syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
            when.tv_sec += now.tv_sec - false_now.tv_sec;
            when.tv_nsec += now.tv_nsec - false_now.tv_nsec;
            if (when.tv_nsec < 0) { when.tv_nsec += 1000000000; when.tv_sec--; }
            if (when.tv_nsec >= 1000000000) { when.tv_nsec -= 1000000000; when.tv_sec++; }
            return when;
        }

        int clock_gettime(clockid_t clock, struct timespec *t) {
            if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) return wall(t);
            return syscall(SYS_clock_gettime, clock, t);
        }

        int gettimeofday(struct timeval *restrict t, void *restrict zone) {
            struct timespec now;
            (void)zone;
            if (wall(&now)) return -1;
            t->tv_sec = now.tv_sec;
            t->tv_usec = now.tv_nsec / 1000;
            return 0;
        }

        time_t time(time_t *t) {
            struct timespec now;
            wall(&now);
            if (t) *t = now.tv_sec;
            return now.tv_sec;
        }

        int sem_timedwait(sem_t *restrict s, const struct timespec *restrict t) {
            static int (*real)(sem_t *, const struct timespec *);
            if (!real) real = dlsym(RTLD_NEXT, "sem_timedwait");
            struct timespec when = truth(t);
            return real(s, &when);
        }

        int pthread_cond_timedwait(
            pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
            const struct timespec *restrict t) {
            static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
            if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
            if (!real) real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
            /* So few seconds are a monotonic clock's. */
            struct timespec when = t->tv_sec < 100000000 ? *t : truth(t);
            return real(c, m, &when);
        }
        """
}
