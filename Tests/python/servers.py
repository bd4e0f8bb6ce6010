"""A real cluster of processes for tests: a coordinator and workers of the `muster` binary.

In: `MUSTER_BINARY`, or a build of this repository. Out: a profile in a directory of its own, and
processes that a test may kill. A worker's connection can lead through a relay that counts bytes.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Dict, List, Optional

ROOT = Path(__file__).resolve().parents[2]


def binary() -> str:
    """The program, or an error that says how to get it."""
    named = os.environ.get("MUSTER_BINARY")
    builds = [ROOT / ".build" / kind / "muster" for kind in ("release", "debug")]
    for path in [Path(named)] if named else builds:
        if path.exists():
            return str(path)
    raise FileNotFoundError("no muster program: run `swift build`, or set MUSTER_BINARY")


def free_ports() -> int:
    """A port that is free together with the next one."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return int(port)
    raise OSError("no two free ports side by side")


class Servers:
    """A coordinator and its workers; `environment` makes this program use them."""

    def __init__(self, folder: Path, slots: int = 4, relay: bool = False) -> None:
        self.folder = folder
        self.port = free_ports()
        self.environment = {**os.environ, "MUSTER_CONFIG": str(folder / "config")}
        self.environment.pop("MUSTER_LOCAL", None)
        self.workers: Dict[str, subprocess.Popen] = {}
        self.coordinator: Optional[subprocess.Popen] = None
        self.relay = Relay(self.port) if relay else None
        self.start_coordinator()
        self.slots = slots
        self.start_worker("w1", slots)

    def start_coordinator(self) -> None:
        command = ["coordinator", "start", "--listen", f"127.0.0.1:{self.port}",
                   "--state-dir", str(self.folder / "coordinator")]
        self.coordinator = self._start("coordinator", command)
        self._until(lambda: self._run(["worker", "list"]).returncode == 0)

    def start_worker(self, name: str, slots: int) -> None:
        """The first time with a token, then with the certificate that it has."""
        state = self.folder / name
        port = self.relay.port if self.relay else self.port
        command = ["join", f"127.0.0.1:{port}", "--name", name, "-j", str(slots), "--allow-root",
                   "--state-dir", str(state)]
        if not state.exists():
            token = self.folder / f"{name}.token"
            token.write_bytes(self._run(["token", "create", "--worker"]).stdout)
            command += ["--token-file", str(token), "--enrol", f"127.0.0.1:{self.port + 1}"]
        self.workers[name] = self._start(name, command)
        self._until(lambda: f"{name} " in self._run(["worker", "list"]).stdout.decode())

    def kill(self, process: subprocess.Popen) -> None:
        """SIGKILL, and waits for the end."""
        process.kill()
        process.wait()

    def kill_runner(self) -> None:
        """One of those that there are, or the first that comes."""
        self._until(lambda: bool(self.runners()))
        os.kill(self.runners()[0], signal.SIGKILL)

    def kill_worker(self) -> None:
        """And starts it again."""
        self.kill(self.workers["w1"])
        self.start_worker("w1", self.slots)

    def kill_coordinator(self) -> None:
        """And starts it again."""
        self.kill(self.coordinator)
        self.start_coordinator()

    def runners(self) -> List[int]:
        """Process ids of the Python runners of all workers."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                    here = os.readlink(entry / "cwd").startswith(str(self.folder))
                except OSError:
                    continue
                if here and b"muster-runner.zip" in line and b"/bin/sh" not in line:
                    found.append(int(entry.name))
        return found

    def stop(self) -> None:
        for process in [*self.workers.values(), self.coordinator]:
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in [*self.workers.values(), self.coordinator]:
            if process is not None:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    self.kill(process)

    def _start(self, name: str, arguments: List[str]) -> subprocess.Popen:
        with open(self.folder / f"{name}.log", "ab") as log:
            return subprocess.Popen(
                [binary(), *arguments], env=self.environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)

    def _run(self, arguments: List[str]) -> subprocess.CompletedProcess:
        return subprocess.run(
            [binary(), *arguments], env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=30)

    def _until(self, is_true) -> None:
        end = time.monotonic() + 30
        while not is_true():
            if time.monotonic() > end:
                logs = "".join(path.read_text() for path in self.folder.glob("*.log"))
                raise TimeoutError(f"the cluster did not start within 30 s; it wrote:\n{logs}")
            time.sleep(0.05)


class Relay:
    """Passes connections on to a port, and counts the bytes that come back from there."""

    def __init__(self, target: int) -> None:
        self.received = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            far = socket.create_connection(("127.0.0.1", self._target))
            for pair, counts in (((near, far), False), ((far, near), True)):
                threading.Thread(target=self._pass, args=(*pair, counts), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if counts:
                    self.received += len(data)
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                end.close()
