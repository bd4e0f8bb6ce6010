"""concurrent.futures on a cluster: the same names, real futures. In: functions and arguments.
Out: futures that `wait` and `as_completed` of the standard library take. One job of _engine/job.py
serves all submits of an executor; `map` is the engine's own map."""

import atexit
import concurrent.futures
import weakref
from concurrent.futures import (ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, CancelledError,
                                Executor, as_completed, wait)
from typing import Any, Callable, Iterable, Iterator, Optional

from ._engine.call import Call
from ._engine.cluster import Cluster, default, pool_options
from ._engine.job import Job
from .errors import CannotStart, ClusterError, RunnerDied

__all__ = ["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION", "CancelledError", "Executor",
           "Future", "ProcessPoolExecutor", "ThreadPoolExecutor", "TimeoutError", "as_completed",
           "wait"]

TimeoutError = concurrent.futures.TimeoutError
_PENDING, _RUNNING, _CANCELLED = "PENDING", "RUNNING", "CANCELLED"
_NOTIFIED, _FINISHED = "CANCELLED_AND_NOTIFIED", "FINISHED"


class _FutureCall(Call):
    """A call that a future looks at; it tells the future only where somebody listens."""

    __slots__ = ("future",)
    future: "Future"

    def finish(self, state: str, data: Any = None, error: Optional[BaseException] = None) -> None:
        super().finish(state, data, error)
        future = getattr(self, "future", None)
        if future is not None and future._is_heard():
            self._job.cluster.link.later(future._announce)


class Future(concurrent.futures.Future):
    """A call's future. The cluster's own facts are in `worker`, `attempt`, `seconds`, `stdout` and
    `stderr`."""

    def __init__(self, call: Optional[_FutureCall] = None, owner: Any = None) -> None:
        self._call = call
        self._owner = owner
        self._own_state = _PENDING
        super().__init__()
        if call is not None:
            call.future = self
            if call.done():
                self._announce()

    # What the standard library reads and sets.
    @property
    def _state(self) -> str:  # type: ignore[override]
        own = self._own_state
        if own == _PENDING and self._call is not None and self._call.done():
            return _FINISHED
        return own

    @_state.setter
    def _state(self, state: str) -> None:
        self._own_state = state

    def _is_heard(self) -> bool:
        with self._condition:  # who begins to listen now has seen the end, or is seen
            return bool(self._waiters or self._done_callbacks)

    def _announce(self) -> None:
        with self._condition:
            if self._own_state not in (_PENDING, _RUNNING):
                return
            self._own_state = _FINISHED
            failed = self._call is not None and self._call._error is not None
            for waiter in self._waiters:
                (waiter.add_exception if failed else waiter.add_result)(self)
            self._condition.notify_all()
        self._invoke_callbacks()

    def running(self) -> bool:
        return self._state == _PENDING and self._owner is not None and \
            self._owner._probably_runs(self._call)

    def cancel(self) -> bool:
        """False where it is over, or probably runs already."""
        if self._call is None:
            return super().cancel()
        if self._own_state in (_CANCELLED, _NOTIFIED):
            return True
        if self.running() or self._call.done():
            return False
        return self._drop()

    def _drop(self) -> bool:
        with self._condition:
            if self._state != _PENDING:
                return self._state in (_CANCELLED, _NOTIFIED)
            self._own_state = _NOTIFIED
            for waiter in self._waiters:
                waiter.add_cancelled(self)
            self._condition.notify_all()
        self._call.cancel()  # type: ignore[union-attr]
        self._invoke_callbacks()
        return True

    def result(self, timeout: Optional[float] = None) -> Any:
        self._wait(timeout)
        error = self._failure()
        if error is not None:
            try:
                raise error
            finally:
                # The traceback would hold this frame, which holds the error.
                error = None
        return self._call.result()  # type: ignore[union-attr]

    def exception(self, timeout: Optional[float] = None) -> Optional[BaseException]:
        self._wait(timeout)
        return self._failure()

    def _wait(self, timeout: Optional[float]) -> None:
        if self._own_state in (_CANCELLED, _NOTIFIED):
            raise CancelledError()
        if self._call is None or not self._call.wait(timeout):
            raise TimeoutError()
        if self._own_state in (_CANCELLED, _NOTIFIED):
            raise CancelledError()

    def _failure(self) -> Optional[BaseException]:
        error = self._call.exception()  # type: ignore[union-attr]
        if isinstance(error, (RunnerDied, CannotStart)) and self._owner is not None:
            return self._owner._broken(error)
        if self._call.state == "cancelled":  # type: ignore[union-attr]
            raise CancelledError()
        return error

    worker = property(lambda self: self._call.worker)
    attempt = property(lambda self: self._call.attempt)
    seconds = property(lambda self: self._call.seconds)
    stdout = property(lambda self: self._call.stdout)
    stderr = property(lambda self: self._call.stderr)


class _ClusterExecutor(Executor):
    _threads = False

    def __init__(
        self, max_workers: Optional[int], initializer: Optional[Callable], initargs: tuple,
        max_tasks_per_child: Optional[int], cluster: Optional[Cluster],
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError("max_tasks_per_child must be an integer")
            if max_tasks_per_child <= 0:
                raise ValueError("max_tasks_per_child must be >= 1")
        self._cluster = cluster
        self._options = pool_options(
            self._threads, initializer, initargs, slots=max_workers,
            items_per_runner=max_tasks_per_child)
        self._max_workers = max_workers
        self._job: Optional[Job] = None
        self._is_shut = False
        self._streams: "weakref.WeakSet[Any]" = weakref.WeakSet()
        self._futures: "weakref.WeakSet[Future]" = weakref.WeakSet()
        self._slots: Optional[int] = None
        _executors.add(self)

    def _open(self) -> Cluster:
        if self._is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if self._cluster is None:
            self._cluster = default()
        return self._cluster

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        cluster = self._open()
        if self._job is None:
            self._job = cluster.job(None, **self._options, name="submits")
        future = Future(self._job.apply(fn, args, kwargs, make=_FutureCall), self)
        self._futures.add(future)
        return future

    def map(
        self, fn: Callable, *iterables: Iterable[Any], timeout: Optional[float] = None,
        chunksize: int = 1, buffersize: Optional[int] = None,
    ) -> Iterator[Any]:
        """As the standard library's. `chunksize` 1 leaves the choice to the cluster, which goes
        by measured time."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None:
            if not isinstance(buffersize, int):
                raise TypeError("buffersize must be an integer or None")
            if buffersize < 1:
                raise ValueError("buffersize must be None or > 0")
        cluster = self._open()
        if not iterables:
            return iter(())
        return cluster.map(
            fn, *iterables, chunk=chunksize if chunksize > 1 else None, buffer=buffersize,
            total_timeout=timeout, translate=self._failure, **self._options)

    def _probably_runs(self, call: Any) -> bool:
        """Calls begin in order, so the oldest ones that are not over run."""
        if self._slots is None:
            try:
                self._slots = self._cluster.slots  # type: ignore[union-attr]
            except ClusterError:
                return False
        most = min(self._slots, self._max_workers or self._slots)
        return self._job is not None and self._job.is_among_oldest(call, most)

    def _failure(self, error: BaseException) -> BaseException:
        return self._broken(error) if isinstance(error, (RunnerDied, CannotStart)) else error

    def _broken(self, error: BaseException) -> BaseException:
        """The standard library's error for a dead process, with this one's facts."""
        from concurrent.futures import BrokenExecutor
        from concurrent.futures.thread import BrokenThreadPool

        base: type = BrokenThreadPool
        if not self._threads:
            from concurrent.futures.process import BrokenProcessPool

            base = BrokenProcessPool
        if isinstance(error, BrokenExecutor):
            return error
        kind = type(type(error).__name__, (type(error), base), {})
        made = kind(*error.__reduce__()[1])
        made.__cause__ = error.__cause__
        return made

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._is_shut = True
        if cancel_futures:
            for future in list(self._futures):
                future.cancel()
        if self._job is not None:
            self._job.close()
            if wait:
                self._job.wait()

    def terminate_workers(self) -> None:
        """Ends what runs at once; futures that are not over are cancelled."""
        self._is_shut = True
        for future in list(self._futures):
            if not future.done():
                future._drop()
        if self._job is not None:
            self._job.cancel()

    kill_workers = terminate_workers


class ProcessPoolExecutor(_ClusterExecutor):
    """Calls run in processes on the cluster's workers, one for each slot."""

    def __init__(
        self, max_workers: Optional[int] = None, mp_context: Any = None,
        initializer: Optional[Callable] = None, initargs: tuple = (), *,
        max_tasks_per_child: Optional[int] = None, cluster: Optional[Cluster] = None,
    ) -> None:
        """`mp_context` is taken and means nothing here: processes belong to workers."""
        super().__init__(max_workers, initializer, initargs, max_tasks_per_child, cluster)


class ThreadPoolExecutor(_ClusterExecutor):
    """Calls run in threads of one process on each worker: for work that waits, or that lets go of
    the interpreter."""

    _threads = True

    def __init__(
        self, max_workers: Optional[int] = None, thread_name_prefix: str = "",
        initializer: Optional[Callable] = None, initargs: tuple = (), *,
        cluster: Optional[Cluster] = None,
    ) -> None:
        super().__init__(max_workers, initializer, initargs, None, cluster)


_executors: "weakref.WeakSet[_ClusterExecutor]" = weakref.WeakSet()


@atexit.register
def _finish_all() -> None:
    """As in the standard library, what was submitted is done before the program ends."""
    for executor in list(_executors):
        try:
            executor.shutdown()
        except ClusterError:
            pass
