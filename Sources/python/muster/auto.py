"""`from muster.auto import tqdm`: tqdm's own bar, counting items of the cluster when they are done.

In: what tqdm.auto takes. Out: the same bar. In a plain loop it does what tqdm does. Around the
items of a joblib call, a map or pqdm it does not move when an item is taken from the iterable,
which happens long before or in lumps, but when the item's result is there; so it ends at N of N
when the last one is done, whatever the size of the chunks. Next: _progress.py.
"""

from __future__ import annotations

import sys
from typing import Any, Iterator, Optional

try:
    from tqdm.auto import tqdm as _tqdm  # type: ignore[import-untyped]
except ImportError as error:
    raise ImportError(
        "muster.auto draws its bars with tqdm, which is not installed here. Run: pip install tqdm"
    ) from error

from ._progress import Progress, current

# Frames between joblib's dispatcher and the bar: a generator expression or a few of them.
_DEPTH = 24


class tqdm(_tqdm):  # type: ignore[misc]
    """tqdm.auto.tqdm whose count follows the results. Same arguments, same methods."""

    # Items that the iterable has given so far; Progress compares `n` with it.
    handed = 0

    def __iter__(self) -> Iterator[Any]:
        progress = current() or _joblib_progress()
        if progress is None:
            yield from super().__iter__()
            return
        self.handed = 0
        progress.watch(self)
        for item in self.iterable:
            self.handed += 1
            yield item
        # Not closed here: the last items are still on their way. The call closes its bars.


def trange(*args: Any, **kwargs: Any) -> tqdm:
    """`tqdm(range(*args), **kwargs)`."""
    return tqdm(range(*args), **kwargs)


def _joblib_progress() -> Optional[Progress]:
    """The joblib call of our backend that asks for the first item, if one does.

    joblib offers no other way to learn it: it takes the items in one of its own methods, and the
    backend hears of them only when they are packed.
    """
    frame: Any = sys._getframe(2)
    for _ in range(_DEPTH):
        if frame is None:
            return None
        if frame.f_code.co_name == "dispatch_one_batch":
            backend = getattr(frame.f_locals.get("self"), "_backend", None)
            session = getattr(backend, "_workers", None)
            progress = getattr(session, "progress", None)
            return progress if isinstance(progress, Progress) else None
        frame = frame.f_back
    return None


__all__ = ["tqdm", "trange"]
