"""A map: inputs in, values out in order, whole segments at a time, back-pressure both ways.
In: an iterable. Out: lists of values. Ranges of int never become inputs; lists are encoded as
credit comes, by whoever reads the link; other iterables are read on a thread of their own, as far
ahead as workers take inputs. Uses _link/line.py."""

import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterator, List, Optional

from .._codec import values
from .._link.line import JobLine, Receiver
from .._link.waiting import Sleepers
from .._wire import frames, records
from ..errors import ClusterError
from . import failures
from .call import undecodable

# Values that are encoded together; of an iterator that is slow fewer.
_STRIDE = 32_768


class Failure:
    """In the place of a value: the item's exception."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Stream(Receiver):
    def __init__(
        self, cluster: Any, name: str, show: bool = True,
        on_done: Optional[Callable[[int], Any]] = None,
    ) -> None:
        self.cluster, self.name = cluster, name
        # Items that have ended: as the coordinator counts them, and as told to `on_done`.
        self._on_done, self._ended, self._came, self._told = on_done, 0, 0, 0
        # The first item of the batch that was handed out last.
        self.first = 0
        self._handed, self._ahead = 0, None
        self.line: JobLine = None  # type: ignore[assignment]
        self._arrived: Deque[Any] = deque()
        self._sleepers = Sleepers()
        self._is_over = False
        self._error: Optional[BaseException] = None
        self._show = show
        self._source: Any = None
        self._source_error: Optional[BaseException] = None
        self._at = 0
        self._room = threading.Condition(cluster.link.lock)
        self.summary: Dict[str, Any] = {}

    # Inputs

    def feed_list(self, source: Any) -> None:
        with self.cluster.link.lock:
            self._source = source
            self._feed_on()

    def _feed_on(self) -> None:
        """Encodes as much of a list as may go out. With the lock held."""
        line, source = self.line, self._source
        try:
            while source is not None and not line.inputs.is_full:
                part = source[self._at:self._at + _STRIDE]
                if not len(part):
                    self._source = source = None
                    line.end()
                    break
                self._encode(part)
        except Exception as error:
            self._source = None
            self._fail(error)

    def _encode(self, part: Any) -> None:
        for buffers, size, count in values.encode_in_batches(self._at, part, frames.BATCH_BYTES):
            if size > frames.ITEM_INPUT_BYTES:
                raise ClusterError(
                    f"input {self._at} of {self.name} has {size} bytes; an item's may have "
                    f"{frames.ITEM_INPUT_BYTES}: give it in a file, or as a fixed argument",
                    "limit")
            self.line.add(self._at, count, buffers, size)
            self._at += count

    def feed_iterator(self, source: Iterator[Any], ahead: Optional[int] = None) -> None:
        """`ahead`: items that may be out and not taken by the caller."""
        self._ahead = ahead
        threading.Thread(
            target=self._feed_from, args=(source,), name="muster-inputs", daemon=True).start()

    def _feed_from(self, source: Iterator[Any]) -> None:
        import time
        from itertools import islice

        stride = 1
        try:
            while True:
                with self._room:
                    while self.line.inputs.is_full and not self._is_over:
                        self._room.wait()
                    while self._ahead and self._at - self._handed >= self._ahead \
                            and not self._is_over:
                        self._room.wait()
                    if self._is_over:
                        return
                    most = stride if not self._ahead else \
                        min(stride, self._ahead - (self._at - self._handed))
                start = time.perf_counter()
                part: List[Any] = []
                try:
                    part.extend(islice(source, most))
                except Exception as error:
                    # What was read before has its values; then comes the error.
                    self._source_error = error
                spent = time.perf_counter() - start
                if part:
                    with self.cluster.link.lock:
                        self._encode(part)
                if len(part) < most or self._source_error is not None:
                    break
                stride = max(1, stride // 4) if spent > 0.002 else min(2 * stride, _STRIDE)
            with self.cluster.link.lock:
                self.line.end()
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self.cluster.link.lock:
            if not self._is_over:
                self.line.cancel()
                self.line.end()
                self._finish(error)

    def room(self) -> None:
        if self._source is not None:
            self._feed_on()
        else:
            self._room.notify_all()

    # Results, with the lock held

    def values(self, run: records.ValueRun) -> None:
        self._arrived.append(run)
        self._sleepers.wake()
        if self._on_done is not None:
            self._came += run.segment.count
            self._tell(self._came)

    def record(self, record: records.Record) -> None:
        self._arrived.append(record)
        self._sleepers.wake()
        if self._on_done is not None:
            self._came += 1
            self._tell(self._came)

    def _tell(self, ended: int) -> None:
        if ended > self._ended:
            self._ended = ended
            self.cluster.link.later(self._say)

    def _say(self) -> None:
        more = self._ended - self._told
        if more > 0 and self._on_done is not None:
            self._told += more
            self._on_done(more)

    def progress(self, summary: Dict[str, Any]) -> None:
        if self._on_done is not None:
            self._tell(sum(summary.get(state, 0) for state in records.STATES[2:]))

    def ended(self, summary: Dict[str, Any]) -> None:
        self.summary = summary
        self.progress(summary)
        cancelled = summary.get("cancelled", 0) > 0
        self._finish(failures.cancelled_from_elsewhere(self.name, summary) if cancelled
                     else self._source_error)

    def lost(self, error: ClusterError) -> None:
        self._finish(error)

    def _finish(self, error: Optional[BaseException]) -> None:
        self._is_over = True
        self._error = self._error or error
        self._source = None
        self._room.notify_all()
        self._sleepers.wake()

    # For the caller

    def _has_news(self) -> bool:
        return bool(self._arrived) or self._is_over

    def next_batch(self, timeout: Optional[float] = None) -> Optional[List[Any]]:
        """Some values, in the order of the job; a Failure for an item that failed. None at the
        end. Raises TimeoutError, and what ended the job."""
        if not self._arrived and not self._has_news():
            if not self.cluster.link.wait(self._has_news, self._sleepers, timeout):
                raise TimeoutError(f"no value of {self.name} came within {timeout:g} s")
        try:
            result = self._arrived.popleft()
        except IndexError:
            if self._error is not None:
                raise self._error from None
            return None
        if isinstance(result, records.ValueRun):
            self.first = result.segment.first
            try:
                batch = values.decode(result.segment)
            except Exception as error:
                raise undecodable(error, self.name) from error
        else:
            self.first = result.item
            batch = [self._of_record(result)]
        with self.cluster.link.lock:
            self.acknowledge(result.bytes)
            self._handed += len(batch)
            if self._ahead:
                self._room.notify_all()
        return batch

    def acknowledge(self, size: int) -> None:
        self.line.acknowledge(size)

    @property
    def is_over(self) -> bool:
        """All has come, or nothing more will."""
        return self._is_over

    def _of_record(self, record: records.Record) -> Any:
        if self._show and record.ending != records.RUNNER_DIED \
                and (len(record.stdout) or len(record.stderr)):
            self.cluster.show(bytes(record.stdout).decode("utf-8", "replace"),
                              bytes(record.stderr).decode("utf-8", "replace"))
        if record.state == records.SUCCEEDED:
            try:
                return values.load(record.value)
            except Exception as error:
                raise undecodable(error, self.name) from error
        worker = self.cluster.link.workers.get(record.worker)
        return Failure(failures.of(record, worker, self.name))

    def cancel(self) -> None:
        """Nobody wants the rest: what waits is dropped, what runs is stopped."""
        with self.cluster.link.lock:
            if not self._is_over:
                self.line.cancel()
                self.line.end()
                self._finish(None)
                self.line.abandon()


def iterate(
    stream: Stream, collect: bool, timeout: Optional[Callable[[], Optional[float]]],
    indexed: bool = False, translate: Optional[Callable[[BaseException], BaseException]] = None,
) -> Iterator[Any]:
    """The values of a stream one by one; the first failure ends it unless `collect`."""
    try:
        while True:
            batch = stream.next_batch(timeout() if timeout else None)
            if batch is None:
                return
            if len(batch) == 1 and type(batch[0]) is Failure:
                if not collect:
                    error = batch[0].error
                    raise translate(error) if translate is not None else error
                batch[0] = batch[0].error
            if indexed:
                yield from enumerate(batch, stream.first)
            elif type(batch[0]) is int:
                yield from batch
            else:
                # The caller alone decides how long a value stays in memory.
                batch.reverse()
                while batch:
                    yield batch.pop()
    finally:
        stream.cancel()
