"""What all tests of the Python package share: a cluster of real processes, one for the session."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Sources" / "python"))

from servers import Servers, binary  # noqa: E402


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """A coordinator and a worker with four slots, which are the default cluster of this process."""
    started = Servers(tmp_path_factory.mktemp("cluster"))
    os.environ["MUSTER_BINARY"] = binary()
    os.environ["MUSTER_CONFIG"] = started.environment["MUSTER_CONFIG"]
    yield started
    started.stop()


@pytest.fixture(scope="session")
def cluster(servers):
    """The connection to it."""
    import muster

    opened = muster.default()
    yield opened
    opened.close()
