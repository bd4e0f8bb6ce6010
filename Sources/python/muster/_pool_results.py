"""What a pool's methods give before all is there: AsyncResult, MapResult, IMapIterator, as in
multiprocessing. In: calls and streams of the engine. Out: values, in the caller's own time.
Comes from pool.py."""

import builtins
import threading
import time
from multiprocessing import TimeoutError
from typing import Any, Callable, Iterator, List, Optional

from ._engine.stream import Failure, Stream
from ._link.waiting import Sleepers

_builtin_timeout = builtins.TimeoutError


class AsyncResult:
    """What `apply_async` gives."""

    def __init__(
        self, pool: Any, callback: Optional[Callable], error_callback: Optional[Callable]
    ) -> None:
        self._pool, self._callback, self._error_callback = pool, callback, error_callback
        self._call: Any = None
        self._listens = callback is not None or error_callback is not None
        # Who waits sees what a callback did; a callback itself does not wait for its own end.
        self._told = threading.Event()
        self._teller = 0

    def _finished(self, _: Any = None) -> None:
        """On the link's thread, once."""
        self._teller = threading.get_ident()
        try:
            error = self._error()
            if error is None and self._callback is not None:
                self._callback(self._value())
            elif error is not None and self._error_callback is not None:
                self._error_callback(error)
        finally:
            self._told.set()

    def _is_told(self, timeout: Optional[float] = 0) -> bool:
        """Whether callbacks, if there are any, have been called."""
        return not self._listens or self._teller == threading.get_ident() \
            or self._told.wait(timeout)

    def _error(self) -> Optional[BaseException]:
        return self._call.exception()

    def _value(self) -> Any:
        return self._call.result()

    def wait(self, timeout: Optional[float] = None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        self._wait(timeout)
        if self._is_over():
            self._is_told(None if end is None else max(0.0, end - time.monotonic()))

    def _wait(self, timeout: Optional[float]) -> None:
        self._call.wait(timeout)

    def _is_over(self) -> bool:
        return self._call.done()

    def ready(self) -> bool:
        return self._is_over() and self._is_told()

    def successful(self) -> bool:
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._error() is None

    def get(self, timeout: Optional[float] = None) -> Any:
        self.wait(timeout)
        if not self.ready():
            raise TimeoutError
        error = self._error()
        if error is not None:
            raise error
        return self._value()


class Gathering(Stream):
    """A stream whose values are kept as they come, for a result that is asked for later."""

    whole: Callable[[], None]

    over: Sleepers

    def values(self, run: Any) -> None:
        super().values(run)
        self.line.acknowledge(run.bytes)

    def record(self, record: Any) -> None:
        super().record(record)
        self.line.acknowledge(record.bytes)

    def _finish(self, error: Optional[BaseException]) -> None:
        was_over = self._is_over
        super()._finish(error)
        if not was_over:
            self.cluster.link.later(self.whole)

    def acknowledge(self, size: int) -> None:
        """It was when it came."""


class MapResult(AsyncResult):
    """What `map_async` and `starmap_async` give."""

    def __init__(self, pool: Any, callback: Any, error_callback: Any) -> None:
        super().__init__(pool, callback, error_callback)
        self._stream: Any = None
        self._list: Optional[List[Any]] = None
        self._first_error: Optional[BaseException] = None
        self._loading = threading.RLock()

    def _load(self) -> None:
        with self._loading:
            if self._list is not None:
                return
            found: List[Any] = []
            try:
                while True:
                    batch = self._stream.next_batch()
                    if batch is None:
                        break
                    found += batch
                for failure in found:
                    if type(failure) is Failure:
                        self._first_error = failure.error
                        break
            except BaseException as error:
                self._first_error = error
            self._list = found

    def _error(self) -> Optional[BaseException]:
        self._load()
        return self._first_error

    def _value(self) -> Any:
        self._load()
        return self._list

    def _wait(self, timeout: Optional[float]) -> None:
        self._stream.cluster.link.wait(self._is_over, self._stream.over, timeout)

    def _is_over(self) -> bool:
        return self._stream.is_over


class IMapIterator:
    """What `imap` and `imap_unordered` give: `next(timeout)`, and the rest after a failure."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._batch: Iterator[Any] = iter(())

    def __iter__(self) -> "IMapIterator":
        return self

    def next(self, timeout: Optional[float] = None) -> Any:
        for value in self._batch:
            if type(value) is Failure:
                raise value.error
            return value
        try:
            batch = self._stream.next_batch(timeout)
        except (TimeoutError, _builtin_timeout):
            raise TimeoutError from None
        if batch is None:
            raise StopIteration
        self._batch = iter(batch)
        return self.next(timeout)

    __next__ = next

    def __del__(self) -> None:
        try:
            self._stream.cancel()
        except Exception:
            pass  # the interpreter ends
