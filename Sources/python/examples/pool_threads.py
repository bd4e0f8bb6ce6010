"""multiprocessing.pool.ThreadPool: the same calls, in threads of one process of a worker."""

from muster import ThreadPool


def fetch(number):
    from time import sleep

    sleep(0.05)
    return number * number


if __name__ == "__main__":
    with ThreadPool(8) as pool:
        print(pool.map(fetch, range(16)))
