"""Maps and single calls over a real cluster."""

import os
import sys
import threading
import time

import pytest

import muster


def test_a_map_gives_the_values_in_order(cluster):
    assert list(cluster.map(lambda x: 2 * x, range(1000))) == [2 * x for x in range(1000)]


def test_values_of_any_kind_come_back_as_they_are(cluster):
    given = [2**63, -2**63, 2**63 - 1, True, None, 1.5, b"12345678", "é", {1: [2]}, (3,), object]
    back = list(cluster.map(lambda x: x, given))
    assert back == given and [type(x) for x in back] == [type(x) for x in given]


def test_no_input_gives_no_value(cluster):
    assert list(cluster.map(abs, [])) == [] and list(cluster.map(abs, range(0))) == []


def test_several_iterables_are_read_side_by_side(cluster):
    assert list(cluster.map(pow, [2, 3], iter([3, 2]))) == [8, 9]


def test_an_exception_has_its_place_and_its_cause(cluster):
    def inverse(x):
        return 1 / x
    results = cluster.map(inverse, [1, 2, 0, 4])
    assert [next(results), next(results)] == [1.0, 0.5]
    with pytest.raises(ZeroDivisionError) as caught:
        next(results)
    cause = caught.value.__cause__
    assert isinstance(cause, muster.RemoteTraceback)
    assert cause.item == 2 and cause.worker == "w1" and "in inverse" in cause.text


def test_a_large_value_and_a_large_argument_travel(cluster):
    job = cluster.job(bytes)
    assert len(job.call((50 << 20,)).result(60)) == 50 << 20
    assert cluster.job(len).call((bytes(7 << 20),)).result(60) == 7 << 20


def test_what_an_item_prints_is_known(cluster, capfd):
    def say(x):
        print("out", x)
        print("err", x, file=sys.stderr)
        return x
    call = cluster.job(say).call((7,))
    assert call.result(30) == 7
    assert (call.stdout, call.stderr) == ("out 7\n", "err 7\n")
    assert call.worker == "w1" and call.attempt >= 1 and call.seconds > 0


@pytest.mark.parametrize("make, kind", [
    (lambda: lambda: threading.Lock(), Exception),
    (lambda: lambda: sys.exit(3), SystemExit),
    (lambda: lambda: __import__("no_such_module"), ModuleNotFoundError),
])
def test_what_cannot_be_answered_is_an_error(cluster, make, kind):
    with pytest.raises(kind):
        cluster.job(make()).call().result(30)


def test_endless_recursion_and_an_enormous_text_are_errors(cluster):
    def deep():
        return deep()

    def wide():
        raise ValueError("x" * 100_000_000)
    with pytest.raises(RecursionError):
        cluster.job(deep).call().result(30)
    with pytest.raises(ValueError) as caught:
        cluster.job(wide).call().result(60)
    assert len(str(caught.value)) < 1 << 20


def test_a_poison_item_is_named_and_costs_no_other(cluster):
    def poison(x):
        if x == 500:
            os._exit(3)
        return x
    found = list(cluster.map(poison, range(1000), errors="collect"))
    assert [x for x in found if isinstance(x, int)] == [x for x in range(1000) if x != 500]
    assert isinstance(found[500], muster.RunnerDied) and found[500].item == 500


def test_an_initializer_that_fails_says_so(cluster):
    def broken():
        raise RuntimeError("not today")
    with pytest.raises(muster.CannotStart, match="not today"):
        cluster.job(abs, initializer=broken).call((1,)).result(30)


def test_a_call_that_takes_too_long_is_ended(cluster):
    with pytest.raises(muster.ItemTimedOut):
        cluster.job(time.sleep, timeout=0.2).call((30,)).result(30)


def test_a_callback_comes_once_whichever_way_it_ends(cluster):
    ended = []
    with cluster.job(lambda x: 1 / x) as job:
        calls = [job.call((x,), callback=ended.append) for x in (1, 0)]
        assert job.wait(30)
    deadline = time.monotonic() + 5
    while len(ended) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sorted(call.state for call in ended) == ["failed", "succeeded"]
    assert set(ended) == set(calls)


def test_threads_share_one_process(cluster):
    def where(x):
        time.sleep(0.05)
        return os.getpid(), threading.get_ident()
    seen = set(cluster.map(where, range(8), threads=True, chunk=1))
    assert len({pid for pid, _ in seen}) == 1 and len(seen) > 1


def test_an_embedded_cluster_ends_with_its_client():
    with muster.local(2) as cluster:
        assert cluster.slots == 2
        assert list(cluster.map(abs, range(-3, 0))) == [3, 2, 1]
        folder = cluster._owner.folder
    assert not os.path.exists(folder)


def test_a_cluster_that_records_nothing_takes_any_amount_of_input():
    given = [bytes(1 << 20)] * 80
    with muster.local(1) as cluster:
        assert list(cluster.map(len, given)) == [1 << 20] * 80


def test_a_programs_function_is_called_by_name_with_json(cluster, servers, tmp_path):
    import muster.runner as runner
    top = os.path.dirname(os.path.dirname(os.path.dirname(runner.__file__)))
    program = tmp_path / "twice.py"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {top!r})\nimport muster.runner\n"
        "def twice(x):\n    return [x, x]\n"
        "if __name__ == '__main__':\n    muster.runner.serve(twice)\n")
    program.chmod(0o755)
    import subprocess
    from servers import binary
    done = subprocess.run(
        [binary(), "map", "-q", f"{program}:twice"], input='1\n"é"\n12345678\n', text=True,
        stdout=subprocess.PIPE, env=servers.environment, check=True)
    assert done.stdout == '[1,1]\n["é","é"]\n[12345678,12345678]\n'


def test_a_cluster_goes_on_after_ctrl_c(cluster):
    import signal
    for pause in (0.01, 0.02, 0.03, 0.05, 0.08):
        timer = threading.Timer(pause, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            while True:
                list(cluster.map(abs, range(20_000)))
        assert list(cluster.map(abs, range(100))) == list(range(100))
    assert cluster.job(abs).call((-3,)).result(30) == 3
