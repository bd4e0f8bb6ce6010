"""Kills peers' workers, servers and clients while they work, and says what was lost.

In: --peers and --faults (lists with commas), --items. Out: a Markdown table on stdout. A case is one
program with so many items of 20 ms on two workers. When the program ends without all values it is
started again, as a person would: each start and each process started by hand is counted.
"""
import argparse
import collections
import importlib.metadata
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import clusters

PATIENCE = 60  # Seconds until a program without progress counts as hanging.
STARTS = 40

FAULTS = {
    "none": "nothing",
    "worker": "one worker killed, 3 s in",
    "workers": "a worker killed every second for 20 s",
    "server": "the server killed 3 s in, started again 1 s later",
    "servers": "the server killed every 5 s for 20 s, started again at once",
    "client": "the user's program killed 3 s in",
}


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return 1
    except (OSError, TypeError):
        return 0


def lines(path):
    try:
        with open(path) as file:
            return file.read().splitlines()
    except OSError:
        return []


class Case:
    def __init__(self, peer, fault, n):
        self.peer, self.fault, self.n = peer, fault, n
        self.folder = tempfile.mkdtemp(prefix="peer-")
        self.cluster = clusters.ALL[peer](self.folder)
        self.kills, self.starts, self.ends = 0, 0, []
        self.known = {}  # Values that were handed over in any of the starts.
        self.first = 0  # Of those, by the first start.
        self.random = random.Random(1)

    def run(self):
        self.cluster.start()
        self.began = time.monotonic()
        self.due = 3 if self.fault in ("worker", "server", "client") else 1
        self.back = None
        wrong = 0
        while self.starts < STARTS:
            if self.starts:
                self.cluster.mend()
            self.starts += 1
            end, values = self.once()
            for i, value in enumerate(values):
                wrong += value != str(i * i)
                self.known[i] = value
            if self.starts == 1:
                self.first = len(values)
            self.ends.append(end)
            if end == "ok":
                break
        seconds = time.monotonic() - self.began
        counts = collections.Counter(lines(f"{self.folder}/log"))
        again = sum(counts[f"ended {i}"] > 1 for i in range(self.n))
        extra = sum(max(0, counts[f"ended {i}"] - 1) for i in range(self.n))
        self.cluster.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        return dict(
            peer=self.peer, fault=self.fault, kills=self.kills, end=self.ends[0], first=self.first,
            wrong=wrong, starts=self.starts, last=self.ends[-1], hand=self.cluster.by_hand, again=again,
            extra=extra, seconds=seconds)

    def once(self):
        """Runs the program once, with faults. Returns how it ended and what it handed over."""
        for name in ("delivered", "said"):
            try:
                os.remove(f"{self.folder}/{name}")
            except OSError:
                pass
        client = subprocess.Popen(
            self.cluster.program(self.n), stdin=subprocess.DEVNULL, stdout=self.cluster.log,
            stderr=self.cluster.log, start_new_session=True, env=self.cluster.environment)
        quiet, size, killed = time.monotonic(), -1, False
        while client.poll() is None:
            time.sleep(0.02)
            now = time.monotonic()
            killed = self.disturb(client, now - self.began) or killed
            grown = sum(
                os.path.getsize(f"{self.folder}/{name}") for name in ("log", "delivered")
                if os.path.exists(f"{self.folder}/{name}"))
            if grown != size:
                quiet, size = now, grown
            if now - quiet > PATIENCE:
                break
        hangs = client.poll() is None
        for pid in clusters.below(client.pid) + [client.pid]:
            kill(pid)
        client.wait()
        said = "hangs" if hangs else "".join(lines(f"{self.folder}/said")) or "killed"
        return said, lines(f"{self.folder}/delivered")

    def disturb(self, client, now):
        """One turn of the kill loop. Returns whether the program itself was the victim."""
        if self.back is not None and now >= self.back:
            self.back = None
            self.cluster.restart_server()
        self.cluster.tend()
        if now < self.due:
            return False
        if self.fault in ("worker", "workers"):
            victims = self.cluster.workers(client)
            if not victims:
                return False
            self.kills += kill(self.random.choice(sorted(victims)))
            self.again(now, 1)
        elif self.fault in ("server", "servers"):
            server = self.cluster.server(client)
            self.kills += kill(server)
            self.again(now, 5)
            if self.cluster.has_server:
                self.back = now + (1 if self.fault == "server" else 0)
            return server == client.pid
        elif self.fault == "client":
            for pid in clusters.below(client.pid) + [client.pid]:
                self.kills += kill(pid) and pid == client.pid
            self.due = float("inf")
            return True
        else:
            self.due = float("inf")
        return False

    def again(self, now, pause):
        once = self.fault in ("worker", "server") or now + pause > 20
        self.due = float("inf") if once else now + pause


def version(peer):
    if peer == "muster":
        words = subprocess.run([clusters.Muster.binary, "--version"], capture_output=True, text=True)
        return words.stdout.split()[-1]
    return importlib.metadata.version("distributed" if peer == "dask" else peer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", default="joblib,dask,hyperqueue")
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--items", type=int, default=1000)
    options = parser.parse_args()
    rows = []
    for peer in options.peers.split(","):
        for fault in options.faults.split(","):
            row = Case(peer, fault, options.items).run()
            print(row, file=sys.stderr, flush=True)
            rows.append(row)
    n = options.items
    print(f"{n} items of 20 ms on two workers.\n")
    print("| peer | fault | kills | first start | values it gave | starts needed | processes started by hand "
          "| finished items run again | s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        starts = row["starts"] if row["last"] == "ok" else f"over {row['starts']}"
        print(f"| {row['peer']} {version(row['peer'])} | {FAULTS[row['fault']]} | {row['kills']} | {row['end']} "
              f"| {row['first']} | {starts} | {row['hand']} | {row['extra']} | {row['seconds']:.0f} |")
    sys.exit(any(row["wrong"] for row in rows))


if __name__ == "__main__":
    main()
