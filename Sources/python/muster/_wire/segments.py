"""Segments: inputs or values of consecutive items, one blob with a head (docs/runner-protocol.md).
In: byte strings. Out: buffers for a frame, and back. Used by client and runner alike; what the
bytes mean is _codec/values.py."""

import struct
import sys
from array import array
from itertools import accumulate
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

Buffer = Union[bytes, bytearray, memoryview]

HEAD = struct.Struct("<QIIII")
VARYING = 0xFFFFFFFF
_U32 = "I" if array("I").itemsize == 4 else "L"


class Segment(NamedTuple):
    """`width` None: the items differ in length and `ends` tells where each one ends."""

    first: int
    count: int
    width: Optional[int]
    base: int
    ends: Optional[array]
    blob: memoryview


def head_of_width(first: int, count: int, width: int) -> bytes:
    return HEAD.pack(first, count, width, 0, count * width)


def of_items(first: int, items: Sequence[Buffer]) -> Tuple[List[Buffer], int]:
    """The buffers of a segment of these byte strings, and how many bytes they have.

    Small items are joined; those of 32 KiB and more stay as they are."""
    lengths = list(map(len, items))
    total = sum(lengths)
    width = lengths[0]
    if lengths.count(width) == len(lengths):
        front = HEAD.pack(first, len(items), width, 0, total)
    else:
        ends = array(_U32, accumulate(lengths))
        if sys.byteorder == "big":
            ends.byteswap()
        front = HEAD.pack(first, len(items), VARYING, 0, total) + ends.tobytes()
    if total < 32 << 10 or total < len(items) << 12:
        return [front + b"".join(items)], len(front) + total
    return [front, *items], len(front) + total


def decode(body: memoryview, offset: int = 0) -> Tuple[Segment, int]:
    """The segment that begins at `offset`, and where it ends. Bytes stay shared with `body`.

    Raises ValueError where numbers and bytes disagree."""
    first, count, width, base, size = HEAD.unpack_from(body, offset)
    offset += HEAD.size
    if first + count > 1 << 40:
        raise ValueError(f"a segment of {count} items from {first} is impossible")
    ends = None
    if width == VARYING:
        table = body[offset:offset + 4 * count]
        offset += 4 * count
        ends = array(_U32)
        ends.frombytes(table)
        if sys.byteorder == "big":
            ends.byteswap()
        if len(ends) != count or (count and ends[-1] - base != size):
            raise ValueError("the ends of a segment do not agree with its length")
    elif base or count * width != size:
        raise ValueError(f"{count} items of {width} bytes do not make {size} bytes")
    blob = body[offset:offset + size]
    if len(blob) != size:
        raise ValueError("a segment is shorter than it says")
    return Segment(first, count, None if ends is not None else width, base, ends, blob), \
        offset + size


def items(segment: Segment) -> List[memoryview]:
    """The bytes of each item, shared with the blob."""
    blob = segment.blob
    if segment.width is not None:
        width = segment.width
        if width == 0:
            return [blob] * segment.count
        return [blob[at:at + width] for at in range(0, len(blob), width)]
    base, parts, start = segment.base, [], 0
    assert segment.ends is not None
    for end in segment.ends:
        end -= base
        if end < start or end > len(blob):
            raise ValueError("the ends of a segment do not ascend")
        parts.append(blob[start:end])
        start = end
    return parts
