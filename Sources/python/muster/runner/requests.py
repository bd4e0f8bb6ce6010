"""What the worker says. In: bytes of the requests pipe. Out: frames, large ones uncopied.
Next: main.py, which carries them out."""

import os
import select
import struct
from typing import List, Optional, Tuple

OPEN, RUN, TRIM, FORGET = 1, 2, 3, 4
_HEAD = struct.Struct("<IB")
_MOST = 16 << 20
_READ = 64 << 10


class Requests:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def is_ready(self, milliseconds: int = 0) -> bool:
        """Whether something is there, so that `take` would wait for the rest of it at most."""
        return bool(self._poll.poll(milliseconds))

    def take(self) -> Optional[List[Tuple[int, memoryview]]]:
        """At least one frame, waited for; None at the end of the pipe."""
        while True:
            data = os.read(self._descriptor, _READ)
            if not data:
                return None
            if self._rest:
                data = self._rest + data
            frames, self._rest = self._cut(data)
            if frames is None:
                return None
            if frames:
                return frames

    def _cut(self, data: bytes) -> tuple:
        frames, at, view = [], 0, memoryview(data)
        while len(data) - at >= 5:
            length, kind = _HEAD.unpack_from(data, at)
            if length > _MOST or not OPEN <= kind <= FORGET:
                raise ValueError(f"a request of kind {kind} and {length} bytes is impossible")
            body = at + 5
            lacking = body + length - len(data)
            if lacking > 0:
                if lacking < _READ // 2:
                    break
                whole = bytearray(length)
                there = len(data) - body
                whole[:there] = view[body:]
                if not self._fill(memoryview(whole)[there:]):
                    return None, b""
                frames.append((kind, memoryview(whole)))
                return frames, b""
            frames.append((kind, view[body:body + length]))
            at = body + length
        return frames, data[at:] if at else data

    def _fill(self, view: memoryview) -> bool:
        while view:
            count = os.readv(self._descriptor, [view])
            if count == 0:
                return False
            view = view[count:]
        return True
