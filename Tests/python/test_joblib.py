"""The joblib backend on a cluster of real processes."""

import multiprocessing
import os
import threading
import time

import pytest

joblib = pytest.importorskip("joblib")

from joblib import Parallel, delayed, parallel_config

from muster.errors import RemoteTraceback


def compute_x(x, y=2):
    return (x, y)


def fail_at_three(x):
    if x == 3:
        raise ValueError("three")
    return x


def die_at_three(x):
    if x == 3:
        os._exit(7)
    return x


def run(items, **options):
    return Parallel(backend="muster", n_jobs=options.pop("n_jobs", -1), **options)(items)


def test_results_are_in_order(cluster):
    with parallel_config(backend="muster", n_jobs=-1):
        out = Parallel()(delayed(compute_x)(i) for i in range(5000))
    assert out == [(i, 2) for i in range(5000)]


@pytest.mark.parametrize("kind", ["generator", "generator_unordered"])
def test_generators_give_all_results(cluster, kind):
    out = run((delayed(compute_x)(i, y=i) for i in range(300)), return_as=kind)
    assert not isinstance(out, list)
    found = list(out)
    assert (found if kind == "generator" else sorted(found)) == [(i, i) for i in range(300)]


def test_without_n_jobs_all_slots_are_used(cluster):
    assert Parallel(backend="muster")._effective_n_jobs() == cluster.slots == 4
    assert joblib.parallel.BACKENDS["muster"]().effective_n_jobs(-2) == 3


def test_functions_may_differ_within_a_call(cluster):
    items = [delayed(str)(1), delayed(compute_x)(2, y=3), delayed(lambda: "none")()]
    assert run(items) == ["1", (2, 3), "none"]


def test_an_exception_comes_with_the_workers_traceback(cluster):
    with pytest.raises(ValueError, match="three") as raised:
        run(delayed(fail_at_three)(i) for i in range(1000))
    cause = raised.value.__cause__
    assert isinstance(cause, RemoteTraceback) and "fail_at_three" in cause.text
    assert run(delayed(compute_x)(i) for i in range(3)) == [(0, 2), (1, 2), (2, 2)]


def test_an_exception_of_the_users_iterator_ends_the_call(cluster):
    def items():
        for number in range(100):
            if number == 60:
                raise LookupError("sixty")
            yield delayed(compute_x)(number)

    with pytest.raises(LookupError, match="sixty"):
        run(items(), batch_size=1)


def test_arguments_that_cannot_be_pickled_are_an_error_and_no_hang(cluster):
    items = (delayed(compute_x)(threading.Lock() if i == 40 else i) for i in range(100))
    with pytest.raises(TypeError, match="lock"):
        run(items, batch_size=1)


def test_a_timeout_ends_the_call(cluster):
    began = time.monotonic()
    with pytest.raises(multiprocessing.TimeoutError):
        run((delayed(time.sleep)(60) for _ in range(8)), timeout=0.3)
    assert time.monotonic() - began < 20
    # The slots are free again, long before the minute is over.
    assert run([delayed(compute_x)(1)] * 8) == [(1, 2)] * 8
    assert time.monotonic() - began < 30


def test_a_dying_item_is_named_and_ends_the_call(cluster):
    with pytest.raises(Exception) as raised:
        run((delayed(die_at_three)(i) for i in range(6)), batch_size=1)
    assert "exit" in str(raised.value).lower()


def test_slots_are_kept_busy_by_short_items(cluster):
    items, seconds = 2000, 0.001
    run(delayed(time.sleep)(0) for _ in range(8))
    began = time.monotonic()
    run(delayed(time.sleep)(seconds) for _ in range(items))
    # Alone on the machine it takes half as long again as the sleeps; one by one four times as long.
    assert time.monotonic() - began < items * seconds / 4 * 3 + 1


def test_long_items_do_not_wait_for_each_other(cluster):
    began = time.monotonic()
    run(delayed(time.sleep)(0.8) for _ in range(4))
    assert time.monotonic() - began < 2


def nested(number):
    inner = Parallel(n_jobs=2)(delayed(compute_x)(i) for i in range(number))
    named = Parallel(n_jobs=2, backend="muster")(delayed(compute_x)(i) for i in range(number))
    backend = joblib.parallel.get_active_backend()[0]
    return inner == named == [(i, 2) for i in range(number)], type(backend).__name__


def test_nested_calls_run_in_threads_of_the_worker(cluster):
    assert run(delayed(nested)(i) for i in range(1, 5)) == [(True, "ThreadingBackend")] * 4


def identity(x):
    return threading.get_ident(), os.getpid()


def test_preferred_threads_share_a_process(cluster):
    places = run((delayed(identity)(i) for i in range(200)), prefer="threads", batch_size=1)
    assert len({pid for _, pid in places}) == 1
    assert os.getpid() not in {pid for _, pid in places}


def threads_of_blas(_):
    return os.environ["OMP_NUM_THREADS"]


def test_inner_threads_are_limited_as_asked(cluster):
    with parallel_config(backend="muster", inner_max_num_threads=3):
        assert set(Parallel()(delayed(threads_of_blas)(i) for i in range(4))) == {"3"}


STARTED = []


def note_start(word):
    STARTED.append(word)


def started(_):
    return tuple(STARTED)


def test_an_initializer_runs_once_in_each_process(cluster):
    out = run(
        (delayed(started)(i) for i in range(20)), initializer=note_start, initargs=("go",))
    assert set(out) == {("go",)}


def test_an_open_parallel_serves_several_functions(cluster):
    with Parallel(n_jobs=2, backend="muster") as parallel:
        assert parallel(delayed(compute_x)(i) for i in range(3)) == [(0, 2), (1, 2), (2, 2)]
        assert parallel(delayed(str)(i) for i in range(3)) == ["0", "1", "2"]
        with pytest.raises(ValueError):
            parallel(delayed(fail_at_three)(i) for i in range(9))
        assert parallel(delayed(str)(i) for i in range(3)) == ["0", "1", "2"]


def test_a_generator_that_is_dropped_stops_its_items(cluster):
    out = run((delayed(time.sleep)(30) for _ in range(8)), return_as="generator")
    with pytest.warns(UserWarning):
        del out
    began = time.monotonic()
    assert run([delayed(compute_x)(1)] * 4) == [(1, 2)] * 4
    assert time.monotonic() - began < 15
