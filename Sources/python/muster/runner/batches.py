"""What a runner calls for a joblib job: one batch of delayed calls.

In: the batch as muster/joblib.py packs it (the user's function has travelled before, with the
job). Out: the list of its results, in order. Beside it this file keeps joblib calls that the
user's function makes itself in threads of this process, as joblib does on one machine.
Next: muster/joblib.py takes the list apart.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import Any, Callable, ContextManager, List, Optional

from .hook import when_imported

# How the rows of a batch are packed. With SINGLE each row is the one positional argument of the
# job's function; with CALLS it is (function or None for the job's, args, kwargs).
SINGLE = 0
CALLS = 1

# The same names as joblib sets for its own processes.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS",
)

_prepared = False


class Batch:
    """The function of the job: calls `function` (or the row's own) for each row."""

    __slots__ = ("function", "level")

    def __init__(self, function: Callable[..., Any], level: int) -> None:
        self.function = function
        self.level = level

    def __reduce__(self) -> Any:
        return Batch, (self.function, self.level)

    def __call__(self, form: int, rows: List[Any]) -> List[Any]:
        function = self.function
        with _nested(self.level):
            if form == SINGLE:
                return [function(argument) for argument in rows]
            return [
                (function if own is None else own)(*args, **kwargs) for own, args, kwargs in rows
            ]


def _nested(level: int) -> ContextManager[Any]:
    """The joblib configuration below a batch: threads at first, then no parallelism at all."""
    _prepare()
    # Not imported only for this: joblib takes a quarter of a second, and most functions never
    # make a joblib call of their own. One that does imports it, and _prepare saw to that.
    joblib = sys.modules.get("joblib.parallel")
    if joblib is None:
        return nullcontext()
    try:
        name = "threading" if level <= 1 else "sequential"
        backend = joblib.BACKENDS[name](nesting_level=level)
        return joblib.parallel_config(backend=backend, n_jobs=None)  # type: ignore[no-any-return]
    except AttributeError:  # a joblib older than 1.3, or one that another thread still imports
        return nullcontext()


def _prepare() -> None:
    """Once a process: joblib starts with threads here, also if it is imported later."""
    global _prepared
    if _prepared:
        return
    _prepared = True

    def use_threads() -> None:
        joblib = sys.modules["joblib.parallel"]
        joblib.DEFAULT_BACKEND = joblib.DEFAULT_PROCESS_BACKEND = "threading"
        # A function that names our backend runs on the cluster already.
        joblib.BACKENDS["muster"] = joblib.BACKENDS["threading"]

    when_imported("joblib.parallel", use_threads)


def limit_threads(
    count: int, initializer: Optional[Callable[..., Any]] = None, initargs: Any = ()
) -> None:
    """Initializer of a job with `inner_max_num_threads`: caps the numeric libraries' threads."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(count)
    # The variables are read when a library is loaded; one that is there already must be told.
    try:
        import threadpoolctl  # type: ignore[import-not-found, unused-ignore]

        threadpoolctl.threadpool_limits(count)
    except ImportError:
        pass
    numba = sys.modules.get("numba")
    if numba is not None:
        numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    if initializer is not None:
        initializer(*initargs)
