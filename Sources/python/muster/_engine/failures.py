"""A failed item as an exception. In: its result record (_wire/records.py). Out: the exception that
the function raised, with muster.RemoteTraceback as its cause, or one of muster's own."""

import pickle
import re
import signal
from typing import Any, Optional

from .._wire import records
from ..errors import (CannotStart, ClusterError, ItemError, ItemTimedOut, RemoteError,
                      RemoteTraceback, RunnerDied)


_WHERE = re.compile(r" while it ran item \d+ on worker [\w.-]+|\nlast words on stderr:\n.*", re.S)


class Cancelled(ItemError):
    """The item was cancelled. Facades make their own library's exception of it."""


def of(record: records.Record, worker: Optional[str], function: str) -> BaseException:
    message, data = records.failure(record.value)
    # The exception says which item and where by itself.
    message = _WHERE.sub("", message)
    stderr = bytes(record.stderr[-8192:]).decode("utf-8", "replace").strip()
    where = f"item {record.item} of {function}" + (f" on worker {worker}" if worker else "")
    facts: Any = (record.item, worker, record.attempt, stderr)
    if record.ending == records.THREW:
        return _thrown(message, data, record, worker, where)
    last = f"; it last wrote: {stderr[-2000:]}" if stderr else ""
    if record.ending in (records.RUNNER_DIED, records.MEMORY_LIMIT, records.SUPERVISOR_LOST):
        return RunnerDied(f"{where}: {message or _death(record)}{last}", *facts)
    if record.ending == records.WORKERS_LOST:
        return RunnerDied(
            f"{where}: it was lost with {record.code} workers and is not tried again; it may be "
            "what kills them", *facts)
    if record.state == records.TIMED_OUT:
        return ItemTimedOut(f"{where}: {message or 'it took longer than its time limit'}", *facts)
    if record.state == records.CANCELLED:
        return Cancelled(f"{where} was cancelled", *facts)
    if record.ending == records.CANNOT_START:
        return CannotStart(f"{where} cannot run: {message or 'no runner starts'}{last}", *facts)
    if record.ending == records.BAD_INPUT:
        return _bad_input(message, data, record, worker, where)
    return ItemError(f"{where}: {message or records.STATES[record.state]}{last}", *facts)


def _death(record: records.Record) -> str:
    if record.ending == records.MEMORY_LIMIT:
        return "its runner used more memory than allowed"
    if record.ending == records.SUPERVISOR_LOST:
        return "the process that watched over its runner was killed"
    if record.code > 0:
        try:
            name = f" ({signal.Signals(record.code).name})"
        except ValueError:
            name = ""
        return f"its runner died of signal {record.code}{name}"
    return f"its runner exited with code {-record.code} in the middle of it"


def _unpacked(data: bytes) -> tuple:
    try:
        pickled, text, name = pickle.loads(data)
        return pickled, str(text), str(name)
    except Exception:
        return None, "", ""


def _thrown(
    message: str, data: bytes, record: records.Record, worker: Optional[str], where: str
) -> BaseException:
    pickled, text, _ = _unpacked(data)
    error: Any = None
    if pickled is not None:
        try:
            error = pickle.loads(pickled)
        except Exception:
            pass  # made of things that are not here; its words are
    if not isinstance(error, BaseException):
        error = RemoteError(f"{where}: {message}", record.item, worker, record.attempt)
    error.__cause__ = RemoteTraceback(text or message, record.item, worker, record.attempt)
    return error


def _bad_input(
    message: str, data: bytes, record: records.Record, worker: Optional[str], where: str
) -> BaseException:
    _, text, _ = _unpacked(data)
    error = RemoteError(
        f"{where}: its arguments cannot be loaded there: {message}. Client and worker may have "
        "different versions of a module", record.item, worker, record.attempt)
    error.__cause__ = RemoteTraceback(text or message, record.item, worker, record.attempt)
    return error


def cancelled_from_elsewhere(name: str, summary: dict) -> ClusterError:
    return ClusterError(
        f"job {summary.get('id')} ({name}) was cancelled: {summary.get('cancelled', 0)} of its "
        "items did not run to their end", "cancelled")
