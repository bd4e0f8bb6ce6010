"""One item at a time. In: strides of a piece (piece.py). Out: values, failures and what was
printed (replies.py). Short items run in strides of about 2 ms, so that what is done for a stride
weighs nothing beside them; a tick of another thread sends what is ready while a long one runs."""

import threading
import time
from typing import Any, List

from .._codec import values as codec
from .._wire import segments
from . import failure
from .opening import Refusal
from .piece import Piece
from .replies import BAD_INPUT, BAD_VALUE, PART_BYTES, THREW, VALUE_BYTES, Replies

_STRIDE = 2_000_000
_LONGEST = 32_768
_SEGMENT = 256 << 10
_now = time.perf_counter_ns


class Lane:
    def __init__(self, index: int, memory: memoryview, replies: Replies, output: Any) -> None:
        self.index = index
        # Item + 1 and when it began, in the progress file.
        self.memory = memory[2 * index:2 * index + 2]
        self._replies = replies
        self._output = output
        # Guards what is below against the tick.
        self._lock = threading.Lock()
        self.piece: Any = None
        # The stride that runs: its items, and one past the last that may begin.
        self.start = self.end = self.limit = 0
        self._results: List[Any] = []
        self._first = 0
        self._mark = 0

    @property
    def item(self) -> int:
        return self.memory[0] - 1

    def run(self, piece: Piece, start: int, end: int) -> None:
        """Calls the function with items `start` to `end`."""
        job = piece.job
        with self._lock:
            self._results, self._first = [], start
        began = self._mark = _now()
        try:
            job.begin(self.index)
        except Refusal as refusal:
            for item in range(start, min(end, self.limit)):
                self._fail(piece, item, THREW, refusal)
            return
        if not job.clock:
            inputs = self._inputs(piece, start, end)
        else:
            inputs = self._clocked(self._inputs(piece, start, end))
        source, item = iter(inputs), start
        while True:
            try:
                self._loop(piece, source, item)
                break
            except _BadInput as bad:
                self.drain(piece, whole=True)
                item = self._first + 1
                self._fail(piece, self._first, BAD_INPUT, bad.error)
            except BaseException as error:
                self.drain(piece, whole=True)
                item = self._first + 1
                self._fail(piece, self._first, THREW, error)
            with self._lock:
                self._results, self._first = [], item
        self.drain(piece, whole=True)
        done = self._first - start
        self.memory[0] = 0
        if done > 0:
            each = max(1, (_now() - began) // done)
            job.pace = max(1, min(_STRIDE // each, 4 * job.pace, _LONGEST))

    def _loop(self, piece: Piece, source: Any, item: int) -> None:
        memory, call, append = self.memory, piece.job.call, self._results.append
        for value in source:
            item += 1
            memory[0] = item
            if item > self.limit:
                break
            append(call(value))

    def _inputs(self, piece: Piece, start: int, end: int) -> Any:
        inputs = piece.inputs(start, end)
        if isinstance(inputs, list) and inputs and isinstance(inputs[0], memoryview):
            return self._decoded(piece, inputs)
        return inputs

    def _decoded(self, piece: Piece, items: List[memoryview]) -> Any:
        load = piece.job.load_item
        return _Decoding(items, load)

    def _clocked(self, inputs: Any) -> Any:
        memory = self.memory
        for value in inputs:
            memory[1] = time.monotonic_ns()
            yield value

    # What came of it

    def drain(self, piece: Piece, whole: bool) -> None:
        """Sends values that are there. `whole`: the stride, or a part of it, is over."""
        with self._lock:
            count = len(self._results)
            now = _now()
            last = self._first + count - (0 if whole else 1)
            if whole:
                self._print(piece, max(self._first, last if last < self.end else last - 1))
            elif not self._output.is_empty():
                return
            if count == 0:
                return
            results = self._results[:count]
            del self._results[:count]
            first, self._first = self._first, self._first + count
            spent, self._mark = now - self._mark, now
            self._send(piece, first, results, spent)

    def _print(self, piece: Piece, last: int) -> None:
        if self._output.is_empty():
            return
        for item, (stdout, stderr) in self._output.take(last).items():
            if self.start <= item < self.end:
                self._replies.printed(piece.chunk, item, stdout, stderr)

    def _send(self, piece: Piece, first: int, results: List[Any], spent: int) -> None:
        numbers = codec.integers(results) if piece.job.is_native else None
        if numbers is not None:
            whole = memoryview(numbers).cast("B")
            head = segments.head_of_width(first, len(results), 8)
            return self._replies.values(piece.chunk, spent, [head, whole])
        each = spent // len(results)
        try:
            items = piece.job.encode(results)
            if sum(map(len, items)) <= _SEGMENT:
                return self._replies.values(
                    piece.chunk, spent, segments.of_items(first, items)[0])
        except BaseException:
            items = None  # one by one, to see which it was
        for place, value in enumerate(results):
            item = first + place
            try:
                data = items[place] if items is not None else piece.job.encode([value])[0]
                if len(data) > VALUE_BYTES:
                    raise ValueError(
                        f"the value has {len(data)} bytes; a value may have {VALUE_BYTES}: write "
                        "it into a file, or return it in parts")
            except BaseException as error:
                text = f"the value of type {type(value).__name__} cannot be returned: "
                wrapped = _as_value_error(error, text)
                self._fail(piece, item, BAD_VALUE, wrapped)
                continue
            if len(data) > PART_BYTES:
                self._replies.large_value(piece.chunk, item, each, data)
            else:
                self._replies.values(piece.chunk, each, segments.of_items(item, [data])[0])

    def _fail(self, piece: Piece, item: int, kind: int, error: BaseException) -> None:
        message, data = failure.of(error)
        error.__traceback__ = None
        self._print(piece, item)
        self._replies.failed(piece.chunk, item, 0, kind, message, data)


class _BadInput(BaseException):
    """An item's input does not decode here."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Decoding:
    """Decodes item by item, so that one that does not decode fails alone."""

    def __init__(self, items: List[memoryview], load: Any) -> None:
        self._items, self._load = iter(items), load

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        item = next(self._items)
        try:
            return self._load(item)
        except BaseException as error:
            raise _BadInput(error) from None


def _as_value_error(error: BaseException, text: str) -> BaseException:
    """The same kind of error, with what it was about in front."""
    try:
        import pickle

        return pickle.PicklingError(text + failure.words(error))
    except BaseException:
        return error
