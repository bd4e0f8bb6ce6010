"""One TLS connection. In: frames to send. Out: frames that came. A small lock guards the TLS
session, which two threads may not enter at once; whoever has something to say writes it straight
away, what the socket does not take waits here. Comes from profile.py; link.py drives it."""

import json
import select
import socket
import ssl
import threading
from collections import deque
from typing import Any, Deque, Iterable, Iterator, List, Tuple

from .._wire import frames
from ..errors import ClusterError
from . import profile as profiles

_SMALL = 64 << 10
_TURN = 1 << 20
_RECORD = 16 << 10
_HANDSHAKE = 5.0
_VERSION = "0.1.0"


class Cut(Exception):
    """The connection is gone; another one may do."""


class Channel:
    def __init__(self, profile: profiles.Profile) -> None:
        self._lock = threading.Lock()
        self._out: Deque[Any] = deque()
        self._small = bytearray(_SMALL)
        self._view = memoryview(self._small)
        self._have = 0
        self._large: Any = None
        self._large_kind = 0
        self._large_at = 0
        # More may be there than the socket tells: do not wait for it.
        self.has_more = False
        context = profiles.context(profile)
        try:
            raw = socket.create_connection((profile.host, profile.port), timeout=_HANDSHAKE)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = context.wrap_socket(raw)
        except ssl.SSLCertVerificationError as error:
            raise ClusterError(
                f"{profile.address} is not of the cluster {profile.name}: "
                f"{error.verify_message}", "authentication") from error
        except (OSError, ssl.SSLError) as error:
            raise Cut(f"{profile.address} does not answer ({error})") from error
        try:
            self.welcome = self._greet(profile)
        except BaseException:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._poll_number = self._socket.fileno()

    def _greet(self, profile: profiles.Profile) -> dict:
        if self._socket.selected_alpn_protocol() != profiles.ALPN:
            raise ClusterError(f"{profile.address} does not speak Muster's protocol", "version")
        profiles.check_peer(self._socket.getpeercert(), profile)
        hello = {"wire": frames.WIRE_VERSION, "version": _VERSION}
        try:
            self._socket.sendall(frames.text_frame(frames.HELLO, hello)[0])
            length, kind = frames.HEAD.unpack(self._exactly(5))
            if length > frames.FRAME_BYTES_BEFORE_WELCOME:
                raise ClusterError(f"{profile.address} spoke nonsense", "malformed")
            body = self._exactly(length)
        except (OSError, ssl.SSLError) as error:
            raise _refusal(error, profile) from error
        text = json.loads(body)
        if kind == frames.REFUSED:
            raise ClusterError(text.get("message", "refused"), text.get("code", "internal"))
        if kind != frames.WELCOME or text.get("wire") != frames.WIRE_VERSION:
            raise ClusterError(f"{profile.address} spoke nonsense", "malformed")
        return text

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise ConnectionError("it closed the connection")
            data += part
        return data

    def fileno(self) -> int:
        return self._poll_number

    @property
    def events(self) -> int:
        return select.POLLIN | select.POLLOUT if self._out else select.POLLIN

    @property
    def is_clogged(self) -> bool:
        """Something waits that the socket did not take."""
        return bool(self._out)

    # Out

    def send(self, buffers: Iterable[Any]) -> None:
        """Sends at once what goes; never waits."""
        with self._lock:
            self._out.extend(_joined(buffers))
            self._push()

    def send_lazily(self, source: Iterator[List[Any]]) -> None:
        """Frames that are made when there is room for them."""
        with self._lock:
            self._out.append(source)
            self._push()

    def flush(self) -> None:
        with self._lock:
            self._push()

    def _push(self) -> None:
        out = self._out
        try:
            while out:
                first = out[0]
                if not isinstance(first, (bytes, bytearray, memoryview)):
                    made = next(first, None)
                    if made is None:
                        out.popleft()
                    else:
                        out.extendleft(reversed(_joined(made)))
                    continue
                sent = self._socket.send(first)
                if sent == len(first):
                    out.popleft()
                else:
                    out[0] = memoryview(first)[sent:]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except (OSError, ssl.SSLError, ValueError):
            # Reading finds out, and what was written last may still say why.
            out.clear()
        except BaseException:
            # Interrupted: nobody knows what was sent, so this connection is of no use any more.
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            raise

    # In

    def receive(self) -> List[Tuple[int, memoryview]]:
        """Frames that are there, without waiting. Raises Cut at the end."""
        found: List[Tuple[int, memoryview]] = []
        total = 0
        self.has_more = False
        lock, read = self._lock, self._socket.recv_into
        try:
            while True:
                large = self._large
                with lock:
                    if large is not None:
                        count = read(memoryview(large)[self._large_at:])
                    else:
                        count = read(self._view[self._have:])
                if count == 0:
                    raise Cut("the coordinator closed the connection")
                total += count
                if large is not None:
                    self._large_at += count
                    if self._large_at == len(large):
                        found.append((self._large_kind, memoryview(large)))
                        self._large = None
                else:
                    self._have += count
                    self._cut(found)
                if total >= _TURN:
                    self.has_more = True
                    return found
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return found
        except (OSError, ssl.SSLError, ValueError) as error:
            if found:
                self.has_more = True
                return found
            raise Cut(f"the connection broke off ({error})") from error
        except Cut:
            if found:
                self.has_more = True
                return found
            raise

    def _cut(self, found: List[Tuple[int, memoryview]]) -> None:
        at, have, view = 0, self._have, self._view
        while have - at >= 5:
            length, kind = frames.HEAD.unpack_from(view, at)
            if length > frames.FRAME_BYTES or kind not in frames.TO_CLIENT:
                raise ClusterError(
                    f"the coordinator sent a frame of kind {kind} and {length} bytes, which "
                    "clients never get", "malformed")
            body = at + 5
            if body + length > have:
                if length + 5 > _RECORD:
                    self._large, self._large_kind = bytearray(length), kind
                    self._large_at = have - body
                    self._large[:have - body] = view[body:have]
                    at = have
                break
            found.append((kind, memoryview(bytes(view[body:body + length]))))
            at = body + length
        if at:
            rest = have - at
            if rest:
                view[:rest] = bytes(view[at:have])
            self._have = rest

    def close(self) -> None:
        with self._lock:
            self._out.clear()
            try:
                self._socket.close()
            except OSError:
                pass


def _joined(buffers: Iterable[Any]) -> List[Any]:
    """Small neighbours become one buffer, as each write is a record of TLS."""
    made: List[Any] = []
    small: List[Any] = []
    for buffer in buffers:
        if len(buffer) < 32 << 10:
            small.append(buffer)
            continue
        if small:
            made.append(b"".join(small))
            small = []
        made.append(buffer)
    if small:
        made.append(b"".join(small) if len(small) > 1 else small[0])
    return made


def _refusal(error: BaseException, profile: profiles.Profile) -> Exception:
    """Under TLS 1.3 a refused certificate shows only when something is read."""
    if "alert" in str(error).lower():
        return ClusterError(
            f"{profile.address} refuses the certificate of the cluster {profile.name} ({error}): "
            "it may have expired or been revoked; log in again", "authentication")
    return Cut(f"{profile.address} does not answer ({error})")
