"""concurrent.futures with threads: one process of the worker, many items that wait in it."""

from muster import ThreadPoolExecutor


def fetch(number):
    from time import sleep

    sleep(0.05)
    return number * number


if __name__ == "__main__":
    with ThreadPoolExecutor(max_workers=8) as pool:
        print(list(pool.map(fetch, range(40)))[-1])
