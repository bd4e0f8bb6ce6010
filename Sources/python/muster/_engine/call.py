"""One call: its state, from the submit to the end, for whoever waits. In: its job's results
(job.py). Out: value or exception, and a callback once, whichever way it ends."""

import pickle
from typing import Any, Callable, Optional

from .._codec import values
from .._link.waiting import Sleepers
from ..errors import ClusterError

WAITING, DONE = "waiting", "done"


class Call:
    """A result that is there or will be. `worker`, `attempt`, `seconds`, `stdout` and `stderr`
    tell about the attempt that ended it."""

    __slots__ = (
        "_job", "item", "size", "_callback", "_sleepers", "state", "_data", "_value", "_error",
        "_worker", "attempt", "seconds", "stdout", "stderr", "__weakref__")

    def __init__(
        self, job: Any, item: int, callback: Optional[Callable[["Call"], Any]], size: int = 0
    ) -> None:
        """`size`: bytes of its packed arguments."""
        self._job, self.item, self._callback, self.size = job, item, callback, size
        self._sleepers: Optional[Sleepers] = None
        # waiting; then succeeded, failed, timedOut, cancelled, aborted or lost.
        self.state = "waiting"
        self._data: Any = None
        self._value: Any = None
        self._error: Optional[BaseException] = None
        self._worker = 0
        self.attempt = 0
        self.seconds: Optional[float] = None
        self.stdout = self.stderr = ""

    def done(self) -> bool:
        return self.state != "waiting"

    @property
    def worker(self) -> Optional[str]:
        return self._job.cluster.link.workers.get(self._worker)

    def cancel(self) -> bool:
        """Ends it as cancelled, whatever its worker still does; False where it is over."""
        return self._job.cancel_call(self)

    def cancelled(self) -> bool:
        return self.state == "cancelled"

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Whether it is over, at the latest after `timeout` seconds."""
        if self.state != "waiting":
            return True
        if self._sleepers is None:
            self._sleepers = Sleepers()
        return self._job.cluster.link.wait(self.done, self._sleepers, timeout)

    def result(self, timeout: Optional[float] = None) -> Any:
        if not self.wait(timeout):
            raise TimeoutError(f"item {self.item} is not over after {timeout:g} s")
        if self._error is not None:
            raise self._error
        if self._data is not None:
            # Two threads that ask get the same object.
            with self._job.loading:
                if self._data is not None:
                    try:
                        self._value = values.load(self._data)
                    except Exception as error:
                        self._error = undecodable(error, self._job.name)
                        self._error.__cause__ = error
                    self._data = None
            if self._error is not None:
                raise self._error
        return self._value

    def exception(self, timeout: Optional[float] = None) -> Optional[BaseException]:
        if not self.wait(timeout):
            raise TimeoutError(f"item {self.item} is not over after {timeout:g} s")
        if self._error is None and self._data is not None:
            try:
                self.result()
            except BaseException:
                pass
        return self._error

    # For job.py, with the link's lock held

    def finish(self, state: str, data: Any = None, error: Optional[BaseException] = None) -> None:
        """The first end counts."""
        self._data, self._error = data, error
        self.state = state
        sleepers, callback = self._sleepers, self._callback
        if sleepers is not None:
            sleepers.wake()
        if callback is not None:
            self._callback = None
            self._job.cluster.link.later(lambda: callback(self))


def undecodable(error: BaseException, name: str) -> ClusterError:
    words = f"{type(error).__name__}: {error}"
    kind = "a pickle" if isinstance(error, pickle.UnpicklingError) else "a value"
    return ClusterError(
        f"{kind} that {name} returned cannot be loaded here: {words}. Client and worker may have "
        "different versions of a module", "malformed")
