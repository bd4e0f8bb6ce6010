"""concurrent.futures, multiprocessing and threading as they are on a cluster."""

import os
import time

import pytest

import muster
from muster import futures


def square(x):
    return x * x


def fail(x):
    if x == 3:
        raise KeyError(x)
    return x


def test_futures_of_an_executor_are_the_standard_librarys(cluster):
    with futures.ProcessPoolExecutor() as pool:
        made = [pool.submit(square, x) for x in range(20)]
        assert sorted(f.result() for f in futures.as_completed(made)) == [x * x for x in range(20)]
        assert not futures.wait(made).not_done
        assert list(pool.map(pow, [2, 3], [5, 2], chunksize=2)) == [32, 9]
        assert isinstance(pool.submit(fail, 3).exception(), KeyError)
    with pytest.raises(RuntimeError):
        pool.submit(square, 1)


def test_a_dead_process_breaks_its_own_item_only(cluster):
    from concurrent.futures.process import BrokenProcessPool
    with futures.ProcessPoolExecutor() as pool:
        with pytest.raises(BrokenProcessPool):
            pool.submit(os._exit, 1).result(30)
        assert pool.submit(square, 3).result(30) == 9


def test_waiting_calls_can_be_cancelled(cluster):
    with futures.ProcessPoolExecutor() as pool:
        made = [pool.submit(time.sleep, 0.2) for _ in range(8)]
        assert made[-1].cancel() and made[-1].cancelled()
        with pytest.raises(futures.CancelledError):
            made[-1].result()


def test_an_initializer_runs_once_and_what_it_sets_stays(cluster):
    state = {}

    def begin(value):
        state["value"] = state.get("value", 0) + value

    def see(_):
        return state.get("value")
    found = set(cluster.map(see, range(20), initializer=begin, initargs=(5,), chunk=1))
    assert found == {5}


def test_processes_are_replaced_after_so_many_items(cluster):
    with futures.ProcessPoolExecutor(max_tasks_per_child=2) as pool:
        assert len({pool.submit(os.getpid).result(30) for _ in range(8)}) >= 4


def test_a_pool_has_every_form_of_map_and_apply(cluster):
    squares = [0, 1, 4, 9, 16]
    seen = []
    with muster.Pool() as pool:
        assert pool.map(square, range(5)) == squares
        assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
        assert list(pool.imap(square, iter(range(5)))) == squares
        assert sorted(pool.imap_unordered(square, range(5))) == squares
        assert pool.apply(square, (3,)) == 9
        assert pool.map_async(square, range(5), callback=seen.append).get(30) == squares
        assert pool.starmap_async(pow, [(2, 2)]).get(30) == [4]
        with pytest.raises(KeyError):
            pool.map(fail, range(5))
        with pytest.raises(KeyError):
            pool.map_async(fail, range(5)).get(30)
        late = pool.apply_async(time.sleep, (0.5,))
        import multiprocessing
        with pytest.raises(multiprocessing.TimeoutError):
            late.get(0.05)
        with pytest.raises(multiprocessing.TimeoutError):
            pool.imap(time.sleep, [0.5]).next(0.05)
    assert seen == [squares]
    with pytest.raises(ValueError):
        pool.map(square, [1])


def test_a_failure_of_imap_is_in_its_place_and_the_rest_follows(cluster):
    with muster.ThreadPool() as pool:
        found, results = [], pool.imap(fail, range(5))
        while True:
            try:
                found.append(next(results))
            except KeyError:
                found.append("failed")
            except StopIteration:
                break
    assert found == [0, 1, 2, "failed", 4]


def test_threads_start_and_are_joined(cluster):
    threads = [muster.Thread(target=square, args=(x,)) for x in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [thread.result() for thread in threads] == [0, 1, 4, 9]


class Unwilling:
    def __reduce__(self):
        raise ValueError("not me")


def test_what_cannot_be_pickled_fails_its_own_call(cluster):
    with muster.ProcessPoolExecutor(cluster=cluster) as executor:
        future = executor.submit(abs, Unwilling())
        assert executor.submit(abs, -1).result(30) == 1
        with pytest.raises(ValueError, match="not me"):
            future.result(30)


def test_callbacks_have_run_when_a_wait_ends(cluster):
    with muster.Pool(cluster=cluster) as pool:
        for number in range(50):
            seen = []
            result = pool.map_async(abs, [-number], callback=seen.append)
            result.wait(30)
            assert result.ready() and seen == [[number]]


def test_a_map_gives_what_came_before_the_error_of_its_iterable(cluster):
    def numbers():
        yield from range(5)
        raise LookupError("no more")
    with muster.Pool(cluster=cluster) as pool:
        values = pool.imap(abs, numbers())
        assert [next(values) for _ in range(5)] == list(range(5))
        with pytest.raises(LookupError):
            next(values)
