"""A cluster as a program sees it. In: a profile's name, or nothing. Out: jobs (job.py) and maps
(stream.py). Where an embedded one comes from is local.py."""

import os
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Tuple

from .._codec import bundle
from .._codec import function as payload
from .._link import profile as profiles
from .._link.files import OutgoingFile
from .._link.line import JobLine, Receiver
from .._link.link import Link
from .._wire import spec
from ..errors import ClusterError
from .job import Job, name_of
from .stream import Stream, iterate

# A function above this travels as a file, once per worker.
_INLINE = 64 << 10
_OPTIONS = frozenset([
    "threads", "initializer", "initargs", "fixed", "retries", "timeout", "ordered",
    "items_per_runner", "runner_bytes", "max_running", "name", "on_result", "chunk",
    "environment", "files", "pool", "slots"])


class Cluster:
    """Workers that call functions of this program. Closed by `close()` or as a context."""

    def __init__(self, link: Link, *, is_local: bool = False, owner: Any = None) -> None:
        self.link, self.is_local = link, is_local
        self._owner = owner
        self._ready: Optional[Tuple[int, int]] = None
        self.name = link.profile.name

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends the session; jobs of this program that still run go on without it, but for those
        of an embedded cluster, which ends."""
        self.link.close()
        if self._owner is not None:
            self._owner.close()

    @property
    def is_closed(self) -> bool:
        return self.link.over is not None

    def status(self) -> Dict[str, Any]:
        return self.link.request({"status": {}})["status"]["_0"]

    @property
    def slots(self) -> int:
        """Items that can run at the same time, on all workers together."""
        return self._ready_workers()[0]

    def _ready_workers(self) -> Tuple[int, int]:
        """Slots, and the workers that have them. An embedded cluster never changes."""
        if self._ready is None or not self.is_local:
            workers = self.status()["workers"]
            ready = [worker["slots"] for worker in workers if worker["state"] == "ready"]
            found = sum(ready), len(ready)
            self._ready = found if ready else None
            return found
        return self._ready

    def _limit(self, options: Dict[str, Any]) -> None:
        """`max_running` counts all items that workers hold, which keeps chunks tiny. A pool wants
        only that no more processes work for it, which is cheaper to say in most cases. Asks the
        coordinator, so never with the link's lock held."""
        slots = options.pop("slots", None)
        if slots:
            all_slots, workers = self._ready_workers()
            if not workers or (slots < all_slots and workers > 1):
                options["max_running"] = slots
            elif slots < all_slots:
                options["max_per_worker"] = slots

    # Jobs

    def job(self, function: Optional[Callable], **options: Any) -> Job:
        """One job on the cluster that takes calls of `function` one by one. Nothing is sent
        before the first call.

        Options: `threads`, `initializer`, `initargs`, `fixed` (arguments before all others),
        `retries`, `timeout` (seconds of one attempt), `items_per_runner`, `max_running`, `name`,
        `slots` (use at most so many of those that are there when the job begins),
        `pool` (jobs of one pool share processes and what its initializer set up there).
        Without a function the job takes `apply`."""
        _check(options)
        self._limit(options)
        return Job(self, function, options)

    def map(
        self, function: Callable, iterable: Iterable[Any], *iterables: Iterable[Any],
        threads: bool = False, chunk: Optional[int] = None, buffer: Optional[int] = None,
        timeout: Optional[float] = None, errors: str = "raise", ordered: bool = True,
        total_timeout: Optional[float] = None, spread: bool = False, indexed: bool = False,
        on_done: Optional[Callable[[int], Any]] = None,
        translate: Optional[Callable[[BaseException], BaseException]] = None, **options: Any,
    ) -> Iterator[Any]:
        """Calls `function` with each item, or with one of each iterable; yields the values in
        order. Starts at once.

        `chunk`: items that a slot takes together, nothing = by measured time. `buffer`: items
        that may be out before their values are taken. `timeout`: seconds of one attempt.
        `errors`: "raise" the first failure in its place, or "collect" exceptions as values.
        `total_timeout`: seconds from now after which a value is not waited for. `spread`: each
        item is a tuple of arguments. `indexed`: yields pairs of item and value. `on_done(n)`: n
        more items have ended; called on the link's thread. `translate`: what to raise in place of a
        failure."""
        _check(options)
        options.update(threads=threads, chunk=chunk, timeout=timeout)
        stream = self.stream(
            function, iterable, *iterables, buffer=buffer, ordered=ordered, spread=spread,
            on_done=on_done, **options)
        limit = None
        if total_timeout is not None:
            end = time.monotonic() + total_timeout

            def limit() -> float:
                return max(0.0, end - time.monotonic())
        return iterate(stream, errors == "collect", limit, indexed, translate)

    def stream(
        self, function: Callable, iterable: Iterable[Any], *iterables: Iterable[Any],
        buffer: Optional[int] = None, ordered: bool = True, spread: bool = False,
        show: bool = True, on_done: Optional[Callable[[int], Any]] = None,
        make: Callable[..., Stream] = Stream, style: Optional[str] = None, **options: Any,
    ) -> Stream:
        """The same as batches of values; nothing checks for failures among them. `style`: how an
        item becomes a call (_codec/function.py), where neither form of `spread` will do."""
        if iterables:
            iterable, spread = zip(iterable, *iterables), True
        self._limit(options)
        name = options.get("name") or name_of(function)
        stream = make(self, name, show, on_done)
        array = _array(iterable) if not spread and not buffer and not style else None
        style = style or (payload.SPREAD if spread else payload.ONE)
        options.pop("on_result", None)
        stream.line = self.line(
            function, style, options, stream, name=name, array=array, ordered=ordered)
        try:
            self.link.start(stream.line)
            if array is None:
                if isinstance(iterable, (list, tuple)) and not buffer:
                    stream.feed_list(iterable)
                else:
                    stream.feed_iterator(iter(iterable), buffer)
        except BaseException:
            stream.cancel()
            raise
        return stream

    def line(
        self, function: Optional[Callable], style: str, options: Dict[str, Any],
        receiver: Receiver, *, name: str, array: Optional[Tuple[int, int, int]], ordered: bool,
    ) -> JobLine:
        """A job that was not submitted yet."""
        self.link.check()
        threads = bool(options.get("threads"))
        initializer = options.get("initializer")
        pool = options.get("pool")
        if initializer is not None and not pool:
            pool = os.urandom(8).hex()
        fixed = payload.pack(
            function, style=style, initializer=initializer,
            initargs=tuple(options.get("initargs") or ()),
            fixed=tuple(options.get("fixed") or ()), here=self.is_local, pool=pool)
        data, digest = bundle.bundle()
        files = [OutgoingFile(bundle.NAME, data, digest), *(options.get("files") or ())]
        fixed_file = None
        if len(fixed) > _INLINE:
            shared = OutgoingFile("", fixed)
            shared.name = fixed_file = f"shared-{shared.digest[:16]}"
            files.append(shared)
            fixed = b""
        environment = list(options.get("environment") or ())
        if pool:
            # What an initializer changes is for this pool alone: no others share its runners.
            environment.append(f"MUSTER_PYTHON_POOL={pool}")
        made = spec.job(
            name=name, command=bundle.command(), function=name, fixed=fixed,
            fixed_file=fixed_file, files=[file.spec() for file in files], threads=threads,
            environment=environment, inherits=self.is_local, array=array, ordered=ordered,
            retries=int(options.get("retries") or 0), timeout=options.get("timeout"),
            items_per_runner=options.get("items_per_runner"),
            max_running=options.get("max_running"),
            max_per_worker=options.get("max_per_worker"), chunk=options.get("chunk"),
            runner_bytes=options.get("runner_bytes"))
        return JobLine(self.link, made, {file.digest: file for file in files}, receiver)

    def show(self, stdout: str, stderr: str) -> None:
        """What an item printed goes where this program prints."""
        for text, stream in ((stdout, sys.stdout), (stderr, sys.stderr)):
            if text and stream is not None:
                try:
                    stream.write(text)
                    stream.flush()
                except (OSError, ValueError):
                    pass  # nobody reads it


def pool_options(
    threads: bool, initializer: Optional[Callable], initargs: Iterable[Any], *,
    slots: Optional[int], items_per_runner: Optional[int],
) -> Dict[str, Any]:
    """Options of one pool's jobs. Where its processes are not like others', they are its own."""
    options = dict(
        threads=threads, initializer=initializer, initargs=tuple(initargs),
        slots=slots, items_per_runner=items_per_runner)
    if initializer is not None or items_per_runner is not None:
        options["pool"] = os.urandom(8).hex()
    return options


def _check(options: Dict[str, Any]) -> None:
    unknown = set(options) - _OPTIONS
    if unknown:
        raise TypeError(
            f"unknown options: {', '.join(sorted(unknown))}; known are "
            f"{', '.join(sorted(_OPTIONS))}")


def _array(iterable: Any) -> Optional[Tuple[int, int, int]]:
    """A range that never becomes inputs: first, step, count."""
    if type(iterable) is not range or not len(iterable):
        return None
    if not all(-(1 << 62) < end < 1 << 62 for end in (iterable[0], iterable[-1])):
        return None
    return iterable[0], iterable.step, len(iterable)


# The process's own cluster

_lock = threading.Lock()
_default: Optional[Cluster] = None
_default_pid = 0


def _after_fork() -> None:
    """Another thread may have held the lock, and there is no such thread here."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def connect(profile: Optional[str] = None) -> Cluster:
    """The cluster that this user has logged in to (`muster login`), by name or the one in use."""
    return Cluster(Link(lambda: profiles.load(profile)))


def default() -> Cluster:
    """The configured cluster, else an embedded one; opened once and kept for the process."""
    global _default, _default_pid
    if "_muster.runner.main" in sys.modules:
        raise ClusterError(
            "this code runs in an item on a worker, where no further cluster is opened by itself: "
            "call functions directly there, or muster.connect() on purpose", "usage")
    with _lock:
        if _default is None or _default.is_closed or _default_pid != os.getpid():
            local_wanted = os.environ.get("MUSTER_LOCAL", "0") not in ("", "0")
            if not local_wanted and profiles.chosen() is not None:
                _default = connect()
            else:
                from .local import local

                _default = local(_slots_wanted())
            _default_pid = os.getpid()
        return _default


def _slots_wanted() -> Optional[int]:
    text = os.environ.get("MUSTER_SLOTS")
    if not text:
        return None
    if not text.isdigit() or int(text) < 1:
        raise ClusterError(f"MUSTER_SLOTS is {text!r}, which is no number of slots", "usage")
    return int(text)
