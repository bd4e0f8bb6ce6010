"""Muster: Python functions on a cluster. `connect()`, `local()` and `default()` give a Cluster;
the facades (futures, pool, threads, joblib) sit on top of it and are loaded when they are used."""

import importlib
from typing import Any

from ._engine.call import Call
from ._engine.cluster import Cluster, connect, default
from ._engine.job import Job
from ._engine.local import local
from .errors import (CannotStart, ClusterError, ItemError, ItemTimedOut, RemoteError,
                     RemoteTraceback, RunnerDied)
from .runner.hook import when_imported as _when_imported

__version__ = "0.1.0"
_LATER = {
    "ProcessPoolExecutor": "futures", "ThreadPoolExecutor": "futures", "as_completed": "futures",
    "wait": "futures", "Future": "futures", "Pool": "pool", "ThreadPool": "pool",
    "Thread": "threads"}
__all__ = ["Call", "CannotStart", "Cluster", "ClusterError", "ItemError", "ItemTimedOut", "Job",
           "RemoteError", "RemoteTraceback", "RunnerDied", "connect", "default", "local",
           *_LATER]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module("." + _LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _register_joblib() -> None:
    from .joblib import register

    register()


# joblib is not needed here; where it is used, it knows the backend "muster".
_when_imported("joblib.parallel", _register_joblib)
