"""A runner's life. In: requests (requests.py). Out: work for lanes (lane.py), answers to `open`
and `trim`. In a process pool the main thread is the only lane and reads requests itself while it
is idle; a second thread looks after them while an item runs. In a thread pool the main thread
reads and lanes are threads."""

import json
import mmap
import os
import struct
import sys
import threading
import types
from collections import deque
from typing import Any, Deque, Dict, List

from . import requests as said
from .lane import Lane
from .opening import Job, Refusal
from .output import Output
from .piece import Piece
from .replies import Replies
from .requests import Requests

_TICK = 0.005


class Loop:
    def __init__(self, requests: Requests, replies: Replies, lanes: int, memory: Any, home: str):
        self.requests, self.replies = requests, replies
        self.queue: Deque[Piece] = deque()
        self.opens: Deque[Job] = deque()
        self.jobs: Dict[int, Job] = {}
        self.pieces: Dict[int, List[Piece]] = {}
        # Guards queue, pieces and claims.
        self.lock = threading.Condition(threading.Lock())
        self.reading = threading.Lock()
        self.local = threading.local()
        output = Output(home, self._item)
        self.output = output
        self.lanes = [Lane(index, memory, replies, output) for index in range(lanes)]

    def _item(self) -> int:
        lane = getattr(self.local, "lane", None)
        if lane is None:
            lane = next((lane for lane in self.lanes if lane.memory[0]), self.lanes[0])
        return lane.item

    # Requests

    def handle(self, frames: Any) -> None:
        if frames is None:
            os._exit(0)
        for kind, body in frames:
            if kind == said.RUN:
                self._run(Piece(body))
            elif kind == said.OPEN:
                (length,) = struct.unpack_from("<I", body)
                text = json.loads(bytes(body[4:4 + length]))
                job = Job(int(text["job"]), text, body[4 + length:])
                with self.lock:
                    self.jobs[job.number] = job
                    self.opens.append(job)
            elif kind == said.TRIM:
                chunk, end = struct.unpack("<QQ", body)
                with self.lock:
                    end = self._trim(self.pieces.get(chunk, ()), end)
                self.replies.trimmed(chunk, end)
            else:
                self._forget(struct.unpack("<Q", body)[0])

    def _run(self, piece: Piece) -> None:
        with self.lock:
            job = self.jobs.get(piece.number)
            if job is None:
                raise ValueError(f"a chunk is of job {piece.number}, which is not open")
            piece.job = job
            self.pieces.setdefault(piece.chunk, []).append(piece)
            self.queue.append(piece)
            self.lock.notify()

    def _forget(self, number: int) -> None:
        with self.lock:
            if self.jobs.pop(number, None) is None:
                return
            for pieces in self.pieces.values():
                for piece in pieces:
                    if piece.number == number:
                        self._trim([piece], 0)

    def _trim(self, pieces: Any, end: int) -> int:
        """Cuts the pieces of a chunk; returns below which item all of them run."""
        found = end
        for piece in reversed(pieces):
            piece.cut(end)
            found = piece.end
            active = [lane for lane in self.lanes if lane.piece is piece]
            for lane in sorted(active, key=lambda lane: -lane.start):
                # Only what is at the tail can be cut off.
                if end >= lane.limit or lane.limit != found:
                    break
                # A lane notes an item before it looks at its limit.
                noted = lane.memory[0]
                begun = noted if lane.start < noted <= lane.end else lane.start
                found = lane.limit = max(end, begun)
                if begun > lane.start:
                    break
            piece.claimed = min(piece.claimed, found)
            piece.end = found
            if found > piece.first:
                break
        return found

    # Lanes

    def step(self, lane: Lane) -> bool:
        """Runs one stride of what waits; False where nothing does."""
        with self.lock:
            while self.queue:
                piece = self.queue[0]
                job = piece.job
                most = job.pace if len(self.lanes) == 1 else max(1, min(job.pace // 4, 1024))
                if job.refusal is not None:
                    piece.end = piece.claimed
                start, end = piece.claim(most)
                if start < end:
                    lane.start, lane.end, lane.limit, lane.piece = start, end, end, piece
                    break
                self.queue.popleft()
                self._drop(piece)
            else:
                return False
        lane.run(piece, start, end)
        with self.lock:
            lane.piece = None
            self._drop(piece)
        if self.queue:
            self.replies.flush_if_due()
        return True

    def _drop(self, piece: Piece) -> None:
        """Forgets pieces of which nothing is left to run."""
        if piece.claimed < piece.end:
            return
        if any(lane.piece is piece for lane in self.lanes):
            return
        all_of_it = self.pieces.get(piece.chunk)
        if all_of_it and all(one.claimed >= one.end for one in all_of_it):
            del self.pieces[piece.chunk]

    def open_waiting(self) -> None:
        while self.opens:
            job = self.opens.popleft()
            try:
                job.open()
                if len(self.lanes) == 1:
                    job.begin(0)
                self.replies.opened(job.number)
            except Refusal as refusal:
                job.refusal = str(refusal)
                self.replies.opened(job.number, job.refusal)
            with self.lock:
                job.is_open = True
                self.lock.notify_all()

    def tick(self) -> None:
        for lane in self.lanes:
            piece = lane.piece
            if piece is not None and lane.end - lane.start > 1:
                lane.drain(piece, whole=False)
        self.replies.flush_if_due()
        self.output.cut()

    def serve_one_lane(self) -> None:
        lane = self.lanes[0]
        self.local.lane = lane
        busy = threading.Event()
        threading.Thread(target=self._watch, args=(busy,), daemon=True).start()
        while True:
            self.open_waiting()
            if self.queue:
                if not busy.is_set():
                    busy.set()
                if self.step(lane):
                    continue
            self.replies.flush()
            with self.reading:
                # The other thread may have taken some meanwhile.
                if not self.queue and not self.opens:
                    self.handle(self.requests.take())

    def _watch(self, busy: threading.Event) -> None:
        """Looks after requests and early values while the lane is at an item."""
        import time

        idle = 0
        while True:
            time.sleep(_TICK)
            if self.lanes[0].piece is None:
                idle += 1
                if idle > 100:
                    busy.clear()
                    if self.lanes[0].piece is None:
                        busy.wait()
                    idle = 0
                continue
            idle = 0
            if self.reading.acquire(blocking=False):
                try:
                    if self.requests.is_ready():
                        self.handle(self.requests.take())
                finally:
                    self.reading.release()
            self.tick()

    def serve_threads(self) -> None:
        for lane in self.lanes:
            threading.Thread(target=self._lane, args=(lane,), daemon=True).start()
        while True:
            while not self.requests.is_ready(5 if any(lane.piece for lane in self.lanes) else 100):
                self.tick()
            self.handle(self.requests.take())
            self.open_waiting()

    def _lane(self, lane: Lane) -> None:
        self.local.lane = lane
        while True:
            with self.lock:
                while not self.queue or not self.queue[0].job.is_open:
                    self.lock.wait()
            if not self.step(lane) or not self.queue:
                self.replies.flush()


def main() -> None:
    os.environ.pop("MUSTER_RUNNER", None)
    try:
        paths = [os.environ.pop("MUSTER_RUNNER_" + name)
                 for name in ("REQUESTS", "REPLIES", "PROGRESS")]
    except KeyError:
        sys.exit("muster.runner is started by a worker of a Muster cluster "
                 "(docs/runner-protocol.md), not by hand")
    requests = os.open(paths[0], os.O_RDONLY | os.O_CLOEXEC)
    replies = Replies(os.open(paths[1], os.O_WRONLY | os.O_CLOEXEC))
    progress = os.open(paths[2], os.O_RDWR | os.O_CLOEXEC)
    size = os.fstat(progress).st_size
    memory = memoryview(mmap.mmap(progress, size)).cast("Q")
    # What is pickled by reference to the main program is not of this one.
    main_module = types.ModuleType("__main__")
    sys.modules["__main__"] = main_module
    sys.argv = [""]
    loop = Loop(Requests(requests), replies, max(1, size // 16), memory,
                os.path.dirname(paths[0]))
    from . import named

    replies.ready(sorted(named.FUNCTIONS))
    if len(loop.lanes) == 1:
        loop.serve_one_lane()
    else:
        loop.serve_threads()
