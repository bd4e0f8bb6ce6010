"""Results as they come: runs of values and single records. In: bodies of the frames `values` and
`results`. Out: tuples that share the frame's bytes. Next: _engine/job.py, _engine/stream.py."""

import struct
from typing import Iterator, NamedTuple

from . import segments

_RUN_HEAD = struct.Struct("<QIIQ")
_RECORD_HEAD = struct.Struct("<QQIIBBBBiQQQQIII")

STATES = ("waiting", "running", "succeeded", "failed", "timedOut", "cancelled", "aborted")
SUCCEEDED, FAILED, TIMED_OUT, CANCELLED, ABORTED = 2, 3, 4, 5, 6
(PART, EXITED, SIGNALLED, TIMED_OUT_ENDING, CANCELLED_ENDING, OUTPUT_LIMIT, CANNOT_START,
 SUPERVISOR_LOST, WORKERS_LOST, BAD_INPUT, THREW, RUNNER_DIED, MEMORY_LIMIT) = range(13)


class ValueRun(NamedTuple):
    job: int
    attempt: int
    worker: int
    nanoseconds: int
    segment: segments.Segment
    bytes: int


class Record(NamedTuple):
    job: int
    item: int
    attempt: int
    worker: int
    state: int
    ending: int
    code: int
    nanoseconds: int
    stdout: memoryview
    stderr: memoryview
    value: memoryview
    bytes: int


def value_runs(body: memoryview) -> Iterator[ValueRun]:
    offset = 0
    while offset < len(body):
        start = offset
        job, attempt, worker, nanoseconds = _RUN_HEAD.unpack_from(body, offset)
        segment, offset = segments.decode(body, offset + _RUN_HEAD.size)
        yield ValueRun(job, attempt, worker, nanoseconds, segment, offset - start)


def records(body: memoryview) -> Iterator[Record]:
    offset = 0
    while offset < len(body):
        start = offset
        (job, item, attempt, worker, state, ending, _, _, code, _, wall, _, _, out, err,
         value) = _RECORD_HEAD.unpack_from(body, offset)
        at_out = offset + _RECORD_HEAD.size
        at_err = at_out + out
        at_value = at_err + err
        offset = at_value + value
        if offset > len(body):
            raise ValueError("a result ends too early")
        yield Record(job, item, attempt, worker, state, ending, code, wall, body[at_out:at_err],
                     body[at_err:at_value], body[at_value:offset], offset - start)


def first_job(body: memoryview) -> int:
    """The job that all results of a frame are of."""
    return int.from_bytes(body[:8], "little")


def failure(value: memoryview) -> tuple:
    """Message and error bytes of a failed item's value."""
    if len(value) < 4:
        return "", b""
    length = int.from_bytes(value[:4], "little")
    return bytes(value[4:4 + length]).decode("utf-8", "replace"), bytes(value[4 + length:])


class PartJoiner:
    """Puts the parts of a large value together again; parts of one item come in a row."""

    def __init__(self) -> None:
        self._key = None
        self._parts: list = []

    def join(self, record: Record):
        """The whole record once its last part is there, else None."""
        key = (record.item, record.attempt)
        if record.ending == PART:
            if key != self._key:
                self._key, self._parts = key, []
            self._parts.append(record)
            return None
        if key != self._key:
            return record
        parts, self._parts, self._key = [*self._parts, record], [], None
        return record._replace(
            stdout=memoryview(b"".join(part.stdout for part in parts)),
            stderr=memoryview(b"".join(part.stderr for part in parts)),
            value=memoryview(b"".join(part.value for part in parts)))
