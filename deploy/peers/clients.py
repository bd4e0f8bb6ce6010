"""The program of a user, one for each peer: N items in, values out in input order.

Called as: clients.py PEER FOLDER N ADDRESS. Each value that the peer hands over is a line of
FOLDER/delivered at once. The last line of FOLDER/said is how it ended: "ok", or the error.
"""
import functools
import os
import sys

import item


def joblib(folder, n, address):
    import joblib

    task = joblib.delayed(functools.partial(item.work, folder))
    yield from joblib.Parallel(n_jobs=2, return_as="generator")(task(i) for i in range(n))


def dask(folder, n, address):
    import dask.distributed

    client = dask.distributed.Client(address)
    futures = client.map(functools.partial(item.work, folder), range(n), pure=False)
    for future in futures:
        yield future.result()


def hyperqueue(folder, n, address):
    import hyperqueue

    client = hyperqueue.Client(address)
    job = hyperqueue.Job(default_workdir=folder)
    for i in range(n):
        command = item.SHELL.format(folder=folder, i=i)
        job.program(["sh", "-c", command], stdout=f"{folder}/out.{i}", stderr=None)
    sent = client.submit(job)
    error = None
    try:
        client.wait_for_jobs([sent])
    except hyperqueue.client.FailedJobsException as failed:
        error = failed
    # It hands over files; those of items that succeeded are there, failed or not.
    for i in range(n):
        try:
            text = open(f"{folder}/out.{i}").read().strip()
        except OSError:
            text = ""
        if not text:
            break
        yield int(text)
    if error:
        raise error


def main():
    peer, folder, n, address = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    said = "ok"
    try:
        with open(f"{folder}/delivered", "w", buffering=1) as delivered:
            for value in globals()[peer](folder, n, address):
                delivered.write(f"{value}\n")
    except BaseException as error:
        said = type(error).__name__
    with open(f"{folder}/said", "w") as file:
        file.write(said)
    # What a peer does at its end is none of the measurement's business.
    os._exit(0 if said == "ok" else 1)


if __name__ == "__main__":
    main()
