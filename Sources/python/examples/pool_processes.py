"""multiprocessing.Pool: the ways to map and apply."""

from muster import Pool


def compute_x(x, y=2):
    return (x, y)


if __name__ == "__main__":
    with Pool() as pool:
        print(pool.map(compute_x, range(10)))
        print(pool.starmap(compute_x, [(1, 2), (3, 4)]))
        print(pool.apply(compute_x, (1,), {"y": 7}))
        for value in pool.imap_unordered(compute_x, range(5)):
            print(value)
        print(pool.map_async(compute_x, range(3)).get(timeout=30))
