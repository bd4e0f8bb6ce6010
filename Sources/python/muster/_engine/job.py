"""One function on the cluster and a stream of calls of it: a streamed, unordered job that stays
open. In: arguments. Out: calls (call.py). What leaves within one turn of the interpreter leaves
together; results go straight from the reader to those who wait."""

import threading
import time
from typing import Any, Callable, Dict, List, Optional

from .._codec import function as payload
from .._codec import stable, values
from .._link.line import JobLine, Receiver
from .._wire import frames, records, segments
from ..errors import ClusterError
from . import failures
from .call import Call

# While fewer calls are out, one leaves at once; otherwise so many leave together.
_AT_ONCE = 64
_TOGETHER = 1024


class Job(Receiver):
    def __init__(self, cluster: Any, function: Optional[Callable], options: Dict[str, Any]) -> None:
        self.cluster = cluster
        self.name = options.get("name") or name_of(function)
        self._on_result = options.pop("on_result", None)
        self._function, self._options = function, options
        self._line: Optional[JobLine] = None
        self._calls: Dict[int, Call] = {}
        self._next = 0
        # Calls that are to leave together.
        self._waiting: List[bytes] = []
        self._waiting_bytes = 0
        # By identity; the function itself keeps the identity its own.
        self._pickled: Dict[int, Any] = {}
        self.loading = threading.RLock()
        self._is_closed = False
        self._error: Optional[ClusterError] = None

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    # Calls

    def call(
        self, args: tuple = (), kwargs: Optional[Dict[str, Any]] = None,
        callback: Optional[Callable[[Call], Any]] = None,
    ) -> Call:
        """Calls the function with these arguments. Returns at once; `callback(call)` runs once,
        on the link's thread, however the call ends."""
        return self._submit(values.dump((args, kwargs or {})), Call, callback)

    def call_packed(
        self, data: bytes, callback: Optional[Callable[[Call], Any]] = None
    ) -> Call:
        """The same with arguments that are an item already (sharing.py)."""
        return self._submit(data, Call, callback)

    def apply(
        self, function: Callable, args: tuple = (), kwargs: Optional[Dict[str, Any]] = None,
        callback: Optional[Callable[[Call], Any]] = None, make: Callable[..., Call] = Call,
    ) -> Call:
        """Calls another function each time, in a job that was made without one. What cannot be
        pickled is this call's failure."""
        try:
            data = values.dump((self._pickle(function), args, kwargs or {}))
        except Exception as error:
            call = make(self, -1, callback)
            call.finish("failed", error=error)
            return call
        return self._submit(data, make, callback)

    def _pickle(self, function: Callable) -> bytes:
        parts = stable.parts(function)
        if parts is None:
            return values.pickled(function)
        known = self._pickled.get(id(function))
        if known is None or not stable.same(parts, known[0]):
            if len(self._pickled) > 64:
                self._pickled.clear()
            known = self._pickled[id(function)] = (parts, values.pickled(function), function)
        return known[1]

    def _submit(
        self, data: bytes, make: Callable[..., Call], callback: Optional[Callable[[Call], Any]]
    ) -> Call:
        if len(data) > frames.ITEM_INPUT_BYTES:
            raise ClusterError(
                f"the arguments of {self.name} have {len(data)} bytes; they may have "
                f"{frames.ITEM_INPUT_BYTES}: give the larger ones in `fixed`, or a file", "limit")
        with self.cluster.link.lock:
            if self._is_closed:
                raise ClusterError(f"the job {self.name} takes no more calls", "usage")
            if self._error is not None:
                raise self._error
            line = self._line or self._start()
            item = self._next
            self._next += 1
            call = make(self, item, callback, len(data))
            self._calls[item] = call
            waiting = self._waiting
            waiting.append(data)
            self._waiting_bytes += len(data)
            if len(self._calls) - len(waiting) < _AT_ONCE or len(waiting) >= _TOGETHER \
                    or self._waiting_bytes >= frames.BATCH_BYTES:
                self.flush()
            elif len(waiting) == 1:
                self.cluster.link.flush_soon(self)
        return call

    def flush(self) -> None:
        """Sends calls that were gathered. With the link's lock held."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if waiting and self._line is not None:
            first = self._next - len(waiting)
            buffers, size = segments.of_items(first, waiting)
            self._line.add(first, len(waiting), buffers, size - segments.HEAD.size)

    def _start(self) -> JobLine:
        line = self.cluster.line(
            self._function, payload.CALL if self._function else payload.APPLY, self._options,
            self, name=self.name, array=None, ordered=False)
        self._line = line
        self.cluster.link.start(line)
        return line

    @property
    def open_calls(self) -> int:
        """Calls that are not over."""
        return len(self._calls)

    def is_among_oldest(self, call: Call, most: int) -> bool:
        """Whether fewer than `most` calls that are not over are older. They begin in order."""
        with self.cluster.link.lock:
            for place, item in enumerate(self._calls):
                if place >= most:
                    return False
                if item == call.item:
                    return True
        return False

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Whether all calls are over, at the latest after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self.cluster.link.lock:
                call = next(reversed(self._calls.values()), None)
            if call is None:
                return True
            left = None if end is None else end - time.monotonic()
            if not call.wait(left):
                return False

    def close(self) -> None:
        """No more calls; the job ends when all are over."""
        with self.cluster.link.lock:
            if not self._is_closed:
                self._is_closed = True
                self.flush()
                if self._line is not None:
                    self._line.end()

    def cancel(self) -> None:
        """Ends all calls that are not over, as cancelled."""
        with self.cluster.link.lock:
            self._is_closed = True
            self._waiting = []
            if self._line is not None:
                self._line.cancel()
                self._line.end()
            calls, self._calls = self._calls, {}
            for call in calls.values():
                call.finish("cancelled", error=self._cancelled(call.item))

    def cancel_call(self, call: Call) -> bool:
        with self.cluster.link.lock:
            if call.done():
                return False
            self._calls.pop(call.item, None)
            call.finish("cancelled", error=self._cancelled(call.item))
            self.flush()
            if self._line is not None:
                self._line.cancel([(call.item, call.item + 1)])
            return True

    def _cancelled(self, item: int) -> BaseException:
        return failures.Cancelled(f"item {item} of {self.name} was cancelled", item)

    # Results

    def values(self, run: records.ValueRun) -> None:
        segment = run.segment
        each = run.nanoseconds / segment.count / 1e9
        calls = self._calls
        for item, data in enumerate(segments.items(segment), segment.first):
            call = calls.pop(item, None)
            if call is None:
                continue
            call._worker, call.attempt, call.seconds = run.worker, run.attempt, each
            # A copy where little of a large frame would keep the whole of it.
            call.finish("succeeded", data if len(data) > 65536 else bytes(data))
        self._line.acknowledge(run.bytes)  # type: ignore[union-attr]

    def record(self, record: records.Record) -> None:
        self._line.acknowledge(record.bytes)  # type: ignore[union-attr]
        call = self._calls.pop(record.item, None)
        if call is None:
            return
        call._worker, call.attempt = record.worker, record.attempt
        call.seconds = record.nanoseconds / 1e9
        call.stdout = bytes(record.stdout).decode("utf-8", "replace")
        call.stderr = bytes(record.stderr).decode("utf-8", "replace")
        if (call.stdout or call.stderr) and record.ending != records.RUNNER_DIED:
            self.cluster.show(call.stdout, call.stderr)
        state = records.STATES[record.state]
        if record.state == records.SUCCEEDED:
            call.finish(state, record.value)
        else:
            call.finish(state, error=failures.of(record, call.worker, self.name))

    def ended(self, summary: Dict[str, Any]) -> None:
        self._lose(failures.cancelled_from_elsewhere(self.name, summary))

    def lost(self, error: ClusterError) -> None:
        self._lose(error)

    def _lose(self, error: ClusterError) -> None:
        self._error = error
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.finish("lost", error=error)


def name_of(function: Optional[Callable]) -> str:
    if function is None:
        return "calls"
    while hasattr(function, "func"):
        function = function.func
    return getattr(function, "__name__", None) or type(function).__name__


