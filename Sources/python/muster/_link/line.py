"""One job over the link: its submit, its inputs as credit allows, its results to whoever takes
them, and how it is taken up again after a cut. In: segments, from _engine/. Out: frames to
link.py; results to a receiver. Everything here runs with the link's lock held."""

import os
from typing import Any, Dict, List, Optional

from .._wire import frames, records
from ..errors import ClusterError
from .files import OutgoingFile, parts
from .resume import KeptInputs, Received

STARTING, LIVE, CUT, OVER = "starting", "live", "cut", "over"


class Receiver:
    """Who takes what comes of a job; called from the thread that reads, with the lock held."""

    def values(self, run: records.ValueRun) -> None: ...
    def record(self, record: records.Record) -> None: ...
    def room(self) -> None: ...
    def ended(self, summary: Dict[str, Any]) -> None: ...
    def lost(self, error: ClusterError) -> None: ...
    def progress(self, summary: Dict[str, Any]) -> None: ...


class JobLine:
    def __init__(self, link: Any, spec: Dict[str, Any], files: Dict[str, OutgoingFile],
                 receiver: Receiver) -> None:
        self.link, self.spec, self.files, self.receiver = link, spec, files, receiver
        self.key = os.urandom(16).hex()
        self.number: Optional[int] = None
        self.state = STARTING
        self.feeds = "stream" in spec["input"]
        self.inputs = KeptInputs(bool(link.welcome.get("records")))
        self.received = Received()
        self._credit = frames.INPUT_AHEAD_BYTES
        self._taken = 0
        self._rounds = 0
        self._joiner = records.PartJoiner()
        self._waiting_cancels: List[Any] = []

    # Submit

    def submit(self) -> None:
        request = {"submit": {"_0": self.spec, "attach": True, "key": self.key}}
        self.link.ask(request, self._submitted)

    def _submitted(self, answer: Dict[str, Any]) -> None:
        if "submitted" in answer:
            self.number = answer["submitted"]["job"]
            self.state = LIVE
            self.link.lines[self.number] = self
            for request in self._waiting_cancels:
                self._cancel(request)
            self._waiting_cancels = []
            self.pump()
        elif "missing" in answer:
            self._send_files(answer["missing"]["_0"])
        else:
            self.fail(failure_of(answer))

    def _send_files(self, digests: List[str]) -> None:
        self._rounds += 1
        unknown = [digest for digest in digests if digest not in self.files]
        if unknown or self._rounds > 3:
            return self.fail(ClusterError(
                "the coordinator does not keep the files of a job until it is submitted: its "
                "store is full; wait for other jobs, or take less along", "limit"))
        for digest in digests:
            self.link.send_lazily(parts(digest, self.files[digest]))
        self.submit()

    # Inputs

    def add(self, first: int, count: int, buffers: List[Any], size: int) -> None:
        self.inputs.add(first, count, buffers, size)
        self.pump()

    def end(self) -> None:
        self.inputs.has_ended = True
        self.pump()

    def pump(self) -> None:
        """Sends inputs as far as credit goes."""
        if self.state != LIVE or not self.feeds:
            return
        while self._credit > 0:
            kept = self.inputs.next()
            if kept is None:
                break
            self._credit -= kept.bytes
            self.link.send([frames.HEAD.pack(8 + sum(map(len, kept.buffers)), frames.ITEMS)
                            + frames.U64.pack(self.number), *kept.buffers])
        if self.inputs.end_is_due():
            self.link.send(frames.job_frame(frames.INPUT_ENDED, self.number))

    def credit(self, amount: int) -> None:
        self._credit = min(self._credit + amount, frames.INPUT_AHEAD_BYTES)
        self.pump()
        if not self.inputs.is_full:
            self.receiver.room()

    def recorded(self, item: int) -> None:
        was_full = self.inputs.is_full
        self.inputs.record(item)
        if was_full and not self.inputs.is_full:
            self.receiver.room()

    # Results

    def take_values(self, body: memoryview) -> None:
        for run in records.value_runs(body):
            self.receiver.values(run)
            first = run.segment.first
            self.received.take(first, first + run.segment.count, run.bytes)

    def take_records(self, body: memoryview) -> None:
        for part in records.records(body):
            whole = self._joiner.join(part)
            if whole is not None:
                self.receiver.record(whole)
            if part.ending == records.PART:
                self.received.take_piece(part.item, part.attempt, part.bytes)
                # The rest must follow before anybody can take it.
                self.acknowledge(part.bytes)
            else:
                self.received.take(part.item, part.item + 1, part.bytes)

    def acknowledge(self, size: int) -> None:
        """The caller has taken these bytes of results: as many may follow."""
        self._taken += size
        if self._taken < frames.ACKNOWLEDGE_BYTES or self.state != LIVE:
            return
        due = self.received.acknowledge(self._taken)
        self._taken = 0
        if due:
            self.link.send(frames.pair_frame(frames.RESULTS_CREDIT, self.number, due))

    # Ends

    def ended(self, summary: Dict[str, Any]) -> None:
        self.close()
        self.receiver.ended(summary)

    def fail(self, error: ClusterError) -> None:
        if self.state != OVER:
            self.close()
            self.receiver.lost(error)

    def close(self) -> None:
        """Nobody waits for anything of it any more."""
        self.state = OVER
        self.link.drop(self)
        self.inputs.give_up()

    def abandon(self) -> None:
        """What still comes of it goes nowhere."""
        self.receiver = _Nobody(self)
        if self.state == STARTING:
            self.inputs.give_up()

    def cancel(self, spans: Optional[List[Any]] = None, grace: float = 0.0) -> None:
        """Stops the job, or the items in these spans of (first, one past the last)."""
        items = {} if spans is None else {"items": [{"from": a, "to": b} for a, b in spans]}
        request = {"graceNanoseconds": int(grace * 1e9), **items}
        if self.state == STARTING:
            self._waiting_cancels.append(request)
        elif self.state != OVER:
            self._cancel(request)

    def _cancel(self, request: Dict[str, Any]) -> None:
        self.link.ask({"cancel": {"job": self.number, **request}}, None)

    # A cut

    def cut(self) -> None:
        if self.state == LIVE:
            self.state = CUT
            self.received.cut()

    def resume(self) -> None:
        feeds = self.feeds and not (
            self.inputs.has_ended and self.inputs.recorded >= frames.ITEMS_PER_JOB)
        self.link.ask(self.received.attach(self.number or 0, feeds), self._resumed, first=True)

    def _resumed(self, answer: Dict[str, Any]) -> None:
        if "attached" not in answer:
            return self.fail(failure_of(answer))
        summary = answer["attached"]["_0"]
        self.state = LIVE
        self._credit = frames.INPUT_AHEAD_BYTES
        if not self.feeds:
            return
        if summary.get("total") is not None:
            whole = self.inputs.has_ended and summary["arrived"] == self.inputs.end
            if not whole and self.inputs.recorded < frames.ITEMS_PER_JOB:
                self.receiver.lost(ClusterError(
                    "the job takes no more inputs: it was cancelled, or its coordinator waited "
                    "too long for them", "conflict"))
            self.inputs.give_up()
            return
        try:
            self.inputs.restart(summary["arrived"])
        except ClusterError as error:
            return self.fail(error)
        self.pump()


class _Nobody(Receiver):
    """Takes what still comes of a job that nobody reads any more."""

    def __init__(self, line: JobLine) -> None:
        self._line = line

    def values(self, run: records.ValueRun) -> None:
        self._line.acknowledge(run.bytes)

    def record(self, record: records.Record) -> None:
        self._line.acknowledge(record.bytes)


def failure_of(answer: Dict[str, Any]) -> ClusterError:
    error = answer.get("failed", {}).get("_0") or {}
    return ClusterError(
        error.get("message", "the coordinator's answer is not one that was asked for"),
        error.get("code", "malformed"))
