"""concurrent.futures with processes: submit and as_completed, map, a partial function."""

from functools import partial

from muster import ProcessPoolExecutor, as_completed


def compute_x(x, y=2):
    return (x, y)


if __name__ == "__main__":
    with ProcessPoolExecutor() as pool:
        futures = {pool.submit(compute_x, number, y=number + 1): number for number in range(10)}
        for future in as_completed(futures):
            print(futures[future], future.result())
        print(list(pool.map(compute_x, range(10))))
        print(list(pool.map(partial(compute_x, y=5), range(10), chunksize=4)))
