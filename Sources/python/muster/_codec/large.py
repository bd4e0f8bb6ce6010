"""Large arguments: arrays and other buffers that are not in an item but in files beside it.

In: the arguments of a call. Out: a small pickle, and the buffers that it leaves out; a runner puts
them together again with `restore`, from files that it maps into memory. Pickle's protocol 5 hands
buffers out by itself (numpy, pandas and arrow take part), so nothing is searched and nothing copied.
Which buffers are left out decides _engine/sharing.py. The same file is in the runner's zip.
"""

from __future__ import annotations

import mmap
import os
import pickle
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import values

# Where job files are; a job may change the working directory later.
HOME = os.getcwd()

# How `restore` maps: READ shares one mapping among all items and gives arrays that cannot be
# written (joblib's mmap_mode "r"); COPY gives each item its own, whose changes nobody else sees, as with a
# pickle.
READ, COPY = "r", "c"


def pack(value: Any, leave_out: Callable[[memoryview], bool]) -> Tuple[bytes, List[memoryview]]:
    """A pickle of `value` and the buffers for which `leave_out` was true, in order."""
    buffers: List[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        try:
            raw = buffer.raw()
        except BufferError:  # not contiguous
            return True
        if not leave_out(raw):
            return True
        buffers.append(raw)
        return False

    try:
        data = pickle.dumps(value, values.PROTOCOL, buffer_callback=keep)
        if b"__main__" not in data and not values._by_value():
            return data, buffers
    except Exception:
        pass  # cloudpickle can do more, and says why where it cannot
    import cloudpickle  # type: ignore[import-untyped, unused-ignore]

    buffers.clear()
    return cloudpickle.dumps(value, values.PROTOCOL, buffer_callback=keep), buffers


def join(data: bytes, parts: List[Any], mode: str) -> bytes:
    """An item of a pickle and its buffers: each as the name of its file, or as its bytes."""
    return pickle.dumps(_Joined(data, parts, mode), values.PROTOCOL)


class _Joined:
    """Pickles as a call of `restore`."""

    def __init__(self, data: bytes, parts: List[Any], mode: str) -> None:
        self.arguments = (data, parts, mode)

    def __reduce__(self) -> Any:
        return restore, self.arguments


_mappings: Dict[str, mmap.mmap] = {}


def restore(data: bytes, parts: List[Any], mode: str) -> Any:
    """The value. Runs on the worker, while an item is decoded."""
    buffers = [_map(part, mode) if isinstance(part, str) else part for part in parts]
    return pickle.loads(data, buffers=buffers)


def _map(name: str, mode: str) -> mmap.mmap:
    known: Optional[mmap.mmap] = _mappings.get(name) if mode == READ else None
    if known is not None:
        return known
    with open(os.path.join(HOME, name), "rb") as file:
        access = mmap.ACCESS_READ if mode == READ else mmap.ACCESS_COPY
        mapping = mmap.mmap(file.fileno(), 0, access=access)
    if mode == READ:
        _mappings[name] = mapping
    return mapping


# In the runner's zip this file lies under another name than here, so that a muster that is
# installed on a worker is not hidden. A pickle made here names it as it is found there.
_INSIDE = "_muster"


def found_inside(*names: str) -> None:
    """Lets pickles of these modules of muster be loaded by runners."""
    for name in ("", *names):
        parts = name.split(".") if name else []
        for depth in range(len(parts) + 1):
            tail = "".join("." + part for part in parts[:depth])
            if "muster" + tail in sys.modules:
                sys.modules.setdefault(_INSIDE + tail, sys.modules["muster" + tail])


if not __name__.startswith(_INSIDE):
    found_inside("_codec.large")
    restore.__module__ = _INSIDE + "._codec.large"
