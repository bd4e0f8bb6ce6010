"""multiprocessing.Pool and multiprocessing.pool.ThreadPool on a cluster: the same methods and
results. In: functions and iterables. Out: lists, iterators, AsyncResults. Each map is a map of the
engine (_engine/stream.py), all applies of a pool are calls of one job (_engine/job.py)."""

import time
import warnings
import weakref
from multiprocessing import TimeoutError
from typing import Any, Callable, Iterable, List, Optional

from ._engine.call import Call
from ._engine.cluster import Cluster, default, pool_options
from ._engine.job import Job
from ._engine.stream import Failure, Stream
from ._link.waiting import Sleepers
from ._pool_results import AsyncResult, Gathering, IMapIterator, MapResult
from .errors import ClusterError

__all__ = ["AsyncResult", "Pool", "ThreadPool", "TimeoutError"]

RUN, CLOSE, TERMINATE = "RUN", "CLOSE", "TERMINATE"


class Pool:
    """Processes on the cluster's workers, one for each slot. `processes` bounds how many items run
    at once; nothing = all slots."""

    _threads = False

    def __init__(
        self, processes: Optional[int] = None, initializer: Optional[Callable] = None,
        initargs: Iterable[Any] = (), maxtasksperchild: Optional[int] = None, context: Any = None,
        *, cluster: Optional[Cluster] = None,
    ) -> None:
        if processes is not None and processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if maxtasksperchild is not None and (
                not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
            raise ValueError("maxtasksperchild must be a positive int or None")
        self._cluster = cluster or default()
        self._options = pool_options(
            self._threads, initializer, initargs, slots=processes,
            items_per_runner=maxtasksperchild)
        self._state = RUN
        self._job: Optional[Job] = None
        self._streams: List[Any] = []
        self._pools.add(self)

    _pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()

    def _check_running(self) -> None:
        if self._state != RUN:
            raise ValueError("Pool not running")

    def _stream(
        self, func: Callable, iterable: Iterable[Any], chunksize: Optional[int], *,
        spread: bool = False, ordered: bool = True, **more: Any,
    ) -> Stream:
        self._check_running()
        if chunksize is not None and chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize}")
        stream = self._cluster.stream(
            func, iterable, chunk=chunksize if chunksize and chunksize > 1 else None,
            spread=spread, ordered=ordered, **more, **self._options)
        self._streams = [one for one in self._streams if not one.is_over]
        self._streams.append(stream)
        return stream

    # Calls

    def apply(self, func: Callable, args: tuple = (), kwds: Optional[dict] = None) -> Any:
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self, func: Callable, args: tuple = (), kwds: Optional[dict] = None,
        callback: Optional[Callable] = None, error_callback: Optional[Callable] = None,
    ) -> AsyncResult:
        self._check_running()
        if self._job is None:
            self._job = self._cluster.job(None, **self._options, name="applies")
        result = AsyncResult(self, callback, error_callback)
        listens = callback is not None or error_callback is not None

        def finished(call: Call) -> None:
            result._call = call
            result._finished()

        result._call = self._job.apply(
            func, tuple(args), kwds or {}, finished if listens else None)
        return result

    # Maps

    def map(
        self, func: Callable, iterable: Iterable[Any], chunksize: Optional[int] = None
    ) -> List[Any]:
        return self._all(self._stream(func, _sized(iterable), chunksize))

    def starmap(
        self, func: Callable, iterable: Iterable[Any], chunksize: Optional[int] = None
    ) -> List[Any]:
        return self._all(self._stream(func, _sized(iterable), chunksize, spread=True))

    @staticmethod
    def _all(stream: Stream) -> List[Any]:
        found: List[Any] = []
        failure: Any = None
        try:
            while True:
                batch = stream.next_batch()
                if batch is None:
                    break
                if len(batch) == 1 and failure is None and type(batch[0]) is Failure:
                    failure = batch[0].error
                found += batch
        finally:
            stream.cancel()
        if failure is not None:
            raise failure
        return found

    def map_async(
        self, func: Callable, iterable: Iterable[Any], chunksize: Optional[int] = None,
        callback: Optional[Callable] = None, error_callback: Optional[Callable] = None,
    ) -> MapResult:
        return self._later(func, iterable, chunksize, callback, error_callback, False)

    def starmap_async(
        self, func: Callable, iterable: Iterable[Any], chunksize: Optional[int] = None,
        callback: Optional[Callable] = None, error_callback: Optional[Callable] = None,
    ) -> MapResult:
        return self._later(func, iterable, chunksize, callback, error_callback, True)

    def _later(
        self, func: Callable, iterable: Iterable[Any], chunksize: Optional[int],
        callback: Any, error_callback: Any, spread: bool,
    ) -> MapResult:
        result = MapResult(self, callback, error_callback)

        def make(*args: Any) -> Gathering:
            result._stream = stream = Gathering(*args)
            stream.over = Sleepers()
            stream.whole = whole
            return stream

        def whole() -> None:
            result._stream.over.wake()
            if callback is not None or error_callback is not None:
                result._finished()

        self._stream(func, _sized(iterable), chunksize, spread=spread, make=make)
        return result

    def imap(
        self, func: Callable, iterable: Iterable[Any], chunksize: Optional[int] = 1
    ) -> IMapIterator:
        return IMapIterator(self._stream(func, iterable, chunksize))

    def imap_unordered(
        self, func: Callable, iterable: Iterable[Any], chunksize: Optional[int] = 1
    ) -> IMapIterator:
        return IMapIterator(self._stream(func, iterable, chunksize, ordered=False))

    # Ends

    def close(self) -> None:
        if self._state == RUN:
            self._state = CLOSE
            if self._job is not None:
                self._job.close()

    def terminate(self) -> None:
        """Ends what runs at once."""
        self._state = TERMINATE
        try:
            if self._job is not None:
                self._job.cancel()
            for stream in self._streams:
                stream.cancel()
        except ClusterError:
            pass  # it is gone

    def join(self) -> None:
        """Waits until all that was asked for is done."""
        if self._state == RUN:
            raise ValueError("Pool is still running")
        if self._job is not None:
            self._job.wait()
        for stream in self._streams:
            while not stream.is_over:
                time.sleep(0.01)

    def __enter__(self) -> "Pool":
        self._check_running()
        return self

    def __exit__(self, *_: Any) -> None:
        self.terminate()

    def __del__(self) -> None:
        if getattr(self, "_state", None) == RUN:
            warnings.warn(
                f"unclosed running multiprocessing pool {self!r}", ResourceWarning, source=self)

    def __reduce__(self) -> Any:
        raise NotImplementedError(
            "pool objects cannot be passed between processes or pickled")


class ThreadPool(Pool):
    """Threads of one process on each worker."""

    _threads = True

    def __init__(
        self, processes: Optional[int] = None, initializer: Optional[Callable] = None,
        initargs: Iterable[Any] = (), *, cluster: Optional[Cluster] = None,
    ) -> None:
        super().__init__(processes, initializer, initargs, cluster=cluster)


def _sized(iterable: Iterable[Any]) -> Iterable[Any]:
    """Ranges and lists as they are, anything else as a list, as the standard library does."""
    return iterable if isinstance(iterable, (range, list, tuple)) else list(iterable)
