"""threading.Thread: start and join, on the cluster. `result()` gives what the function returns."""

from muster import Thread


def compute_x(x, y=2):
    from time import sleep

    sleep(0.2)
    return (x, y)


if __name__ == "__main__":
    threads = [Thread(target=compute_x, args=(number,), kwargs={"y": 3}) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print([thread.result() for thread in threads])
