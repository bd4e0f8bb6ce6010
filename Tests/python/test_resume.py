"""A map and single calls go on when a runner, the worker or the coordinator is killed."""

import threading
import time

import pytest

from servers import Servers


def nap(x):
    time.sleep(0.01)
    return x


@pytest.mark.parametrize("kill", [
    Servers.kill_runner, Servers.kill_worker, Servers.kill_coordinator])
def test_a_map_survives(cluster, servers, kill):
    results = cluster.map(nap, list(range(300)), errors="collect")
    found = [next(results)]
    threading.Thread(target=kill, args=(servers,)).start()
    found += results
    assert found == list(range(300))


@pytest.mark.parametrize("kill", [Servers.kill_worker, Servers.kill_coordinator])
def test_single_calls_survive(cluster, servers, kill):
    job = cluster.job(nap)
    calls = [job.call((x,)) for x in range(150)]
    calls[0].result(30)
    threading.Thread(target=kill, args=(servers,)).start()
    assert [call.result(60) for call in calls] == list(range(150))
    job.close()
