"""Who reads the link: its own thread, or a thread that waits for a result. In: who wants to.
Out: one of them at a time, and wakes for the others. Used by link.py."""

import os
import select
import threading
import time
from typing import Any, Callable, List, Optional


class Pipe:
    """Wakes a thread out of a poll."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)

    def wake(self) -> None:
        try:
            os.write(self._writer, b"x")
        except OSError:
            pass  # full: it will wake

    def drain(self) -> None:
        try:
            os.read(self.reader, 4096)
        except OSError:
            pass

    def __del__(self) -> None:
        for descriptor in (self.reader, self._writer):
            try:
                os.close(descriptor)
            except OSError:
                pass


class Turn:
    """The right to read. The link's thread has it by default and gives it to whoever waits. A
    thread that was interrupted (Ctrl-C) anywhere in here gets right again what it left."""

    def __init__(self) -> None:
        self._right = threading.RLock()
        self._wanted = 0
        # The waiting thread that reads; 0 = none.
        self._leader = 0
        self._left = 0.0
        self.leader_pipe = Pipe()
        self.thread_pipe = Pipe()
        self._poll = select.poll()
        self._poll.register(self.thread_pipe.reader, select.POLLIN)

    # A thread that waits

    def take(self) -> bool:
        """False where another waiting thread reads. Followed by `give_back` in any case."""
        me = threading.get_ident()
        if self._leader not in (0, me):
            return False
        if not self._right.acquire(blocking=False):
            self._wanted += 1
            try:
                self.thread_pipe.wake()
                if not self._right.acquire(timeout=0.2):
                    return False
            finally:
                self._wanted -= 1
        self._leader = me
        return True

    def give_back(self, others: bool) -> None:
        """Does nothing where this thread does not have it."""
        if self._leader == threading.get_ident():
            self._left = time.monotonic()
            self._leader = 0
        if self._right._is_owned():  # type: ignore[attr-defined]
            while self._right._is_owned():  # type: ignore[attr-defined]
                self._right.release()
            if others:
                self.thread_pipe.wake()

    def interrupt(self) -> None:
        """Whoever polls looks again at what there is to do."""
        if self._leader:
            self.leader_pipe.wake()
        else:
            self.thread_pipe.wake()

    # The link's thread

    def wake_thread(self) -> None:
        self.thread_pipe.wake()

    def lingers(self, seconds: float) -> bool:
        """Whether somebody reads, or did a moment ago and may again."""
        return bool(self._leader or self._wanted) or time.monotonic() - self._left < seconds

    def sleep(self) -> None:
        """Until something is to be done, or 3 ms."""
        if self._poll.poll(3):
            self.thread_pipe.drain()

    def take_thread(self) -> bool:
        return not self._wanted and self._right.acquire(blocking=False)

    def give_back_thread(self) -> None:
        self._right.release()


class Sleepers:
    """Threads that wait for one thing and do not read."""

    def __init__(self) -> None:
        self._locks: List[Any] = []

    def wake(self) -> None:
        locks, self._locks = self._locks, []
        for lock in locks:
            lock.release()

    def sleep(self, is_done: Callable[[], bool], guard: Any, deadline: Optional[float]) -> bool:
        """Waits to be woken, at most a little; False when the time is up."""
        lock = threading.Lock()
        lock.acquire()
        with guard:
            if is_done():
                return True
            self._locks.append(lock)
        left = 0.25 if deadline is None else min(0.25, deadline - time.monotonic())
        if left > 0:
            lock.acquire(timeout=left)
        with guard:
            if lock in self._locks:
                self._locks.remove(lock)
        return deadline is None or time.monotonic() < deadline or is_done()
