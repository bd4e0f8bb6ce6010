"""Runs CPython's own tests of executors and pools against ours.

In: `python cpython_suite.py [futures|pool] [unittest options]`, with any Python that has
cloudpickle and its package `test` (distributions often leave it out, or parts of it). Out: unittest's report;
exit code 0 when all passed or when this Python has no such tests, which is then said. Nothing of
the suites is part of this project.

Differences that are meant to be are in expected.txt, each with its reason.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import unittest
from typing import Any, Dict, Iterator, List, Optional, Tuple

import expected

# The suites run up to five items at once and wait for some of them meanwhile.
os.environ.setdefault("MUSTER_SLOTS", "8")

import muster  # noqa: E402

# Where the mixins are: one module up to 3.11, a package of modules from 3.12 on.
FUTURES = "test.test_concurrent_futures"
PARTS = ("util", "executor", "test_wait", "test_as_completed", "test_init", "test_shutdown",
         "test_process_pool", "test_thread_pool", "test_deadlock")
MIXINS = ("WaitTests", "AsCompletedTests", "InitializerMixin", "ExecutorShutdownTest",
          "ProcessPoolExecutorTest", "ThreadPoolExecutorTest", "ExecutorDeadlockTest")
KINDS = {"Processes": muster.ProcessPoolExecutor, "Threads": muster.ThreadPoolExecutor}


def futures_cases() -> Iterator[type]:
    """The mixins of test_concurrent_futures with our two executors."""
    found: Dict[str, Any] = {}
    try:
        package = importlib.import_module(FUTURES)
        modules = [package]
        if hasattr(package, "__path__"):
            modules = [importlib.import_module(f"{FUTURES}.{part}") for part in PARTS]
    except ImportError as error:
        raise Missing(str(error)) from error
    for module in modules:
        found.update(vars(module))
        if hasattr(module, "futures"):
            replace_names(module)
    base, mixin = found["BaseTestCase"], found["ExecutorMixin"]
    for kind, executor in KINDS.items():
        for name in MIXINS:
            # The tests of deadlocks kill processes.
            of_processes = name.startswith("ProcessPool") or name == "ExecutorDeadlockTest"
            if of_processes and kind != "Processes":
                continue
            if name.startswith("ThreadPool") and kind != "Threads":
                continue
            body: Dict[str, Any] = {"executor_type": executor, "__module__": __name__}
            if kind == "Processes":
                # They ask for a context, and pass it; the executor takes and ignores it.
                body.update(ctx="spawn", get_context=spawning)
            bases = [found[name]]
            bases += [one for one in (mixin, base) if not issubclass(found[name], one)]
            yield made(f"{kind}{name}", tuple(bases), body)


def spawning(self: Any) -> Any:
    return multiprocessing.get_context("spawn")


def made(name: str, bases: Tuple[type, ...], body: Dict[str, Any]) -> type:
    """A class that pickle finds by its name: some tests send their own methods."""
    case = type(name, bases, body)
    globals()[name] = case
    return case


def replace_names(module: Any) -> None:
    """In the suite's modules, and only there, the executors' names mean ours."""
    stand_in = type(sys)("futures")
    stand_in.__dict__.update(vars(module.futures))
    stand_in.__dict__.update(vars(importlib.import_module("concurrent.futures")))
    stand_in.ProcessPoolExecutor = muster.ProcessPoolExecutor  # type: ignore[attr-defined]
    stand_in.ThreadPoolExecutor = muster.ThreadPoolExecutor  # type: ignore[attr-defined]
    module.futures = stand_in


def pool_cases() -> Iterator[type]:
    """_TestPool and its kin with our two pools."""
    try:
        suite = importlib.import_module("test._test_multiprocessing")
    except ImportError as error:
        raise Missing(str(error)) from error
    # The module's own set-up names the method by which processes are started.
    for kind, pool in (("processes", muster.Pool), ("threads", muster.ThreadPool)):
        for name in ("_TestPool", "_TestPoolWorkerErrors", "_TestPoolWorkerLifetime"):
            case = getattr(suite, name)
            if kind not in case.ALLOWED_TYPES:
                continue
            body = {"TYPE": kind, "Pool": staticmethod(pool), "__module__": __name__}
            yield made(f"{kind.title()}{name}", (case, unittest.TestCase), body)
    suite.multiprocessing = Multiprocessing(suite.multiprocessing)


class Multiprocessing:
    """multiprocessing as the suite sees it: the real module, but for Pool."""

    Pool = staticmethod(muster.Pool)

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Missing(Exception):
    """This Python lacks the tests."""


def run(which: str, options: List[str]) -> Optional[bool]:
    """Runs one suite; None where it is not there."""
    suite = unittest.TestSuite()
    try:
        for case in futures_cases() if which == "futures" else pool_cases():
            expected.mark_unittest(case, f"cpython-{which}")
            suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    except Missing as error:
        print(f"{which}: skipped, this Python has no such tests: {error}")
        return None
    wanted = [option for option in options if not option.startswith("-")]
    if wanted:
        names = [test for test in tests(suite) if any(word in test.id() for word in wanted)]
        suite = unittest.TestSuite(names)
    muster.default()
    runner = unittest.TextTestRunner(verbosity=2 if "-v" in options else 1)
    return runner.run(suite).wasSuccessful()


def tests(suite: Any) -> Iterator[Any]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests(test)
        else:
            yield test


def main() -> int:
    arguments = sys.argv[1:]
    which: Tuple[str, ...] = ("futures", "pool")
    if arguments and arguments[0] in which:
        which = (arguments.pop(0),)
    outcomes = [run(one, arguments) for one in which]
    return 1 if False in outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
