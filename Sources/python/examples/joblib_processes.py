"""joblib, as with loky: the code inside `with` is what one wrote for one machine."""

from joblib import Parallel, delayed, parallel_config

import muster  # noqa: F401  makes the backend known to joblib


def compute_x(x, y=2):
    from time import sleep

    sleep(0.8)
    return (x, y)


if __name__ == "__main__":
    with parallel_config(backend="muster", n_jobs=-1):
        results = Parallel()(delayed(compute_x)(i) for i in range(1, 11))
    print(results)
