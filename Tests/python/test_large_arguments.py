"""Large arguments travel once to each worker, and are mapped there."""

import os

import pytest

numpy = pytest.importorskip("numpy")
pytest.importorskip("joblib")

from joblib import Parallel, delayed

import muster
from muster._codec import large
from muster._engine.sharing import SharingJob
from servers import Servers


def element(array, index):
    return int(array[index]), array.flags.writeable, os.getpid()


def add_one(array):
    array += 1
    return int(array[0])


def test_an_array_given_to_a_thousand_items_travels_once_per_worker(tmp_path):
    servers = Servers(tmp_path, slots=4, relay=True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MUSTER_CONFIG", servers.environment["MUSTER_CONFIG"])
            with muster.connect() as cluster:
                array = numpy.arange(50_000_000 // 8, dtype="int64")
                before = servers.relay.received
                with Parallel(n_jobs=4, backend=backend_of(cluster), batch_size=1) as parallel:
                    out = parallel(delayed(element)(array, i) for i in range(1000))
                travelled = servers.relay.received - before
    finally:
        servers.stop()
    assert [value for value, _, _ in out] == list(range(1000))
    # Several processes had it, and it went over the wire once, with its items and their frames.
    assert len({pid for _, _, pid in out}) == 4
    assert array.nbytes < travelled < 1.1 * array.nbytes


def backend_of(cluster):
    from muster.joblib import MusterBackend

    return MusterBackend(cluster=cluster)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_keep_their_values_and_layout(cluster, order):
    array = numpy.asarray(numpy.random.default_rng(1).random((700, 300)), order=order)

    def look(x):
        return x.flags[f"{order}_CONTIGUOUS"], x.dtype, x

    out = Parallel(n_jobs=4, backend="muster", batch_size=1)(delayed(look)(array) for _ in range(9))
    for contiguous, dtype, back in out:
        assert contiguous and dtype == array.dtype
        assert numpy.array_equal(back, array)


def test_joblibs_mode_says_whether_items_may_write(cluster):
    array = numpy.zeros(1 << 18)
    calls = [delayed(element)(array, 0)] * 8
    # From the first item on, whether the array came inside it or in a file.
    assert {w for _, w, _ in Parallel(n_jobs=2, backend="muster", batch_size=1)(calls)} == {False}
    out = Parallel(n_jobs=2, backend="muster", batch_size=1, mmap_mode="c")(
        [delayed(add_one)(array)] * 8)
    # Nobody sees what another item has written, and the caller's array is as it was.
    assert set(out) == {1} and array[0] == 0


def test_a_job_notices_that_an_array_has_changed(cluster):
    array = numpy.zeros(1 << 20)
    job = SharingJob(cluster, add_one, {})
    try:
        for number in range(4):
            array[0] = number
            assert job.call((array,)).result(30) == number + 1
    finally:
        job.close()


def test_small_arrays_stay_in_their_items(cluster):
    array = numpy.zeros(100)
    assert large.pack(array, lambda raw: raw.nbytes > 1000)[1] == []
    job = SharingJob(cluster, add_one, {})
    assert job.call((array,)).result(30) == 1
    assert not job._there
    job.close()


def test_arguments_beyond_the_size_of_an_item_come_through(cluster):
    arrays = [numpy.full(1 << 18, number) for number in range(8)]

    def total(*parts):
        return sum(int(part.sum()) for part in parts)

    job = SharingJob(cluster, total, {})
    try:
        assert job.call(tuple(arrays)).result(60) == sum(range(8)) << 18
        big = numpy.ones(3 << 20)
        assert job.call((big, arrays[1])).result(60) == (3 << 20) + (1 << 18)
    finally:
        job.close()
