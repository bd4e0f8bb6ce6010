"""Consecutive items that the worker has sent: one `run` frame. In: its body. Out: strides of
values for lanes (lane.py), and how far a trim can cut. Guarded by the loop's lock."""

import struct
from typing import Any, List, Optional, Tuple

from .._wire import segments
from .opening import Job

_HEAD = struct.Struct("<QQIB")
_ARRAY = struct.Struct("<QQqq")


class Piece:
    def __init__(self, body: memoryview) -> None:
        self.job: Job = None  # type: ignore[assignment]
        self.number, self.chunk, self.attempt, source = _HEAD.unpack_from(body)
        self._range: Optional[range] = None
        self._segment: Optional[segments.Segment] = None
        self._items: Optional[List[memoryview]] = None
        if source == 1:
            self.first, self.count, value, step = _ARRAY.unpack_from(body, _HEAD.size)
            self._range = range(value, value + step * self.count, step) if step else None
            if not step:
                self._items = []
            self._value = value
        else:
            self._segment, _ = segments.decode(body, _HEAD.size)
            self.first, self.count = self._segment.first, self._segment.count
        # Items below are with a lane, or were.
        self.claimed = self.first
        self.end = self.first + self.count

    def claim(self, most: int) -> Tuple[int, int]:
        """The next items for a lane: first, one past the last."""
        start = self.claimed
        self.claimed = min(self.end, start + most)
        return start, self.claimed

    def cut(self, end: int) -> None:
        """Items from `end` on are for others; not below what is claimed."""
        self.end = min(self.end, max(end, self.claimed))

    def inputs(self, start: int, end: int) -> Any:
        """What the calls of these items are given, undecoded items as memoryviews."""
        at, to = start - self.first, end - self.first
        if self._segment is None:
            if self._range is None:
                return [self._value] * (to - at)
            return self._range[at:to]
        segment = self._segment
        if segment.width == 8:
            part = segment._replace(
                first=start, count=to - at, blob=segment.blob[8 * at:8 * to])
            return self.job.load(part)
        if self._items is None:
            self._items = segments.items(segment)
        return self._items[at:to]
