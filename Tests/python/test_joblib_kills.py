"""A joblib call outlives what it runs on."""

import threading
import time

import pytest

pytest.importorskip("joblib")

from joblib import Parallel, delayed

import muster
from muster.joblib import MusterBackend
from servers import Servers


def slow(number):
    time.sleep(0.02)
    return number


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A cluster that this test may kill, and its connection."""
    started = Servers(tmp_path, slots=2)
    monkeypatch.setenv("MUSTER_CONFIG", started.environment["MUSTER_CONFIG"])
    with muster.connect() as cluster:
        yield started, cluster
    started.stop()


@pytest.mark.parametrize("kill", [
    Servers.kill_runner, Servers.kill_worker, Servers.kill_coordinator])
def test_the_call_finishes_in_order_after_a_kill(own, kill):
    servers, cluster = own
    reached = threading.Event()

    def items():
        for number in range(200):
            if number == 40:
                reached.set()
            yield delayed(slow)(number)

    def killer():
        assert reached.wait(60)
        kill(servers)

    thread = threading.Thread(target=killer)
    thread.start()
    out = Parallel(n_jobs=2, backend=MusterBackend(cluster=cluster), batch_size=1)(items())
    thread.join()
    assert out == list(range(200))
