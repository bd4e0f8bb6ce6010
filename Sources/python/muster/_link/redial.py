"""How the link lives, dies and comes back: heartbeats, a cut, dialing again, jobs taken up where
they were. In: what link.py notices. Out: a new channel, or an end that everybody is told of.
A part of `Link`, in a file of its own."""

import random
import time
from typing import Any, Callable, Dict, List, Optional

from .._wire import frames
from ..errors import ClusterError
from . import profile as profiles
from .channel import Channel, Cut
from .line import CUT, JobLine

BEAT = 2.0
_LEASE = 9.0
# So long it is dialed where nobody waits for a job.
_IDLE = 10.0


class Redial:
    lock: Any
    turn: Any
    lines: Dict[int, JobLine]
    profile: profiles.Profile
    welcome: Dict[str, Any]
    over: Optional[ClusterError]
    _profile: Callable[[], profiles.Profile]
    _channel: Optional[Channel]
    _starting: List[JobLine]
    _requests: Dict[int, tuple]
    _is_closing: bool
    _why: str
    _beats: list
    _next_beat: float
    send: Callable[..., None]
    ask: Callable[..., None]

    def _begin_beats(self) -> None:
        self._beats = [0, time.monotonic()]
        self._next_beat = time.monotonic() + BEAT

    def _beat(self) -> None:
        now = time.monotonic()
        channel = self._channel
        if channel is None or now < self._next_beat:
            return
        self._next_beat = now + BEAT
        with self.lock:
            if now - self._beats[1] > _LEASE:
                return self._cut("it was silent for longer than its lease", channel)
            self._beats[0] += 1
            self.send(frames.frame(frames.HEARTBEAT, frames.U64.pack(self._beats[0])))

    def _cut(self, why: str, channel: Channel) -> None:
        if self._channel is not channel:
            return
        channel.close()
        self._channel = None
        if not self.welcome.get("records") or self._is_closing:
            return self._end(ClusterError(f"{self.profile.address}: {why}", "unreachable"))
        self._why = why
        for line in list(self.lines.values()):
            line.cut()
        # What takes jobs up again belongs to one connection.
        self._requests = {number: asked for number, asked in self._requests.items()
                          if not asked[2]}
        self.turn.wake_thread()

    def _end(self, error: ClusterError) -> None:
        """The connection is gone for good."""
        if self.over is not None:
            return
        self.over = error
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        for line in [*self.lines.values(), *self._starting]:
            line.fail(error)
        requests, self._requests = self._requests, {}
        answer = {"failed": {"_0": {"code": error.code, "message": str(error)}}}
        for _, then, _ in requests.values():
            if then is not None:
                then(answer)
        self.turn.wake_thread()
        self.turn.interrupt()

    def _dial(self) -> None:
        """Tries until a coordinator answers, one refuses, or nobody waits any more."""
        pause, start = 0.05, time.monotonic()
        while self.over is None:
            time.sleep(pause * (0.5 + random.random() / 2))
            pause = min(2 * pause, 2.0)
            try:
                self.profile = self._profile()
                channel = Channel(self.profile)
            except Cut as error:
                self._why = str(error)
                waits = self.lines or self._starting
                if not waits and time.monotonic() - start > _IDLE:
                    with self.lock:
                        if not self.lines and not self._starting:
                            return self._end(ClusterError(self._why, "unreachable"))
                continue
            except ClusterError as error:
                with self.lock:
                    return self._end(error)
            with self.lock:
                self._take_up(channel)
            return

    def _take_up(self, channel: Channel) -> None:
        if self.over is not None:
            return channel.close()
        if channel.welcome.get("cluster") != self.welcome.get("cluster"):
            channel.close()
            return self._end(ClusterError(
                f"the coordinator at {self.profile.address} is now one of another cluster",
                "conflict"))
        self._channel, self.welcome = channel, channel.welcome
        self._begin_beats()
        waiting, self._requests = self._requests, {}
        for line in list(self.lines.values()):
            if line.state == CUT:
                line.resume()
        for request, then, _ in waiting.values():
            self.ask(request, then)
