"""One run of Parallel on the cluster: a job, its calls, and the thread that tells joblib.

In: joblib's batches and their callbacks. Out: calls of one job of the engine. The callbacks do not
run in the engine's thread: joblib takes the next items from the user's iterator in them, which
may take as long as it likes, and the link must not wait. Next: runner/batches.py, on the worker.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from queue import SimpleQueue
from typing import Any, Callable, Dict, List, Optional, Tuple

from .._codec import large
from .._engine.sharing import SharingJob
from .._progress import Progress
from ..runner.batches import CALLS, SINGLE, THREAD_VARIABLES, Batch, limit_threads

large.found_inside("runner.batches")
Batch.__module__ = limit_threads.__module__ = "_muster.runner.batches"

Measured = Callable[[int, float, int], None]


class Failed:
    """A batch that could not be sent, as a call that has ended."""

    seconds = 0.0

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def result(self, timeout: Optional[float] = None) -> Any:
        raise self.error


class Session:
    """The job of one run; it is made at the first batch, whose function it is for."""

    def __init__(
        self,
        cluster: Any,
        level: int,
        max_running: int,
        inner_threads: Optional[int],
        options: Dict[str, Any],
        max_bytes: Optional[int],
        mmap_mode: Optional[str],
        measured: Measured,
    ) -> None:
        self.progress = Progress()
        self._cluster = cluster
        self._level = level
        self._max_running = max_running
        self._options = {"name": "joblib", **options}
        if inner_threads is not None:
            initializer = self._options.get("initializer")
            initargs = self._options.get("initargs", ())
            self._options["initializer"] = limit_threads
            self._options["initargs"] = (inner_threads, initializer, initargs)
        else:
            # As with loky, what the user has set here himself counts there.
            given = [name for name in THREAD_VARIABLES if name in os.environ]
            if given:
                self._options["environment"] = [f"{name}={os.environ[name]}" for name in given]
        # joblib's meaning of both: nothing is mapped without a limit or a mode.
        self._least_bytes = max_bytes if max_bytes and mmap_mode else 0
        self._mode = large.READ if mmap_mode == "r" else large.COPY
        self._measured = measured
        self._lock = threading.Lock()
        self._job: Any = None
        self._function: Any = None
        self._ended: SimpleQueue[Optional[Tuple[Any, int, Any]]] = SimpleQueue()
        self._teller: Optional[threading.Thread] = None
        self._open_calls = 0
        self._closed = False

    def submit(self, batch: Any, callback: Optional[Callable[[Any], None]]) -> Any:
        """Sends `batch` and sees to it that `callback` comes, also if it cannot be sent."""
        items: List[Any] = batch.items
        size = len(items)
        self.progress.sent(size)
        with self._lock:
            self._open_calls += 1
            if self._teller is None:
                self._teller = threading.Thread(
                    target=self._tell, name="muster-joblib", daemon=True
                )
                self._teller.start()
        ended = partial(self._end, size, callback)
        try:
            job = self._job or self._start(items[0][0])
            return job.call(args=_packed(items, self._function), callback=ended)
        except Exception as error:
            # joblib submits in its callbacks too, where an exception would be lost.
            call = Failed(error)
            ended(call)
            return call

    def _start(self, function: Any) -> Any:
        with self._lock:
            if self._closed:
                raise RuntimeError("This call of Parallel has ended; nothing more can be sent.")
            if self._job is None:
                self._function = function
                self._job = SharingJob(
                    self._cluster,
                    Batch(function, self._level),
                    {"ordered": False, "max_running": self._max_running, **self._options},
                    least_bytes=self._least_bytes,
                    mode=self._mode,
                    trusts=True,
                )
            return self._job

    def begin(self) -> None:
        """A call of Parallel begins; its function need not be that of the call before."""
        self.progress.begin()
        with self._lock:
            job = self._job
            if job is None or self._open_calls:
                return
            self._job = None
        job.close()

    def _end(self, size: int, callback: Optional[Callable[[Any], None]], call: Any) -> None:
        # In the engine's thread, or in whichever finds that a batch cannot be sent.
        self._ended.put((call, size, callback))

    def _tell(self) -> None:
        """The thread: one ended batch after the other goes to joblib."""
        while True:
            entry = self._ended.get()
            if entry is not None:
                call, size, callback = entry
                if call.seconds:
                    self._measured(size, call.seconds, getattr(call, "size", 0))
                self.progress.done(size)
                if callback is not None:
                    self._call_back(callback, call)
                # A batch's results must not live on here until the next one ends.
                del call, callback
            with self._lock:
                self._open_calls -= entry is not None
                if self._closed and self._open_calls == 0:
                    return
            del entry

    def _call_back(self, callback: Callable[[Any], None], call: Any) -> None:
        try:
            callback(call)
        except Exception:  # one broken callback must not leave all later batches without theirs
            details = (*sys.exc_info(), threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(details))

    def close(self) -> None:
        """No more batches will come. The runners stay warm."""
        self._finish(cancel=False)

    def cancel(self) -> None:
        """Cancels all batches; their callbacks come nevertheless."""
        self._finish(cancel=True)

    def _finish(self, cancel: bool) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            job, self._job = self._job, None
        if job is not None and cancel:
            job.cancel()
        elif job is not None:
            job.close()
        self.progress.end()
        self._ended.put(None)


def _packed(items: List[Any], function: Any) -> Tuple[int, List[Any]]:
    """The rows of a batch, without the function that has travelled with the job."""
    if all(own is function and len(a) == 1 and not k for own, a, k in items):
        return SINGLE, [args[0] for _, args, _ in items]
    return CALLS, [(None if own is function else own, a, k) for own, a, k in items]
