"""`pqdm` in processes of the workers: the same signature as pqdm.processes.pqdm."""

from __future__ import annotations

from typing import Any, Callable, Iterable, List, Optional

from ._run import run


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
    `exception_behaviour`: "ignore" leaves an exception in its item's place; "deferred" raises one
    with all of them when all items are done; "immediate" raises the first at once, and cancels.
    `bounded`: items are taken from `array` only as they are needed.
    Further arguments go to the pool (initializer, initargs, ...) or to tqdm (desc, total, ...).
    """
    return run(
        array, function, n_jobs, argument_type, bounded, exception_behaviour, tqdm_class, kwargs,
        threads=False,
    )
