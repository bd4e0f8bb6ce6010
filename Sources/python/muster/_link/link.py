"""The client's link to a coordinator, which comes back by itself. In: requests and jobs of
_engine/. Out: answers, and results to receivers. One background thread reads it; a thread that
waits for a result reads it meanwhile itself, so that no other thread has to be woken for it and
nothing fights over the interpreter. Channels are channel.py, what belongs to one job is line.py,
death and return of the connection redial.py."""

import os
import select
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional

from .._wire import frames, records
from ..errors import ClusterError
from . import profile as profiles
from .channel import Channel, Cut
from .line import JobLine, failure_of
from .redial import BEAT, Redial
from .waiting import Sleepers, Turn

# A thread that waited keeps the right to read for so long.
_LINGER = 0.002


class Link(Redial):
    def __init__(self, profile: Callable[[], profiles.Profile]) -> None:
        """`profile` is read at every dial: certificates are renewed, and coordinators move."""
        self._profile = profile
        self.profile = profile()
        self.lock = threading.RLock()
        self.lines: Dict[int, JobLine] = {}
        self._starting: List[JobLine] = []
        self._requests: Dict[int, tuple] = {}
        self._last_request = 0
        self._later: Deque[Callable[[], None]] = deque()
        self._unflushed: List[Any] = []
        self.workers: Dict[int, str] = {}
        self.over: Optional[ClusterError] = None
        self._is_closing = False
        self._why = ""
        self._beats = [0, 0.0]
        self._pid = os.getpid()
        self.turn = Turn()
        try:
            self._channel: Optional[Channel] = Channel(self.profile)
        except Cut as error:
            raise ClusterError(str(error), "unreachable") from error
        self.welcome = self._channel.welcome
        self._begin_beats()
        self._thread = threading.Thread(target=self._run, name="muster-link", daemon=True)
        self._thread.start()

    # Saying things; with the lock held

    def send(self, buffers: List[Any]) -> None:
        channel = self._channel
        if channel is not None:
            channel.send(buffers)
            if channel.is_clogged:
                self.turn.interrupt()

    def send_lazily(self, source: Any) -> None:
        if self._channel is not None:
            self._channel.send_lazily(source)
            if self._channel.is_clogged:
                self.turn.interrupt()

    def ask(self, request: Dict[str, Any], then: Optional[Callable], first: bool = False) -> None:
        """`then(answer)` is called from the thread that reads. While the connection is cut the
        request waits for the next one, unless it is one of those that go first."""
        self._last_request += 1
        self._requests[self._last_request] = (request, then, first)
        if self._channel is not None:
            self.send(frames.request_frame(self._last_request, request))

    def flush_soon(self, job: Any) -> None:
        """`job.flush()` is called before anybody waits for the coordinator again."""
        self._unflushed.append(job)
        self.turn.interrupt()

    def drop(self, line: JobLine) -> None:
        if line.number is not None:
            self.lines.pop(line.number, None)
        if line in self._starting:
            self._starting.remove(line)

    # For callers

    def start(self, line: JobLine) -> None:
        with self.lock:
            self.check()
            self._starting.append(line)
            line.submit()

    def check(self) -> None:
        if self.over is not None:
            raise self.over
        if os.getpid() != self._pid:
            raise ClusterError(
                "this process was forked from one with a connection to the cluster, which cannot "
                "be shared: connect anew here", "usage")

    def request(self, request: Dict[str, Any], timeout: float = 60.0) -> Dict[str, Any]:
        """Asks and waits for the answer."""
        answers: List[Dict[str, Any]] = []
        sleepers = Sleepers()

        def take(answer: Dict[str, Any]) -> None:
            answers.append(answer)
            sleepers.wake()

        with self.lock:
            self.check()
            self.ask(request, take)
        if not self.wait(lambda: bool(answers), sleepers, timeout):
            raise ClusterError(
                f"{self.profile.address} did not answer within {timeout:g} s", "unreachable")
        if "failed" in answers[0]:
            raise failure_of(answers[0])
        return answers[0]

    def later(self, call: Callable[[], None]) -> None:
        """Runs it on the link's thread, with no lock held."""
        self._later.append(call)
        if threading.current_thread() is not self._thread:
            self.turn.wake_thread()

    def close(self) -> None:
        with self.lock:
            self._is_closing = True
            if self._channel is not None:
                self._channel.send(frames.frame(frames.BYE))
            self._end(ClusterError("the connection was closed", "unreachable"))

    # Waiting

    def wait(self, is_done: Callable[[], bool], sleepers: Sleepers,
             timeout: Optional[float] = None) -> bool:
        """Waits until `is_done`, whose maker calls `sleepers.wake()`; reads meanwhile if nobody
        does. False when the time is up."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not is_done():
            try:
                leads = self._channel is not None and self.turn.take()
                if leads and self._lead(is_done, deadline):
                    return True
            finally:
                self.turn.give_back(bool(self._later))
            if self.over is not None and not is_done():
                raise self.over
            if not leads and not sleepers.sleep(is_done, self.lock, deadline):
                return False
            if deadline is not None and time.monotonic() >= deadline:
                return is_done()
        return True

    def _lead(self, is_done: Callable[[], bool], deadline: Optional[float]) -> bool:
        """Reads until `is_done`; False when the time is up or the connection is gone."""
        while self._channel is not None:
            left = 0.5 if deadline is None else min(0.5, deadline - time.monotonic())
            if left <= 0:
                return is_done()
            self._read(left, self.turn.leader_pipe)
            if self._later:
                self.turn.wake_thread()
            if is_done():
                return True
        return is_done()

    # The thread

    def _run(self) -> None:
        while self.over is None:
            while self._later:
                call = self._later.popleft()
                try:
                    call()
                except Exception:
                    import traceback

                    traceback.print_exc()
            if self._channel is None:
                self._dial()
            elif self.turn.lingers(_LINGER):
                self.turn.sleep()
            elif self.turn.take_thread():
                try:
                    self._read(BEAT / 2, self.turn.thread_pipe)
                finally:
                    self.turn.give_back_thread()
            self._beat()
        while self._later:
            self._later.popleft()()

    def _read(self, seconds: float, pipe: Any) -> None:
        """One turn: waits for something, and takes it."""
        channel = self._channel
        if channel is None:
            return
        whole = False
        try:
            if self._unflushed:
                with self.lock:
                    unflushed, self._unflushed = self._unflushed, []
                    for job in unflushed:
                        job.flush()
            if not channel.has_more:
                poll = select.poll()
                poll.register(channel.fileno(), channel.events)
                poll.register(pipe.reader, select.POLLIN)
                ready = dict(poll.poll(max(0, int(seconds * 1000) + 1)))
                if pipe.reader in ready:
                    pipe.drain()
                if ready.get(channel.fileno(), 0) & select.POLLOUT:
                    channel.flush()
                if not ready.get(channel.fileno(), 0) & ~select.POLLOUT:
                    whole = True
                    return
            for kind, body in channel.receive():
                with self.lock:
                    if self._channel is not channel:
                        break
                    self._take(kind, body)
            whole = True
        except Cut as error:
            whole = True
            with self.lock:
                self._cut(str(error), channel)
        except (ClusterError, ValueError, KeyError) as error:
            whole = True
            with self.lock:
                self._end(error if isinstance(error, ClusterError) else ClusterError(
                    f"the coordinator sent what cannot be understood: {error}", "malformed"))
        finally:
            if not whole:
                # Interrupted in the middle of a frame (Ctrl-C): it comes again after a cut.
                with self.lock:
                    self._cut("reading was interrupted", channel)

    def _take(self, kind: int, body: memoryview) -> None:
        if kind == frames.VALUES or kind == frames.RESULTS:
            line = self.lines.get(records.first_job(body))
            if line is None:
                return self._discard(kind, body)
            if kind == frames.VALUES:
                line.take_values(body)
            else:
                line.take_records(body)
        elif kind == frames.INPUT_CREDIT:
            job, amount = frames.read_pair(body)
            if job in self.lines:
                self.lines[job].credit(amount)
        elif kind == frames.INPUT_RECORDED:
            job, item = frames.read_pair(body)
            if job in self.lines:
                self.lines[job].recorded(item)
        elif kind == frames.HEARTBEAT:
            self._beats[1] = time.monotonic()
        elif kind == frames.WORKER_NAME:
            number = int.from_bytes(body[:4], "little")
            self.workers[number] = bytes(body[4:]).decode("utf-8", "replace")
        else:
            self._take_text(kind, body)

    def _take_text(self, kind: int, body: memoryview) -> None:
        import json

        if kind == frames.BYE:
            raise Cut(bytes(body).decode("utf-8", "replace") or "the coordinator said good-bye")
        text = json.loads(bytes(body[8 if kind == frames.RESPONSE else 0:]))
        if kind == frames.RESPONSE:
            number = int.from_bytes(body[:8], "little")
            _, then, _ = self._requests.pop(number, (None, None, False))
            if then is not None:
                then(text)
        elif kind == frames.REFUSED:
            raise ClusterError(text.get("message", "refused"), text.get("code", "internal"))
        elif text.get("id") in self.lines:
            line = self.lines[text["id"]]
            if kind == frames.JOB_ENDED:
                line.ended(text)
            else:
                line.receiver.progress(text)

    def _discard(self, kind: int, body: memoryview) -> None:
        """Results that nobody waits for are acknowledged, or the job would wait for that."""
        job = records.first_job(body)
        self.send(frames.pair_frame(frames.RESULTS_CREDIT, job, len(body)))
