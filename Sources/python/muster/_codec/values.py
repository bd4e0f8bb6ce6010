"""Values <-> items. An item of exactly 8 bytes is an int64, anything else a pickle. In: lists of
values. Out: buffers of segments (_wire/segments.py), and back. The same code runs on the client
and in runners, so it imports nothing but the standard library before it must."""

import pickle
import struct
import sys
from array import array
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

from .._wire import segments

_I64 = struct.Struct("<q")
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
PROTOCOL = 5
NONE = pickle.dumps(None, PROTOCOL)
# Of exactly these types a plain pickle is as good as cloudpickle's, and much faster.
_PLAIN = frozenset([bool, float, complex, str, bytes, type(None), bytearray])
_INT = {int}
_NOTHING = {type(None)}


def integers(values: Sequence[Any]) -> Optional[array]:
    """The values as 64-bit integers; None where one of them is no plain int of that size."""
    if set(map(type, values)) != _INT:
        return None
    try:
        numbers = array("q", values)
    except OverflowError:
        return None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def thorough(value: Any) -> bytes:
    """A pickle of anything, with what it needs of `__main__` inside."""
    import cloudpickle

    return cloudpickle.dumps(value, PROTOCOL)


def _by_value() -> bool:
    """Whether somebody asked for modules to travel by value, which only cloudpickle does."""
    module = sys.modules.get("cloudpickle")
    lists = getattr(module, "list_registry_pickle_by_value", None)
    return bool(lists and lists())


def pickled(value: Any) -> bytes:
    if not _by_value():
        try:
            data = pickle.dumps(value, PROTOCOL)
            # What is of the main program cannot be found there by its name.
            if type(value) in _PLAIN or b"__main__" not in data:
                return data
        except Exception:
            pass  # cloudpickle can do more, and says why where it cannot
    return thorough(value)


def dump(value: Any) -> bytes:
    if type(value) is int and _LEAST <= value <= _MOST:
        return _I64.pack(value)
    data = pickled(value)
    # 8 bytes would be read as a number; what comes behind a pickle's end is passed over.
    return data if len(data) != 8 else data + b"."


def dump_all(values: Sequence[Any]) -> List[bytes]:
    kinds = set(map(type, values))
    if kinds <= _PLAIN:
        dumps = pickle.dumps
        parts = [dumps(value, PROTOCOL) for value in values]
        return [part if len(part) != 8 else part + b"." for part in parts]
    return [dump(value) for value in values]


def encode(first: int, values: Sequence[Any]) -> Tuple[list, int]:
    """One segment of all values as buffers, and its bytes."""
    numbers = integers(values)
    if numbers is not None:
        blob = memoryview(numbers).cast("B")
        return [segments.head_of_width(first, len(numbers), 8), blob], len(blob) + 24
    if set(map(type, values)) == _NOTHING:
        blob = NONE * len(values)
        return [segments.head_of_width(first, len(values), len(NONE)) + blob], len(blob) + 24
    return segments.of_items(first, dump_all(values))


def encode_in_batches(
    first: int, values: Sequence[Any], most: int, dump_all: Callable = dump_all
) -> Iterator[Tuple[list, int, int]]:
    """Segments of about `most` bytes: buffers, bytes of blob and table, count."""
    numbers = integers(values)
    if numbers is not None:
        whole = memoryview(numbers)
        step = max(1, most // 8)
        for at in range(0, len(numbers), step):
            part = whole[at:at + step]
            count = len(part)
            head = segments.head_of_width(first + at, count, 8)
            yield [head, part.cast("B")], 8 * count, count
        return
    parts = dump_all(values)
    start = size = 0
    for at, part in enumerate(parts):
        if size and size + len(part) > most:
            buffers, total = segments.of_items(first + start, parts[start:at])
            yield buffers, total - 24, at - start
            start, size = at, 0
        size += len(part)
    buffers, total = segments.of_items(first + start, parts[start:])
    yield buffers, total - 24, len(parts) - start


def load(item: Any) -> Any:
    if len(item) == 8:
        return _I64.unpack(item)[0]
    return pickle.loads(item)


def decode(segment: segments.Segment) -> List[Any]:
    """All values of a segment."""
    width = segment.width
    if width == 8:
        numbers = array("q")
        numbers.frombytes(segment.blob)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tolist()
    if width == len(NONE) and segment.blob == NONE * segment.count:
        return [None] * segment.count
    loads, unpack = pickle.loads, _I64.unpack
    return [unpack(item)[0] if len(item) == 8 else loads(item)
            for item in segments.items(segment)]
