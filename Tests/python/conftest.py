"""A real cluster for the tests: coordinator and worker as processes of the muster program, with
TLS and tokens, in a directory of their own. In: MUSTER_BINARY. Out: fixtures."""

import os
import signal
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.setdefault("MUSTER_BINARY", os.path.join(ROOT, ".build/debug/muster"))
os.environ["MUSTER_PYTHON"] = sys.executable

import muster  # noqa: E402
from muster._engine import cluster as engine  # noqa: E402


class Processes:
    """Coordinator and worker, which tests may kill and start again."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.environment = dict(os.environ, MUSTER_CONFIG=f"{directory}/config")
        self.address = "127.0.0.1:0"
        self.coordinator = self.worker = None

    def run(self, *words: str) -> str:
        done = subprocess.run([BINARY, *words], env=self.environment, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen:
        log = open(f"{self.directory}/{words[0]}.log", "a")
        return subprocess.Popen([BINARY, *words], env=self.environment, stdout=log, stderr=log)

    def start_coordinator(self) -> None:
        self.coordinator = self.start(
            "coordinator", "start", "--listen", self.address, "--enrol-listen", "127.0.0.1:0",
            "--state-dir", f"{self.directory}/state")

    def start_worker(self, *more: str) -> None:
        self.worker = self.start(
            "join", *more, "--state-dir", f"{self.directory}/worker", "--name", "w1", "-j", "2",
            "--allow-root")

    def stop(self) -> None:
        for process in (self.worker, self.coordinator):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def until(what, seconds=20.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def processes(tmp_path_factory):
    made = Processes(str(tmp_path_factory.mktemp("cluster")))
    os.environ["MUSTER_CONFIG"] = f"{made.directory}/config"
    made.start_coordinator()
    until(lambda: os.path.exists(f"{made.directory}/config/current"))
    from muster._link import profile
    made.address = profile.load().address
    token = made.run("token", "create", "--worker")
    with open(f"{made.directory}/token", "w") as file:
        file.write(token)
    import json
    found = []

    def enrolment():
        text = json.loads(made.run("status", "--json"))
        found[:] = [value for key, value in _walk(text) if key == "enrolAddress" and value]
        return bool(found)
    until(enrolment)
    made.start_worker(made.address, "--token-file", f"{made.directory}/token", "--enrol", found[0])
    yield made
    made.stop()


def _walk(value):
    if isinstance(value, dict):
        for key, part in value.items():
            yield key, part
            yield from _walk(part)
    elif isinstance(value, list):
        for part in value:
            yield from _walk(part)


@pytest.fixture(scope="session")
def cluster(processes):
    made = muster.connect()
    until(lambda: made.slots == 2)
    engine._default, engine._default_pid = made, os.getpid()
    yield made
    made.close()
