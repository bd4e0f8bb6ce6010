"""pqdm with threads: items that wait share one process of a worker. Exceptions stay in place."""

from muster.pqdm.threads import pqdm


def inverse(number):
    from time import sleep

    sleep(0.01)
    return 1 / number


if __name__ == "__main__":
    results = pqdm(range(20), inverse, n_jobs=4, exception_behaviour="ignore")
    print(results[0], results[4])
