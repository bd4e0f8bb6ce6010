"""Numba: a `prange` loop uses the cores of the worker it is on; `nogil` functions run side by side.

Both in a thread pool: its one process on each worker has all cores of the worker for its threads,
where each process of a process pool has the share of a slot.
"""

import numpy
from numba import njit, prange

from muster import ThreadPoolExecutor


@njit(parallel=True)
def roots(count):
    total = 0.0
    for number in prange(count):
        total += number**0.5
    return total


@njit(nogil=True)
def harmonic(count):
    total = 0.0
    for number in range(1, count + 1):
        total += 1.0 / number
    return total


def busy_threads(count):
    """The sum, and the share of the work that each thread of Numba did, by its processor time."""
    from pathlib import Path

    def used():
        tasks = Path("/proc/self/task").glob("*/stat")
        lines = {path.parent.name: path.read_text().rsplit(")", 1)[1].split() for path in tasks}
        return {name: int(fields[11]) + int(fields[12]) for name, fields in lines.items()}

    roots(10)
    before = used()
    total = roots(count)
    times = [time - before.get(name, 0) for name, time in used().items()]
    return total, sorted(time / sum(times) for time in times if time > 0.1 * sum(times))


if __name__ == "__main__":
    with ThreadPoolExecutor(max_workers=1) as pool:
        total, shares = pool.submit(busy_threads, 200_000_000).result()
        print(f"{total:.6e} by {len(shares)} threads")
    with ThreadPoolExecutor(max_workers=4) as pool:
        print(numpy.array(list(pool.map(harmonic, [10, 100, 1000]))))
