"""joblib, where one machine's code asked for threads: functions that wait, for a server or a disk.

`prefer="threads"` means the same here: the calls share one process on each worker.
"""

from joblib import Parallel, delayed

import muster  # noqa: F401  makes the backend known to joblib


def fetch(number):
    from time import sleep

    sleep(0.05)
    return number * number


if __name__ == "__main__":
    with Parallel(
        n_jobs=8, backend="muster", prefer="threads", return_as="generator"
    ) as parallel:
        for square in parallel(delayed(fetch)(number) for number in range(20)):
            print(square)
