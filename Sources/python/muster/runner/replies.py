"""What the runner says. In: values and failures of items. Out: frames on the replies pipe, small
ones together. Comes from lane.py; several threads may write."""

import json
import os
import struct
import threading
import time
from typing import Any, List

from .._wire import segments

READY, OPENED, VALUES, FAILED, PRINTED, PART, TRIMMED = range(1, 8)
_HEAD = struct.Struct("<IB")
_FAILED = struct.Struct("<QQQBIII")
_PRINTED = struct.Struct("<QQI")
_PAIR = struct.Struct("<QQ")
# So much gathers before it leaves, or so long.
_FULL = 256 << 10
_DELAY = 4_000_000
# A value above this travels in parts.
PART_BYTES = 4 << 20
VALUE_BYTES = 256 << 20
THREW, BAD_INPUT, BAD_VALUE = 0, 1, 2


class Replies:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._parts: List[Any] = []
        self._bytes = 0
        self._since = 0

    def _put(self, kind: int, *parts: Any) -> None:
        length = sum(map(len, parts))
        with self._lock:
            if not self._parts:
                self._since = time.monotonic_ns()
            self._parts.append(_HEAD.pack(length, kind) + bytes(parts[0]))
            self._parts.extend(parts[1:])
            self._bytes += length + 5
            if self._bytes >= _FULL:
                self._write()

    def flush(self) -> None:
        if self._parts:
            with self._lock:
                self._write()

    def flush_if_due(self) -> None:
        if self._parts and time.monotonic_ns() - self._since > _DELAY:
            self.flush()

    def _write(self) -> None:
        parts, self._parts, self._bytes = self._parts, [], 0
        try:
            if sum(map(len, parts)) < 64 << 10:
                self._write_all([b"".join(parts)])
            else:
                for at in range(0, len(parts), 512):
                    self._write_all(parts[at:at + 512])
        except OSError:
            os._exit(0)  # nobody is left to tell

    def _write_all(self, parts: List[Any]) -> None:
        while parts:
            count = os.writev(self._descriptor, parts)
            while parts and count >= len(parts[0]):
                count -= len(parts[0])
                parts.pop(0)
            if count:
                parts[0] = memoryview(parts[0])[count:]

    # What is said

    def ready(self, functions: List[str]) -> None:
        text = {"protocol": 1, "runner": "python", "trims": True, "beats": False,
                "functions": functions}
        self._put(READY, json.dumps(text).encode())
        self.flush()

    def opened(self, job: int, refusal: str = "") -> None:
        self._put(OPENED, struct.pack("<Q", job) + refusal.encode("utf-8", "replace")[:64 << 10])
        self.flush()

    def values(self, chunk: int, nanoseconds: int, buffers: List[Any]) -> None:
        self._put(VALUES, _PAIR.pack(chunk, nanoseconds) + buffers[0], *buffers[1:])

    def large_value(self, chunk: int, item: int, nanoseconds: int, value: bytes) -> None:
        view = memoryview(value)
        while len(view) > PART_BYTES:
            self._put(PART, _PAIR.pack(chunk, item), view[:PART_BYTES])
            view = view[PART_BYTES:]
        head = segments.head_of_width(item, 1, len(view))
        self._put(VALUES, _PAIR.pack(chunk, nanoseconds) + head, view)

    def failed(
        self, chunk: int, item: int, nanoseconds: int, kind: int, message: str, error: bytes
    ) -> None:
        text = message.encode("utf-8", "replace")[:64 << 10]
        head = _FAILED.pack(chunk, item, nanoseconds, kind, 0, 0, len(error))
        self._put(FAILED, head, error, text)

    def printed(self, chunk: int, item: int, stdout: bytes, stderr: bytes) -> None:
        self._put(PRINTED, _PRINTED.pack(chunk, item, len(stdout)), stdout, stderr)

    def trimmed(self, chunk: int, end: int) -> None:
        self._put(TRIMMED, _PAIR.pack(chunk, end))
        self.flush()
