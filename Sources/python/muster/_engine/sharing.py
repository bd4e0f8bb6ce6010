"""A job whose large arguments travel once to each worker instead of with every item.

In: the same calls as job.py takes. Out: calls of one job, or of a few one after the other: the
files of a job are fixed when it is submitted, so arguments that come with a later call begin
another. What is small, or came only once, goes inside its item, which costs least. Next: _codec/large.py.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, Callable, Dict, List, Optional, Tuple

from .._codec import large
from .._link.files import OutgoingFile
from .._wire import frames
from .call import Call

# From this size on a buffer may be a file of its own (joblib's max_nbytes has the same default).
LEAST_BYTES = 1 << 20

# Arguments of more than this have their buffers in files when they come for the first time: they
# would hardly fit an item.
ALONE_BYTES = 4 << 20

# Files that a further job takes over from the one before, at most. Each is a link in the directory
# of each of its runners.
KEPT_FILES = 64


class SharingJob:
    """The interface of Job. `least_bytes`: 0 shares nothing that fits an item. `mode`: what items
    may do with an array (large.READ or large.COPY). `trusts`: an array that was seen is not looked
    at again, as joblib does within one of its calls; otherwise changes are noticed."""

    def __init__(
        self,
        cluster: Any,
        function: Callable[..., Any],
        options: Dict[str, Any],
        least_bytes: int = LEAST_BYTES,
        mode: str = large.COPY,
        trusts: bool = False,
    ) -> None:
        self._cluster = cluster
        self._function = function
        self._options = options
        self._least_bytes = least_bytes
        self._mode = mode
        self._trusts = trusts
        self._lock = threading.Lock()
        self._job: Any = None
        self._jobs: List[Any] = []
        # By digest: the file, and in how many calls it was.
        self._files: Dict[str, List[Any]] = {}
        # What the present job has.
        self._there: Dict[str, OutgoingFile] = {}
        self._seen: Dict[Tuple[int, int], _Seen] = {}

    def call(
        self,
        args: Tuple[Any, ...] = (),
        kwargs: Optional[Dict[str, Any]] = None,
        callback: Optional[Callable[[Call], Any]] = None,
    ) -> Call:
        """Calls the function, as Job.call does."""
        value = (args, kwargs or {})
        data, buffers = large.pack(value, self._is_large)
        inside = len(data) + sum(raw.nbytes for raw in buffers)
        if not buffers and len(data) > frames.ITEM_INPUT_BYTES:
            # It does not fit an item, so whatever can be left out is.
            data, buffers = large.pack(value, lambda raw: raw.nbytes >= 1 << 16)
            inside = frames.ITEM_INPUT_BYTES
        if not buffers:
            # 8 bytes would be read as a number (_codec/values.py).
            data = data if len(data) != 8 else data + b"."
            with self._lock:
                job = self._job or self._open({})
            return job.call_packed(data, callback)  # type: ignore[no-any-return]
        with self._lock:
            parts, needed = self._divided(buffers, all_files=inside > ALONE_BYTES)
            job = self._job
            if job is None or any(digest not in self._there for digest in needed):
                job = self._open(needed)
        return job.call_packed(  # type: ignore[no-any-return]
            large.join(data, parts, self._mode), callback)

    def _is_large(self, raw: memoryview) -> bool:
        return 0 < self._least_bytes <= raw.nbytes

    # What is left out; with the lock held

    def _divided(
        self, buffers: List[memoryview], all_files: bool
    ) -> Tuple[List[Any], Dict[str, OutgoingFile]]:
        """For each buffer the name of its file, or its bytes; and the files."""
        parts: List[Any] = []
        needed: Dict[str, OutgoingFile] = {}
        for raw in buffers:
            if all_files or self._was_seen(raw):
                file = self._file(raw)
                needed[file.digest] = file
                parts.append(file.name)
            else:
                parts.append(bytes(raw) if self._mode == large.READ else bytearray(raw))
        return parts, needed

    def _was_seen(self, raw: memoryview) -> bool:
        key, owner = _place(raw)
        if key is None:
            return False
        seen = self._seen.get(key)
        if seen is not None and seen.owner() is owner:
            return True
        self._seen[key] = _Seen(owner, lambda _: self._seen.pop(key, None))
        return False

    def _file(self, raw: memoryview) -> OutgoingFile:
        key, owner = _place(raw)
        seen = self._seen.get(key) if key is not None else None
        if seen is not None and seen.owner() is not owner:
            seen = None
        if self._trusts and seen is not None and seen.digest:
            known = self._files[seen.digest]
            known[1] += 1
            return known[0]  # type: ignore[no-any-return]
        # The bytes are read now and sent later, so what the caller does with the array meanwhile
        # must not matter: a copy, but for joblib's calls, whose caller waits.
        made = OutgoingFile("", raw.cast("B") if self._trusts else bytes(raw))
        made.name = f"shared-{made.digest[:32]}"
        known = self._files.setdefault(made.digest, [made, 0])
        known[1] += 1
        if key is not None and seen is None:
            seen = self._seen[key] = _Seen(owner, lambda _: self._seen.pop(key, None))
        if seen is not None:
            seen.digest = made.digest
        return known[0]  # type: ignore[no-any-return]

    def _open(self, needed: Dict[str, OutgoingFile]) -> Any:
        """A further engine job, with the files that this call needs and those used again."""
        used = [file for file, count in self._files.values() if count > 1]
        self._there = {file.digest: file for file in used[-KEPT_FILES:]}
        self._there.update(needed)
        for digest in [digest for digest in self._files if digest not in self._there]:
            del self._files[digest]
        if self._job is not None:
            self._job.close()
        options = {**self._options, "files": list(self._there.values())}
        self._job = self._cluster.job(self._function, **options)
        self._jobs = [job for job in self._jobs if job.open_calls] + [self._job]
        return self._job

    # The end

    @property
    def open_calls(self) -> int:
        """Calls that are not over."""
        return sum(job.open_calls for job in self._jobs)

    def close(self) -> None:
        """No more calls; the job ends when all are over."""
        with self._lock:
            if self._job is not None:
                self._job.close()

    def cancel(self) -> None:
        """Ends all calls that are not over, as cancelled."""
        with self._lock:
            jobs = list(self._jobs)
        for job in jobs:
            job.cancel()


class _Seen:
    """Memory that was an argument before."""

    __slots__ = ("owner", "digest")

    def __init__(self, owner: Any, gone: Callable[[Any], Any]) -> None:
        self.owner = weakref.ref(owner, gone)
        self.digest = ""


def _place(raw: memoryview) -> Tuple[Optional[Tuple[int, int]], Any]:
    """Where the bytes are, and the object whose life they share; None for who cannot tell.

    Two views of an array are the same place: pickle makes a new one each time for an array in
    column order.
    """
    owner = raw.obj
    interface = getattr(owner, "__array_interface__", None)
    if interface is None:
        return None, None
    while getattr(owner, "base", None) is not None and hasattr(owner.base, "__array_interface__"):
        owner = owner.base
    try:
        weakref.ref(owner)
    except TypeError:
        return None, None
    return (interface["data"][0], raw.nbytes), owner
