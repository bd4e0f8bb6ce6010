"""A bar around a joblib call. It counts results, not items taken, and ends at N of N."""

from joblib import Parallel, delayed, parallel_config

from muster.auto import tqdm


def collatz(start):
    steps, number = 0, start
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


if __name__ == "__main__":
    count = 20_000
    with parallel_config(backend="muster", n_jobs=-1):
        steps = Parallel()(delayed(collatz)(start) for start in tqdm(range(1, count + 1)))
    print(max(steps))
