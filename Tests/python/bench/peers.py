"""Muster beside joblib-loky, multiprocessing and concurrent.futures, by turns in one run.

In: `python peers.py [--repeat N] [--seconds S]`, with the cluster that is configured, or else one on
this machine (MUSTER_BINARY). Out: a table in Markdown: median, least and most of each, and the ratio
of the medians to the peer's. Both sides have as many processes as the cluster has slots. Every result
is compared with the right one, outside the time that is taken.

The functions do nothing (x -> 2x, as in the workload W1 of the peers' benchmarks), so what is timed
is what the systems add. On a busy machine only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import statistics
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


def one_by_one(submit: Callable[..., Any], count: int) -> List[int]:
    return [submit(double, number).result() for number in range(count)]


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
        ("submit to result, one after the other", "items/s", range,
         {"concurrent.futures": lambda items: one_by_one(theirs["executor"].submit, len(items)),
          "muster": lambda items: one_by_one(ours["executor"].submit, len(items))}),
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


if __name__ == "__main__":
    main()
