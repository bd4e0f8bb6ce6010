"""A cluster of this program's own: coordinator and worker in one process beside it, which ends
with it. In: how many slots. Out: a Cluster. It is the `muster` program that runs there: the one
that `MUSTER_BINARY` names, or the one in PATH."""

import os
import shutil
import subprocess
from typing import Any, Optional

from .._codec import bundle
from .._link import profile as profiles
from .._link.link import Link
from ..errors import ClusterError
from .cluster import Cluster


def binary() -> str:
    named = os.environ.get("MUSTER_BINARY")
    found = named or shutil.which("muster")
    if not found or not os.access(found, os.X_OK):
        what = f"MUSTER_BINARY is {named}, which is no program" if named else \
            "there is no `muster` in PATH"
        raise ClusterError(
            f"an embedded cluster needs the program muster, and {what}: install it, or name it "
            "with MUSTER_BINARY; muster.connect() uses a cluster that is there", "notFound")
    return found


class Embedded:
    """The process, from its start to its end."""

    def __init__(self, slots: Optional[int]) -> None:
        words = [binary(), "embedded", *(["--slots", str(slots)] if slots else [])]
        # A session of its own: Ctrl-C is for this program, which ends the other one in order.
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert self._process.stdout is not None
        # What the first job needs, while the other process starts.
        bundle.bundle()
        self.folder = self._process.stdout.readline().decode().strip()
        if not self.folder:
            code = self._process.wait()
            raise ClusterError(
                f"the embedded cluster did not start ({' '.join(words)} ended with {code}); what "
                "it said is above", "system")

    def close(self) -> None:
        """Asks it to end and waits."""
        process: Any = self._process
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def local(slots: Optional[int] = None) -> Cluster:
    """Starts a cluster on this machine for this program alone. `slots`: items that run at the same
    time, nothing = one for each core. It ends with `close()` or with this program."""
    if slots is not None and slots < 1:
        raise ValueError(f"a cluster has at least 1 slot, not {slots}")
    owner = Embedded(slots)
    try:
        profile = profiles.read("local", owner.folder)
        return Cluster(Link(lambda: profile), is_local=True, owner=owner)
    except BaseException:
        owner.close()
        raise
