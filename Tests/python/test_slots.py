"""Pools of fewer processes than the cluster has slots."""

import os
import time

import muster


def where(_):
    time.sleep(0.02)
    return os.getpid()


def test_the_first_call_of_a_limited_pool_is_answered_at_once(cluster):
    with muster.Pool(2, cluster=cluster) as pool:
        assert pool.apply(abs, (-3,)) == 3
    with muster.ProcessPoolExecutor(2, cluster=cluster) as executor:
        assert executor.submit(abs, -3).result(30) == 3


def test_a_pool_uses_no_more_processes_than_it_says(cluster):
    with muster.Pool(1, cluster=cluster) as pool:
        assert len(set(pool.map(where, range(40)))) == 1
    with muster.ProcessPoolExecutor(2, cluster=cluster) as executor:
        assert len(set(executor.map(where, range(80)))) == 2


def test_a_pool_of_as_many_processes_as_slots_still_sends_chunks(cluster):
    seen = []
    with muster.Pool(cluster.slots, cluster=cluster) as pool:
        stream = pool._stream(abs, list(range(100_000)), None)
        while (batch := stream.next_batch()) is not None:
            seen.append(len(batch))
    assert sum(seen) == 100_000 and len(seen) < 5_000
