"""Bars of muster.auto that count items when they are done, not when they are sent.

In: how many items a facade has sent and how many of them are done. Out: updates of the bars whose
iterables the facade takes its items from. A bar finds the facade in one of two ways: the thread is
inside `pulling(progress)`, or joblib's dispatcher is among its callers (muster/auto.py).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, Iterator, List, Optional

_thread = threading.local()


class Progress:
    """The items of one call of a facade, and the bars that show them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._bars: List[Any] = []
        self._sent = 0
        self._done = 0

    def begin(self) -> None:
        """A call begins. Bars of the one before are closed."""
        with self._lock:
            self.end()
            self._sent = self._done = 0

    def watch(self, bar: Any) -> None:
        """`bar`, which has `handed`, `n`, `update` and `close`, shows this call from now on."""
        with self._lock:
            self._bars.append(bar)

    def sent(self, count: int) -> None:
        with self._lock:
            self._sent += count

    def done(self, count: int) -> None:
        with self._lock:
            self._done += count
            for bar in self._bars:
                self._show(bar)

    def _show(self, bar: Any) -> None:
        # Mostly one item of the bar is one item of the call. A filter behind the bar makes it
        # fewer; a nested loop makes it more, and then the bar moves in proportion.
        if bar.handed >= self._sent:
            count = min(self._done, bar.handed)
        else:
            count = bar.handed * self._done // self._sent
        if count > bar.n:
            bar.update(count - bar.n)

    def end(self) -> None:
        """The call is over: a bar all of whose items are done says so, and every bar closes."""
        with self._lock:
            bars, self._bars = self._bars, []
            complete = self._done >= self._sent
            for bar in bars:
                if complete and bar.handed > bar.n:
                    bar.update(bar.handed - bar.n)
                bar.close()


@contextmanager
def pulling(progress: Progress) -> Iterator[None]:
    """While the thread is in here, bars that are iterated belong to `progress`."""
    before = current()
    _thread.progress = progress
    try:
        yield
    finally:
        _thread.progress = before


def current() -> Optional[Progress]:
    """The call that takes items in this thread just now."""
    return getattr(_thread, "progress", None)
