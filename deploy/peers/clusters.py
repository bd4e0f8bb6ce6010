"""What each peer needs beside the user's program, as processes that can be killed one by one."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import psutil

PYTHON = sys.executable
HERE = os.path.dirname(os.path.abspath(__file__))


def below(pid, word=""):
    """Descendants whose command line holds the word."""
    found = []
    try:
        for process in psutil.Process(pid).children(recursive=True):
            try:
                if word in " ".join(process.cmdline()) and process.status() != "zombie":
                    found.append(process.pid)
            except psutil.Error:
                pass
    except psutil.Error:
        pass
    return found


class Cluster:
    """A peer's own server and workers. `by_hand` counts what a person had to start again."""

    name = version = ""
    has_server = True

    def __init__(self, folder):
        self.folder, self.children, self.by_hand, self.address = folder, [], 0, "-"
        self.log = open(f"{folder}/cluster.log", "ab")
        self.environment = dict(os.environ)

    def spawn(self, *words):
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.folder,
            env=dict(self.environment, PYTHONPATH=HERE))
        self.children.append(child)
        return child

    def program(self, n):
        return [PYTHON, f"{HERE}/clients.py", self.name, self.folder, str(n), self.address]

    def workers(self, client):
        """Processes that compute now."""
        return []

    def server(self, client):
        return None

    def restart_server(self):
        pass

    def tend(self):
        """What the system does all the time, as the peer's documents set it up."""

    def mend(self):
        """What a person does before starting the program again: whatever is gone is started."""

    def stop(self):
        for child in self.children:
            for pid in below(child.pid) + [child.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            child.wait()


class Joblib(Cluster):
    name, has_server = "joblib", False

    def start(self):
        pass

    def workers(self, client):
        return below(client.pid, "popen_loky")

    def server(self, client):
        return client.pid  # The program is its own server.


class Dask(Cluster):
    name = "dask"

    def start(self):
        self.address = "tcp://127.0.0.1:8786"
        self.restart_server()
        self.agents = []
        self.mend()
        self.by_hand = 0

    def restart_server(self):
        self.scheduler = self.spawn(
            PYTHON, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "8786",
            "--no-dashboard")

    def mend(self):
        if self.scheduler.poll() is not None:
            self.by_hand += 1
            self.restart_server()
        self.agents = [agent for agent in self.agents if agent.poll() is None]
        while len(self.agents) < 2:
            self.by_hand += 1
            # With its nanny, as by default: a process that starts a killed worker again.
            self.agents.append(self.spawn(
                PYTHON, "-m", "distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-dashboard"))
        time.sleep(4)

    def workers(self, client):
        return [pid for agent in self.agents for pid in below(agent.pid, "spawn_main")]

    def server(self, client):
        return self.scheduler.pid


class HyperQueue(Cluster):
    """The wheel of PyPI: server and worker are threads of one process; there is no `hq` in it."""

    name = "hyperqueue"

    def start(self):
        self.address = f"{self.folder}/server"
        self.restart_server()
        time.sleep(2)

    def restart_server(self):
        shutil.rmtree(self.address, ignore_errors=True)
        code = (
            "import sys, time; from hyperqueue.cluster import *;"
            "c = LocalCluster(sys.argv[1], WorkerConfig(cores=2)); time.sleep(1e6)")
        self.process = self.spawn(PYTHON, "-c", code, self.address)

    def mend(self):
        if self.process.poll() is not None:
            self.by_hand += 1
            self.restart_server()
            time.sleep(2)

    def workers(self, client):
        # No process of its own runs tasks: the nearest thing is the task's process.
        return below(self.process.pid, "sh -c")

    def server(self, client):
        return self.process.pid


class Muster(Cluster):
    name = "muster"
    binary = os.environ.get("MUSTER_BINARY") or shutil.which("muster") or ""

    def start(self):
        self.environment = dict(
            os.environ, HOME=self.folder, XDG_CONFIG_HOME=f"{self.folder}/config", TMPDIR=self.folder)
        self.restart_server()
        self.muster("coordinator", "wait")
        self.agents, self.count = [], 0
        self.mend()
        self.by_hand = 0

    def muster(self, *words):
        return subprocess.run(
            [self.binary, *words], env=self.environment, cwd=self.folder, check=True, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log).stdout

    def restart_server(self):
        self.coordinator = self.spawn(
            self.binary, "coordinator", "start", "--state-dir", f"{self.folder}/coordinator", "--listen",
            "127.0.0.1:7077")

    def mend(self):
        if self.coordinator.poll() is not None:
            self.by_hand += 1
            self.restart_server()
            self.muster("coordinator", "wait")
        self.agents = [agent for agent in self.agents if agent.poll() is None]
        while len(self.agents) < 2:
            self.join()
        self.muster("worker", "wait", "2")

    def join(self):
        self.by_hand += 1
        self.count += 1
        name = f"w{self.count}"
        with open(f"{self.folder}/{name}.tok", "w") as token:
            token.write(self.muster("token", "create", "--worker"))
        self.agents.append(self.agent(
            name, "127.0.0.1:7077", "--token-file", f"{self.folder}/{name}.tok"))

    def agent(self, name, *place):
        agent = self.spawn(
            self.binary, "join", *place, "--state-dir", f"{self.folder}/{name}", "--name", name, "-j", "1",
            "--allow-root")
        agent.name = name
        return agent

    def tend(self):
        """An agent that died comes back as its systemd unit (deploy/systemd) has it."""
        for place, agent in enumerate(self.agents):
            if agent.poll() is not None:
                self.agents[place] = self.agent(agent.name)

    def program(self, n):
        command = re.sub(r"\{i\}", "$1", item_shell().replace("{folder}", self.folder))
        items = " ".join(map(str, range(n)))
        return ["sh", "-c", f"""
            {self.binary} run sh -c '{command}' sh {{}} ::: {items} > {self.folder}/delivered \
                2> {self.folder}/notes
            code=$?
            [ $code = 0 ] && echo ok > {self.folder}/said || echo "exit $code" > {self.folder}/said
            exit $code"""]

    def workers(self, client):
        return [agent.pid for agent in self.agents if agent.poll() is None]

    def server(self, client):
        return self.coordinator.pid


def item_shell():
    import item
    return item.SHELL


ALL = {cluster.name: cluster for cluster in (Joblib, Dask, HyperQueue, Muster)}
