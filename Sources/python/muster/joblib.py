"""The joblib backend "muster": `with joblib.parallel_config(backend="muster"): ...`.

In: batches of delayed calls, from joblib. Out: each batch as one call of a job of the cluster; its
list of results goes back through joblib's callback, on every way a call can end. How the batch
grows is in _joblib/batching.py, how it is packed and sent in _joblib/session.py, what the runner
does with it in runner/batches.py.

joblib's own rules hold: `n_jobs=1` runs in this process, negative numbers count back from all
slots of the cluster, joblib calls inside the function run in threads of the worker's process.
Without `n_jobs` all slots are used.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, Optional

from joblib._parallel_backends import FallbackToBackend  # type: ignore[import-untyped]
from joblib.parallel import (  # type: ignore[import-untyped]
    AutoBatchingMixin,
    ParallelBackendBase,
    SequentialBackend,
    ThreadingBackend,
    register_parallel_backend,
)

from ._engine.sharing import LEAST_BYTES
from ._joblib.batching import MeasuredBatching
from ._joblib.session import Session

# Options of the job that may be given to parallel_config or Parallel; the rest of what joblib
# passes (temp_folder, context, ...) is about its own processes and has no meaning here.
JOB_OPTIONS = ("initializer", "initargs", "retries", "name", "threads")


class MusterBackend(MeasuredBatching, AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Runs the batches of joblib calls on a Muster cluster.

    `profile` names the cluster as on the command line; `cluster` is one that is open already.
    With neither, the configured cluster is used, or else one on this machine.
    `inner_max_num_threads` caps the threads of BLAS, OpenMP and numba in the workers' processes.
    """

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True
    uses_threads = False
    supports_sharedmem = False
    default_n_jobs = -1

    def __init__(
        self,
        nesting_level: Optional[int] = None,
        inner_max_num_threads: Optional[int] = None,
        profile: Optional[str] = None,
        cluster: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads, **options
        )
        self.profile = profile
        self.parallel: Any = None
        self._cluster = cluster
        self._options: Dict[str, Any] = {}
        self._n_jobs = 1
        self._max_bytes: Optional[int] = LEAST_BYTES
        self._mmap_mode: Optional[str] = "r"
        # One run of Parallel, or several of them inside `with Parallel(...)`.
        self._workers: Optional[Session] = None

    def __reduce__(self) -> Any:
        # A backend that a function drags along stands for the name, not for the connection.
        return MusterBackend, (self.nesting_level, self.inner_max_num_threads, self.profile)

    @property
    def cluster(self) -> Any:
        """The cluster, connected at first use and shared by all backends of the process."""
        if self._cluster is None:
            import muster

            self._cluster = muster.connect(self.profile) if self.profile else muster.default()
        return self._cluster

    def effective_n_jobs(self, n_jobs: Optional[int]) -> int:
        """How many batches run at once: joblib's meaning of `n_jobs`, with slots for cores."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            n_jobs = self.default_n_jobs
        if n_jobs > 0:
            return n_jobs
        count = max(self.cluster.slots + 1 + n_jobs, 1)
        # joblib takes 1 for "here, without the backend". All slots of a cluster that has one of
        # them are still the cluster's; a second batch then waits behind the first.
        return max(count, 2) if n_jobs == -1 else count

    def configure(
        self,
        n_jobs: int = 1,
        parallel: Any = None,
        prefer: Optional[str] = None,
        require: Optional[str] = None,
        **options: Any,
    ) -> int:
        """Opens a session for the coming calls and returns how many batches run at once."""
        count = self.effective_n_jobs(n_jobs)
        if count == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._n_jobs = count
        merged = {**self.backend_kwargs, **options}
        self._options = {key: merged[key] for key in JOB_OPTIONS if merged.get(key) is not None}
        self._max_bytes = merged.get("max_nbytes", LEAST_BYTES)
        self._mmap_mode = merged.get("mmap_mode", "r")
        # joblib's hint means here: in threads of one process on each worker.
        self._options.setdefault("threads", prefer == "threads")
        self._workers = self._session()
        return count

    def _session(self) -> Session:
        return Session(
            self.cluster,
            level=(self.nesting_level or 0) + 1,
            max_running=self._n_jobs,
            inner_threads=self.inner_max_num_threads,
            options=self._options,
            max_bytes=self._max_bytes,
            mmap_mode=self._mmap_mode,
            measured=self.measured,
        )

    def submit(self, func: Any, callback: Optional[Callable[[Any], None]] = None) -> Any:
        """Sends a batch; `callback` is called exactly once, however the batch ends."""
        session = self._workers
        if session is None:
            raise RuntimeError(
                "The muster backend got a batch outside a call of Parallel; "
                "call configure() first, as joblib does."
            )
        return session.submit(func, callback)

    # The name of this method up to joblib 1.4.
    apply_async = submit

    def retrieve_result_callback(self, out: Any) -> Any:
        """The batch's results, or its exception."""
        return out.result()

    def start_call(self) -> None:
        """One call of Parallel begins: bars of muster.auto count its items from now on."""
        if self._workers is not None:
            self._workers.begin()

    def stop_call(self) -> None:
        """One call of Parallel is over."""
        if self._workers is not None:
            self._workers.progress.end()

    def terminate(self) -> None:
        """Ends the session; the runners stay warm for the next one."""
        session, self._workers = self._workers, None
        if session is not None:
            session.close()
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancels what runs and waits, on the cluster too."""
        session, self._workers = self._workers, None
        if session is not None:
            session.cancel()
        self._forget_ready_batches()
        if ensure_ready:
            self._workers = self._session()

    def _forget_ready_batches(self) -> None:
        """Batches that joblib has made and not sent: it would begin the next call of an open
        Parallel with them."""
        lock = getattr(self.parallel, "_lock", None)
        batches = getattr(self.parallel, "_ready_batches", None)
        if lock is None or batches is None:
            return
        with lock:
            while not batches.empty():
                batches.get_nowait()


def register() -> None:
    """Makes the backend known to joblib under the name "muster"."""
    # A function that runs on the cluster already has no way to it: there the name means threads.
    inside = "_muster.runner.main" in sys.modules
    register_parallel_backend("muster", ThreadingBackend if inside else MusterBackend)
