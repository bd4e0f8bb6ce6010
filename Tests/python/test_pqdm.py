"""pqdm on a cluster: arguments, exceptions, and a bar that is true."""

import io
import time

import pytest

pytest.importorskip("tqdm")

from tqdm import tqdm

from muster.pqdm import processes, threads

PQDM = [processes.pqdm, threads.pqdm]


def square(number):
    return number * number


def area(width, height=2):
    return width * height


def inverse(number):
    return 1 / number


def fail_or_sleep(number):
    if number == 3:
        raise KeyError("three")
    time.sleep(30)


def error_as_value(number):
    return ValueError(number)


class Bar(tqdm):
    """A bar that keeps the counts it was told."""

    made = []

    def __init__(self, *args, **kwargs):
        super().__init__(*args, file=io.StringIO(), **kwargs)
        Bar.made.append(self)


@pytest.mark.parametrize("pqdm", PQDM)
def test_results_are_in_the_order_of_the_items(cluster, pqdm):
    assert pqdm(range(5000), square, n_jobs=2) == [n * n for n in range(5000)]


@pytest.mark.parametrize("pqdm", PQDM)
def test_arguments_are_spread_as_asked(cluster, pqdm):
    assert pqdm([(1, 5), (2, 6)], area, 2, argument_type="args") == [5, 12]
    items = [{"width": 3}, {"width": 3, "height": 4}]
    assert pqdm(items, area, 2, argument_type="kwargs") == [6, 12]


@pytest.mark.parametrize("count", [1, 7, 20_000])
def test_there_is_one_bar_and_it_ends_at_all_items(cluster, count):
    Bar.made.clear()
    processes.pqdm(list(range(count)), square, n_jobs=2, tqdm_class=Bar, desc="squares")
    assert [(bar.n, bar.total, bar.desc) for bar in Bar.made] == [(count, count, "squares")]


def test_items_of_a_generator_are_counted_too(cluster):
    Bar.made.clear()
    numbers = (n for n in range(100))
    results = processes.pqdm(numbers, square, n_jobs=2, tqdm_class=Bar, bounded=True)
    assert results == [n * n for n in range(100)]
    assert [(bar.n, bar.total) for bar in Bar.made] == [(100, None)]


@pytest.mark.parametrize("pqdm", PQDM)
def test_ignored_exceptions_are_in_their_items_places(cluster, pqdm):
    results = pqdm([1, 0, 2], inverse, 2)
    assert results[0] == 1 and results[2] == 0.5
    assert isinstance(results[1], ZeroDivisionError)


@pytest.mark.parametrize("pqdm", PQDM)
def test_deferred_exceptions_are_raised_together(cluster, pqdm):
    with pytest.raises(Exception) as raised:
        pqdm([0, 1, 0], inverse, 2, exception_behaviour="deferred")
    assert [type(error) for error in raised.value.args] == [ZeroDivisionError] * 2


@pytest.mark.parametrize("pqdm", PQDM)
def test_an_immediate_exception_does_not_wait_for_the_others(cluster, pqdm):
    began = time.monotonic()
    with pytest.raises(KeyError, match="three"):
        # The fourth of four that run at once, so nothing is over before it.
        pqdm(range(8), fail_or_sleep, n_jobs=4, exception_behaviour="immediate")
    assert time.monotonic() - began < 15


def test_an_exception_that_was_returned_is_a_value(cluster):
    results = processes.pqdm([1, 2], error_as_value, 2, exception_behaviour="deferred")
    assert [error.args for error in results] == [(1,), (2,)]


@pytest.mark.parametrize(
    "wrong", [{"n_jobs": 0}, {"argument_type": "list"}, {"exception_behaviour": "never"}])
def test_arguments_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError):
        processes.pqdm([1], square, **{"n_jobs": 2, **wrong})
