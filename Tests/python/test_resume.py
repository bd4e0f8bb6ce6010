"""A map and single calls go on when a runner, the worker or the coordinator is killed."""

import os
import signal
import subprocess
import threading
import time

import pytest

from conftest import until


def runners(processes):
    """Process numbers of Python runners below the worker."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], stdout=subprocess.PIPE,
                            text=True, check=True).stdout.splitlines()
    rows = [line.split(None, 2) for line in listed]
    family, grown = {processes.worker.pid}, True
    while grown:
        more = {int(pid) for pid, parent, _ in rows if int(parent) in family} - family
        family |= more
        grown = bool(more)
    return [int(pid) for pid, _, words in rows
            if int(pid) in family and "muster-runner" in words]


def kill_runner(processes):
    until(lambda: runners(processes))
    os.kill(runners(processes)[0], signal.SIGKILL)


def kill_worker(processes):
    processes.worker.kill()
    processes.worker.wait()
    processes.start_worker()


def kill_coordinator(processes):
    processes.coordinator.kill()
    processes.coordinator.wait()
    processes.start_coordinator()


def nap(x):
    time.sleep(0.01)
    return x


@pytest.mark.parametrize("kill", [kill_runner, kill_worker, kill_coordinator])
def test_a_map_survives(cluster, processes, kill):
    results = cluster.map(nap, list(range(300)), errors="collect", retries=2)
    found = [next(results)]
    threading.Thread(target=kill, args=(processes,)).start()
    found += results
    assert found == list(range(300))


@pytest.mark.parametrize("kill", [kill_worker, kill_coordinator])
def test_single_calls_survive(cluster, processes, kill):
    job = cluster.job(nap, retries=2)
    calls = [job.call((x,)) for x in range(150)]
    calls[0].result(30)
    threading.Thread(target=kill, args=(processes,)).start()
    assert [call.result(60) for call in calls] == list(range(150))
    job.close()
