"""Muster beside joblib-loky, multiprocessing and concurrent.futures, by turns in one run.

In: `python peers.py [--repeat N] [--seconds S]`, with the cluster that is configured, or else one on
this machine (MUSTER_BINARY). Out: a table in Markdown: median, least and most of each, and the ratio
of the medians to the peer's. Both sides have as many processes as the cluster has slots. Every result
is compared with the right one, outside the time that is taken.

Two rows are times, for which less is better: of one submit to its result, and of a new process from
the import to the first result, processes and embedded cluster included.

The functions do nothing (x -> 2x, as in the workload W1 of the peers' benchmarks), so what is timed
is what the systems add. On a busy machine only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool
from typing import Any, Callable, Dict, List, Tuple

from joblib import Parallel, delayed

import muster


def double(x: int) -> int:
    return 2 * x


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 255]) + data[1:]


Contest = Tuple[str, str, Callable[[int], Any], Dict[str, Callable[[Any], Any]]]


# Programs of their own, which print the seconds until the first result.
STARTS = {
    "loky": """
from joblib.externals.loky import get_reusable_executor
assert get_reusable_executor({slots}).submit(abs, -1).result() == 1
""",
    "muster": """
import muster
cluster = muster.local({slots})
assert cluster.job(abs).call((-1,)).result() == 1
""",
}


def contests(slots: int, ours: Dict[str, Any], theirs: Dict[str, Any]) -> List[Contest]:
    """(name, unit, input of a size, contestants); the peer comes first."""
    def parallel(backend: str) -> Callable[[Any], Any]:
        return lambda items: Parallel(n_jobs=slots, backend=backend)(
            delayed(double)(item) for item in items)

    payload = bytes(1 << 20)
    return [
        ("joblib, default settings", "items/s", range,
         {"loky": parallel("loky"), "muster": parallel("muster")}),
        ("Pool.map, default settings", "items/s", lambda count: list(range(count)),
         {"multiprocessing": lambda items: theirs["pool"].map(double, items),
          "muster": lambda items: ours["pool"].map(double, items)}),
        ("executor map, default settings", "items/s", lambda count: list(range(count)),
         {"concurrent.futures": lambda items: list(theirs["executor"].map(double, items)),
          "muster": lambda items: list(ours["executor"].map(double, items))}),
        ("1 MiB in and out, Pool.map", "MiB/s", lambda count: [payload] * count,
         {"multiprocessing": lambda items: theirs["pool"].map(flip, items),
          "muster": lambda items: ours["pool"].map(flip, items)}),
    ]


def check(items: Any, found: List[Any]) -> None:
    function = flip if isinstance(items[0], bytes) else double
    assert len(found) == len(items), f"{len(found)} results of {len(items)}"
    assert all(function(item) == value for item, value in zip(items, found)), "a wrong result"


def timed(run: Callable[[Any], Any], items: Any) -> float:
    start = time.perf_counter()
    found = run(items)
    took = time.perf_counter() - start
    check(items, found)
    return took


def size_for(run: Callable[[Any], Any], make: Callable[[int], Any], seconds: float) -> int:
    """So many items that a run takes about that long."""
    # The first run starts processes, which is not what is measured.
    timed(run, make(100))
    count = 100
    while True:
        took = timed(run, make(count))
        if took >= seconds / 4 or count >= 4_000_000:
            return max(1, min(int(count * seconds / max(took, 1e-6)), 5_000_000))
        count *= 4


def contest(entry: Contest, repeat: int, seconds: float) -> None:
    name, unit, make, runs = entry
    scale = 2 if unit == "MiB/s" else 1
    items = {who: make(size_for(run, make, seconds)) for who, run in runs.items()}
    rates: Dict[str, List[float]] = {who: [] for who in runs}
    for _ in range(repeat):
        for who, run in runs.items():
            rates[who].append(scale * len(items[who]) / timed(run, items[who]))
    peer = statistics.median(rates[next(iter(runs))])
    for who, found in rates.items():
        middle = statistics.median(found)
        print(f"| {name} | {who} | {middle:,.0f} {unit} | {min(found):,.0f} - {max(found):,.0f} "
              f"| {middle / peer:.2f} |", flush=True)


def submits(who: str, submit: Callable[..., Any], count: int) -> List[float]:
    """Seconds from each submit to its result, one after the other."""
    took = []
    for number in range(count):
        start = time.perf_counter()
        value = submit(double, number).result()
        took.append(time.perf_counter() - start)
        assert value == 2 * number, f"a wrong result of {who}"
    return took


def start_up(who: str, slots: int) -> float:
    program = STARTS[who].format(slots=slots)
    clock = "import time; begin = time.perf_counter()\n"
    done = subprocess.run(
        [sys.executable, "-c", clock + program + "print(time.perf_counter() - begin, flush=True)"],
        check=True, capture_output=True, text=True)
    return float(done.stdout)


def times(name: str, who: str, found: List[float], peer: float) -> float:
    """Prints a row in milliseconds; returns the median."""
    middle = statistics.median(found)
    low, high = (1000 * end for end in (min(found), max(found)))
    print(f"| {name} | {who} | {1000 * middle:,.2f} ms | {low:,.2f} - {high:,.2f} "
          f"| {middle / (peer or middle):.2f} |", flush=True)
    return middle


def latencies(executors: Dict[str, Any], slots: int, repeat: int) -> None:
    waits: Dict[str, List[float]] = {who: [] for who in executors}
    for turn in range(repeat + 1):
        for who, executor in executors.items():
            found = submits(who, executor.submit, 300)
            # The first turn starts processes.
            waits[who] += found if turn else []
    peer = 0.0
    for who, found in waits.items():
        middle = times("submit to result", who, found, peer)
        peer = peer or middle
    starts: Dict[str, List[float]] = {who: [] for who in STARTS}
    for _ in range(max(5, repeat)):
        for who in STARTS:
            starts[who].append(start_up(who, slots))
    peer = times("start to first result", "loky", starts["loky"], 0)
    times("start to first result", "muster", starts["muster"], peer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run, about")
    options = parser.parse_args()
    slots = muster.default().slots
    print(f"{slots} slots\n\n| what | who | median | least - most | to the peer |")
    print("|---|---|---|---|---|")
    with Pool(slots) as pool, ProcessPoolExecutor(slots) as executor, \
            muster.Pool(slots) as our_pool, muster.ProcessPoolExecutor(slots) as our_executor:
        ours = {"pool": our_pool, "executor": our_executor}
        for entry in contests(slots, ours, {"pool": pool, "executor": executor}):
            contest(entry, options.repeat, options.seconds)
        latencies({"concurrent.futures": executor, "muster": our_executor}, slots, options.repeat)


if __name__ == "__main__":
    main()
