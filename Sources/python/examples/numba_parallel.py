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


def threads_of(count):
    """How many threads of Numba there are, and how much processor time a second of it took."""
    import os
    import time

    import numba

    roots(10)
    wall, used = time.perf_counter(), sum(os.times()[:2])
    total = roots(count)
    return total, numba.get_num_threads(), sum(os.times()[:2]) - used, time.perf_counter() - wall


if __name__ == "__main__":
    with ThreadPoolExecutor(max_workers=1) as pool:
        total, threads, used, wall = pool.submit(threads_of, 200_000_000).result()
        print(f"{total:.6e} with {threads} threads: {used / wall:.1f} cores")
    with ThreadPoolExecutor(max_workers=4) as pool:
        print(numpy.array(list(pool.map(harmonic, [10, 100, 1000]))))
