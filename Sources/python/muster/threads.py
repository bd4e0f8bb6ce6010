"""threading.Thread on a cluster: the same life, the target runs in a thread of a worker's process.
In: a target and arguments. Out: `join`, and `result`, which the standard library lacks. What the
target changes in objects of this program is not seen here: only what it returns comes back."""

import atexit
import itertools
import threading
from typing import Any, Callable, Iterable, Mapping, Optional

from ._engine.cluster import Cluster, default

__all__ = ["Thread"]

_numbers = itertools.count(1)
_jobs: dict = {}
_lock = threading.Lock()


def _job(cluster: Cluster) -> Any:
    """One job serves all threads of a cluster."""
    with _lock:
        job = _jobs.get(id(cluster))
        if job is None or job.cluster is not cluster:
            job = _jobs[id(cluster)] = cluster.job(None, threads=True, name="threads")
        return job


class Thread:
    def __init__(
        self, group: None = None, target: Optional[Callable] = None, name: Optional[str] = None,
        args: Iterable[Any] = (), kwargs: Optional[Mapping[str, Any]] = None, *,
        daemon: Optional[bool] = None, cluster: Optional[Cluster] = None,
    ) -> None:
        if group is not None:
            raise AssertionError("group argument must be None for now")
        self._target, self._args, self._kwargs = target, tuple(args), dict(kwargs or {})
        self.name = name or f"Thread-{next(_numbers)}"
        self.daemon = bool(daemon)
        self._cluster = cluster
        self._call: Any = None

    def __getstate__(self) -> dict:
        """It travels where a subclass has a `run` of its own."""
        state = dict(self.__dict__)
        state.update(_cluster=None, _call=None)
        return state

    def run(self) -> Any:
        """What happens on the cluster; subclasses may say something else."""
        if self._target is not None:
            return self._target(*self._args, **self._kwargs)
        return None

    def start(self) -> None:
        if self._call is not None:
            raise RuntimeError("threads can only be started once")
        cluster = self._cluster or default()
        if type(self).run is not Thread.run:
            self._call = _job(cluster).apply(self.run, (), {}, self._ended)
        elif self._target is not None:
            self._call = _job(cluster).apply(self._target, self._args, self._kwargs, self._ended)
        else:
            self._call = _job(cluster).apply(len, ((),), {})
        if not self.daemon:
            _waited_for.add(self)

    def _ended(self, call: Any) -> None:
        _waited_for.discard(self)
        error = call.exception()
        if error is not None and not isinstance(error, SystemExit):
            hook = threading.excepthook
            hook(threading.ExceptHookArgs((type(error), error, error.__traceback__, self)))

    def join(self, timeout: Optional[float] = None) -> None:
        if self._call is None:
            raise RuntimeError("cannot join thread before it is started")
        self._call.wait(timeout)

    def is_alive(self) -> bool:
        return self._call is not None and not self._call.done()

    def result(self, timeout: Optional[float] = None) -> Any:
        """What the target returned; raises what it raised."""
        if self._call is None:
            raise RuntimeError("the thread was not started")
        return self._call.result(timeout)

    @property
    def ident(self) -> Optional[int]:
        return None if self._call is None else self._call.item + 1

    native_id = ident

    def __repr__(self) -> str:
        state = "initial" if self._call is None else "started" if self.is_alive() else "stopped"
        return f"<Thread({self.name}, {state})>"


_waited_for: set = set()


def _join_all() -> None:
    """As in the standard library, the program ends after its threads that are no daemons."""
    for thread in list(_waited_for):
        thread.join()


atexit.register(_join_all)
