"""Muster: Python functions on a cluster. `connect()`, `local()` and `default()` give a Cluster;
the facades (futures, pool, threads, joblib) sit on top of it and need none of this."""

from ._engine.call import Call
from ._engine.cluster import Cluster, connect, default
from ._engine.job import Job
from ._engine.local import local
from .errors import (CannotStart, ClusterError, ItemError, ItemTimedOut, RemoteError,
                     RemoteTraceback, RunnerDied)

__version__ = "0.1.0"
__all__ = ["Call", "CannotStart", "Cluster", "ClusterError", "ItemError", "ItemTimedOut", "Job",
           "RemoteError", "RemoteTraceback", "RunnerDied", "connect", "default", "local"]
