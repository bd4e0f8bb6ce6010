"""pqdm over one map of the engine, for processes.py and threads.py.

In: pqdm's arguments. Out: the list of results, and a bar that moves when results arrive, in the
order in which they are ready. (pqdm itself shows three bars: one for sending, one for waiting, one
for collecting; and its `immediate` raises only when all items are done.)
"""

from __future__ import annotations

from operator import length_hint
from typing import Any, Callable, Dict, Iterable, List, Optional

from .._codec import function as payload
from .._engine.stream import Failure

# What goes to the pool rather than to the bar, as pqdm divides them by its executors' arguments.
# A context or a name of threads has no meaning here and is accepted for the sake of the code.
POOL_OPTIONS = ("initializer", "initargs", "max_tasks_per_child")
IGNORED = ("max_workers", "mp_context", "thread_name_prefix")
ARGUMENT_TYPES = (None, "direct", "args", "kwargs")
BEHAVIOURS = ("ignore", "immediate", "deferred")


def make(module: str, threads: bool):  # what it returns is inferred, with its signature
    """The `pqdm` of this module."""

    def pqdm(
        array: Iterable[Any],
        function: Callable[..., Any],
        n_jobs: Optional[int] = None,
        argument_type: Optional[str] = None,
        bounded: bool = False,
        exception_behaviour: str = "ignore",
        tqdm_class: Any = None,
        **kwargs: Any,
    ) -> List[Any]:
        """Calls `function` with each item of `array`; the results, in order, behind one true bar.

        `n_jobs`: how many items run at once; None or -1 for all slots of the cluster.
        `argument_type`: "args" or "kwargs" spreads each item over the arguments.
        `exception_behaviour`: "ignore" leaves an exception in its item's place; "deferred" raises
        one with all of them when all items are done; "immediate" raises the first at once, and
        cancels.
        `bounded`: items are taken from `array` only as they are needed.
        Further arguments go to the pool (initializer, initargs, ...) or to tqdm (desc, total, ...).
        """
        return run(
            array, function, n_jobs, argument_type, bounded, exception_behaviour, tqdm_class,
            kwargs, threads)

    pqdm.__module__, pqdm.__qualname__ = module, "pqdm"
    return pqdm


def run(
    array: Iterable[Any],
    function: Callable[..., Any],
    n_jobs: Optional[int],
    argument_type: Optional[str],
    bounded: bool,
    exception_behaviour: str,
    tqdm_class: Any,
    options: Dict[str, Any],
    threads: bool,
) -> List[Any]:
    """One call of pqdm."""
    if argument_type not in ARGUMENT_TYPES:
        raise ValueError(f"argument_type is {argument_type!r}; it may be 'args', 'kwargs' or None")
    if exception_behaviour not in BEHAVIOURS:
        raise ValueError(
            f"exception_behaviour is {exception_behaviour!r}; it may be one of {BEHAVIOURS}")
    jobs = None if n_jobs in (None, -1) else int(n_jobs)  # type: ignore[arg-type]
    if jobs is not None and jobs < 1:
        raise ValueError(f"n_jobs is {n_jobs}; it must be at least 1, or -1 for all slots")
    if tqdm_class is None:
        # Not muster.auto's: this bar is moved by hand.
        from tqdm.auto import tqdm as tqdm_class  # type: ignore[import-untyped,no-redef]
    from .. import default

    pool = {key: options[key] for key in POOL_OPTIONS if options.get(key) is not None}
    if "max_tasks_per_child" in pool:
        pool["items_per_runner"] = pool.pop("max_tasks_per_child")
    bar_options = {
        key: value for key, value in options.items() if key not in POOL_OPTIONS + IGNORED}
    if bar_options.get("total") is None:
        bar_options["total"] = length_hint(array, -1) if length_hint(array, -1) >= 0 else None
    cluster = default()
    items: Iterable[Any] = array
    if argument_type == "kwargs":
        items = (((), item) for item in array)
        pool["style"] = payload.CALL
    stream = cluster.stream(
        function, items, spread=argument_type == "args", ordered=False, threads=threads,
        slots=jobs, buffer=2 * (jobs or cluster.slots) if bounded else None, **pool)
    with tqdm_class(**bar_options) as bar:
        return _collect(stream, bar, exception_behaviour)


def _collect(stream: Any, bar: Any, exception_behaviour: str) -> List[Any]:
    """Each result in the place of its item."""
    results: List[Any] = []
    failed: Dict[int, BaseException] = {}
    try:
        while True:
            values = stream.next_batch()
            if values is None:
                break
            first = stream.first
            missing = first + len(values) - len(results)
            if missing > 0:
                results.extend([None] * missing)
            if type(values[0]) is Failure:
                error = values[0].error
                if exception_behaviour == "immediate" or not isinstance(error, Exception):
                    raise error
                failed[first] = results[first] = error
            else:
                results[first:first + len(values)] = values
            bar.update(len(values))
    finally:
        stream.cancel()
    if failed and exception_behaviour == "deferred":
        raise Exception(*(failed[item] for item in sorted(failed)))
    return results
