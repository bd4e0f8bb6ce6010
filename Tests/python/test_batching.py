"""Batch sizes of the joblib backend, without a cluster."""

import pytest

pytest.importorskip("joblib")

from muster._joblib.batching import GROWTH, MAX_BYTES, MAX_SIZE, TARGET_SECONDS
from muster.joblib import MusterBackend


def grown(seconds_each: float, bytes_each: int = 1, rounds: int = 40) -> int:
    """The size that is reached when every call takes as long."""
    backend = MusterBackend(nesting_level=0)
    size = backend.compute_batch_size()
    for _ in range(rounds):
        backend.measured(size, size * seconds_each, size * bytes_each)
        size = backend.compute_batch_size()
    return size


def test_calls_that_do_nothing_reach_the_largest_batch():
    assert grown(1e-8) == MAX_SIZE


def test_a_batch_takes_about_the_time_aimed_at():
    assert 0.4 * TARGET_SECONDS <= grown(0.001) * 0.001 <= 1.6 * TARGET_SECONDS


def test_long_calls_are_sent_one_by_one():
    assert grown(2.0) == 1


def test_large_arguments_end_the_growth_before_the_time_does():
    assert grown(1e-6, bytes_each=1 << 20) * (1 << 20) <= 2 * MAX_BYTES


def test_a_slow_first_call_is_forgotten():
    backend = MusterBackend(nesting_level=0)
    backend.measured(1, 3.0, 1)
    size = backend.compute_batch_size()
    assert size == 1
    for _ in range(40):
        backend.measured(size, size * 1e-4, size)
        size = backend.compute_batch_size()
    assert size > 100


def test_one_measurement_does_not_grow_a_batch_beyond_its_bound():
    backend = MusterBackend(nesting_level=0)
    backend.measured(1, 1e-6, 1)
    assert backend.compute_batch_size() <= GROWTH


def test_the_time_from_sending_to_arrival_does_not_count():
    backend = MusterBackend(nesting_level=0)
    backend.batch_completed(1, 1e-9)
    assert backend.compute_batch_size() == 1
