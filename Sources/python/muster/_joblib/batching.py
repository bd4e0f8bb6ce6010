"""How many delayed calls make one batch.

In: the size of each finished batch and the seconds that the worker spent on it. Out: the size of
the next. joblib's own rule takes the time from sending to arrival, so a deep queue or a slow link
looks like slow work and the batches stay small; the worker's clock has neither in it.
Next: session.py, which reports the times.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Deque, Tuple

# Seconds that a batch should take. A round trip costs a millisecond or less, and a second batch
# waits at each slot meanwhile, so more would only make the end of a call ragged.
TARGET_SECONDS = 0.1

# A batch grows to at most this many times its size at once: the first items of a long list are
# not always like the rest.
GROWTH = 4

# Calls in a batch at most. Functions that do nothing reach it; the batch then still takes
# milliseconds to pack, and holds the client's memory for its arguments and results.
MAX_SIZE = 16_384

# Bytes of a batch at most, as measured when it was packed: many large arguments with little to
# do would otherwise be gathered until they take TARGET_SECONDS of calculation.
MAX_BYTES = 8 << 20

# Batches that the estimate rests on: enough to even out, few enough to forget the first ones,
# which have imports in them.
WINDOW = 8


class MeasuredBatching:
    """A mixin in front of joblib's AutoBatchingMixin: the same interface, other measurements."""

    parallel: Any
    _effective_batch_size: int
    _smoothed_batch_duration: float
    _DEFAULT_EFFECTIVE_BATCH_SIZE: int

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._batches: Deque[Tuple[int, float, int]] = deque(maxlen=WINDOW)
        self._batches_lock = threading.Lock()

    def measured(self, size: int, seconds: float, nbytes: int) -> None:
        """A batch of `size` calls took a worker `seconds`; it was packed in `nbytes`."""
        with self._batches_lock:
            self._batches.append((size, seconds, nbytes))

    def batch_completed(self, batch_size: int, duration: float) -> None:
        """joblib's figure, from sending to arrival: not used."""

    def compute_batch_size(self) -> int:
        """The size of the next batch."""
        old = self._effective_batch_size
        with self._batches_lock:
            # Only batches of about this size tell something about growing further.
            known = [batch for batch in self._batches if batch[0] * GROWTH > old]
        if not known:
            return old
        size = _next_size(
            old,
            items=sum(batch[0] for batch in known),
            seconds=sum(batch[1] for batch in known),
            nbytes=sum(batch[2] for batch in known),
        )
        if size != old:
            self._effective_batch_size = size
            if self.parallel is not None and self.parallel.verbose >= 10:
                self.parallel._print(f"Batches of {old} calls: from now on {size}.")
        return size

    def reset_batch_stats(self) -> None:
        """Forgets everything: the next call may be of another function."""
        super().reset_batch_stats()  # type: ignore[misc]
        with self._batches_lock:
            self._batches.clear()


def _next_size(old: int, items: int, seconds: float, nbytes: int) -> int:
    """The size that takes TARGET_SECONDS and MAX_BYTES at most, near to `old`."""
    each = max(seconds / items, 1e-9)
    ideal = min(TARGET_SECONDS / each, MAX_BYTES / max(nbytes / items, 1), MAX_SIZE)
    # Between half and one and a half of the aim nothing changes: estimates jitter.
    if ideal / 1.5 <= old <= ideal * 2:
        return old
    return max(1, int(min(ideal, old * GROWTH)))
