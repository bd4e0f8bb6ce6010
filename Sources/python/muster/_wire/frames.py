"""Frames of the protocol: kinds and heads. In: bodies. Out: bytes for a link. Next: segments.py."""

import json
import struct
from typing import Any, List, Tuple, Union

Buffer = Union[bytes, bytearray, memoryview]

WIRE_VERSION = 3
HELLO, WELCOME, REFUSED, REQUEST, RESPONSE, ITEMS, INPUT_ENDED, INPUT_CREDIT = range(1, 9)
RESULTS, VALUES, RESULTS_CREDIT, PROGRESS, JOB_ENDED, WORKER_NAME = range(16, 22)
FILE, HEARTBEAT = 23, 24
BYE = 27
INPUT_RECORDED = 31
# What a coordinator says to a client; anything else ends the connection.
TO_CLIENT = frozenset(
    [WELCOME, REFUSED, RESPONSE, INPUT_CREDIT, RESULTS, VALUES, PROGRESS, JOB_ENDED, WORKER_NAME,
     HEARTBEAT, BYE, INPUT_RECORDED])

FRAME_BYTES = 16 << 20
FRAME_BYTES_BEFORE_WELCOME = 16 << 10
BATCH_BYTES = 256 << 10
ITEM_INPUT_BYTES = 8 << 20
INPUT_AHEAD_BYTES = 8 << 20
KEPT_INPUT_BYTES = 64 << 20
ACKNOWLEDGE_BYTES = 256 << 10
FILE_PART_BYTES = 1 << 20
FILE_BYTES = 4 << 30
ITEMS_PER_JOB = 1 << 40

HEAD = struct.Struct("<IB")
U64 = struct.Struct("<Q")
U64_PAIR = struct.Struct("<QQ")
_FILE_HEAD = struct.Struct("<QQ64s")


def frame(kind: int, *parts: Buffer) -> List[Buffer]:
    """One frame as buffers to be sent one behind the other; large ones are not copied."""
    length = sum(map(len, parts))
    return [HEAD.pack(length, kind), *parts]


def text_frame(kind: int, value: Any, before: bytes = b"") -> List[Buffer]:
    body = json.dumps(value, separators=(",", ":")).encode()
    return [HEAD.pack(len(before) + len(body), kind) + before + body]


def job_frame(kind: int, job: int) -> List[Buffer]:
    return [HEAD.pack(8, kind) + U64.pack(job)]


def pair_frame(kind: int, job: int, number: int) -> List[Buffer]:
    return [HEAD.pack(16, kind) + U64_PAIR.pack(job, number)]


def file_frame(digest: str, offset: int, total: int, part: Buffer) -> List[Buffer]:
    return frame(FILE, _FILE_HEAD.pack(offset, total, digest.encode()), part)


def request_frame(number: int, request: Any) -> List[Buffer]:
    return text_frame(REQUEST, request, U64.pack(number))


def read_pair(body: Buffer) -> Tuple[int, int]:
    return U64_PAIR.unpack(body)
