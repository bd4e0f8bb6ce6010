"""What a client needs to come back to a job after its connection was cut: inputs that may be
wanted again, and what has come of the results. In: segments and results as they pass. Out: what to
send, and the words of an `attach`. Pure values; line.py drives them."""

from bisect import bisect_left
from collections import deque
from typing import Any, Deque, Dict, List, NamedTuple, Optional

from .._wire import frames, segments
from ..errors import ClusterError


class Kept(NamedTuple):
    first: int
    end: int
    buffers: List[Any]
    bytes: int


class KeptInputs:
    """Segments from their making until the coordinator has them on disk."""

    def __init__(self, keeps: bool = True) -> None:
        """`keeps`: the coordinator says what it has recorded, and there is coming back to it."""
        self._keeps = keeps
        self._segments: Deque[Kept] = deque()
        self.bytes = 0
        self.end = 0
        self.has_ended = False
        self.recorded = 0
        # Of the segments, how many were sent over this connection; and bytes of the others.
        self._sent = 0
        self.unsent_bytes = 0
        self._cut_at = 0
        self._end_is_sent = False

    @property
    def is_full(self) -> bool:
        """Nobody should make more now."""
        return self.bytes >= frames.KEPT_INPUT_BYTES or \
            self.unsent_bytes >= frames.INPUT_AHEAD_BYTES

    def add(self, first: int, count: int, buffers: List[Any], size: int) -> None:
        self._segments.append(Kept(first, first + count, buffers, size))
        self.bytes += size
        self.unsent_bytes += size
        self.end = first + count

    def record(self, item: int) -> None:
        self.recorded = max(self.recorded, item)
        while self._sent and self._segments[0].end <= self.recorded:
            self.bytes -= self._segments.popleft().bytes
            self._sent -= 1

    def next(self) -> Optional[Kept]:
        """The next segment to send, which counts as sent."""
        if self._sent >= len(self._segments):
            return None
        kept = self._segments[self._sent]
        self._sent += 1
        self.unsent_bytes -= kept.bytes
        if not self._keeps:
            self.bytes -= self._segments.popleft().bytes
            self._sent -= 1
            return kept
        return _from(kept, self._cut_at) if kept.first < self._cut_at else kept

    def end_is_due(self) -> bool:
        """Whether the end is to be said now, which counts as said."""
        due = self.has_ended and not self._end_is_sent and self._sent == len(self._segments)
        self._end_is_sent = self._end_is_sent or due
        return due

    def restart(self, arrived: int) -> None:
        """All from `arrived` on is sent again."""
        if arrived > self.end or arrived < min(self.recorded, self.end):
            raise ClusterError(
                f"the coordinator has {arrived} inputs of a job, {self.end} were made and "
                f"{self.recorded} recorded; is its state directory an older copy? Submit the job "
                "again", "system")
        self._cut_at = arrived
        self._sent = sum(1 for kept in self._segments if kept.end <= arrived)
        self.unsent_bytes = sum(kept.bytes for kept in list(self._segments)[self._sent:])
        self._end_is_sent = False

    def give_up(self) -> None:
        self._segments.clear()
        self.bytes = self.unsent_bytes = self._sent = 0
        self.has_ended = self._end_is_sent = True


def _from(kept: Kept, item: int) -> Kept:
    """The part of a segment from an item on."""
    whole = memoryview(b"".join(kept.buffers))
    segment, _ = segments.decode(whole)
    items = segments.items(segment)[item - kept.first:]
    buffers, size = segments.of_items(item, items)
    return Kept(item, kept.end, buffers, size - segments.HEAD.size)


class Received:
    """Items whose results have come, as ascending ranges, and pieces of one that is coming."""

    def __init__(self) -> None:
        self._starts: List[int] = []
        self._ends: List[int] = []
        self._next = 0
        self._pieces = 0
        self._attempt = 0
        # Bytes that came over this connection and were not acknowledged, and over earlier ones.
        self._bytes = 0
        self._earlier = 0

    def take(self, first: int, end: int, size: int) -> None:
        self._bytes += size
        self._insert(first, end)
        self._next, self._pieces, self._attempt = end, 0, 0

    def take_piece(self, item: int, attempt: int, size: int) -> None:
        self._bytes += size
        again = self._pieces and item == self._next and attempt == self._attempt
        self._pieces = self._pieces + 1 if again else 1
        self._next, self._attempt = item, attempt

    def _insert(self, first: int, end: int) -> None:
        starts, ends = self._starts, self._ends
        if ends and first == ends[-1]:
            ends[-1] = end
            return
        low = bisect_left(ends, first)
        high = low
        while high < len(starts) and starts[high] <= end:
            first, end = min(first, starts[high]), max(end, ends[high])
            high += 1
        starts[low:high] = [first]
        ends[low:high] = [end]

    def has(self, first: int, end: int) -> bool:
        place = bisect_left(self._ends, end)
        return place < len(self._starts) and self._starts[place] <= first

    def acknowledge(self, taken: int) -> int:
        """Bytes of these that the coordinator is to be told of."""
        old = min(taken, self._earlier)
        self._earlier -= old
        self._bytes = max(0, self._bytes - (taken - old))
        return taken - old

    def cut(self) -> None:
        self._earlier += self._bytes
        self._bytes = 0

    def attach(self, job: int, feeds: bool) -> Dict[str, Any]:
        """The request that takes the job up again."""
        first = self._next
        if not self._pieces and len(self._starts) > 1:
            first = self._ends[0] if self._starts[0] == 0 else 0
        spans = [{"from": a, "to": b} for a, b in zip(self._starts, self._ends)]
        resume = {"feeds": feeds, "has": spans, "pieces": self._pieces, "attempt": self._attempt}
        return {"attach": {"job": job, "firstItem": first, "results": True, "follow": True,
                           "resume": resume}}
