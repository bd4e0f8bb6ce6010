"""A worker that has another Python than the client: an answer instead of a riddle."""

import os
import shutil
import subprocess
import sys

import pytest

import muster

HERE = sys.version_info[:2]


def other_python():
    """Another version of Python 3 that is installed, and its number."""
    named = os.environ.get("MUSTER_OTHER_PYTHON")
    for name in [named] if named else [f"python3.{minor}" for minor in range(9, 16)]:
        path = shutil.which(name)
        if path is None:
            continue
        done = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True,
            text=True)
        words = done.stdout.split()
        if done.returncode == 0 and tuple(map(int, words)) != HERE:
            return path, ".".join(words)
    return None


def test_a_worker_with_another_python_says_so(cluster, monkeypatch):
    found = other_python()
    if found is None:
        pytest.skip("no second Python is installed; MUSTER_OTHER_PYTHON names one")
    path, version = found
    monkeypatch.setenv("MUSTER_PYTHON", path)
    with pytest.raises(muster.ClusterError) as caught:
        list(cluster.map(abs, [1, 2]))
    said = str(caught.value)
    assert f"the client runs Python {HERE[0]}.{HERE[1]}" in said and f"is Python {version}" in said
    assert "MUSTER_PYTHON" in said


def test_a_python_that_is_not_there_is_named(cluster, monkeypatch):
    monkeypatch.setenv("MUSTER_PYTHON", "python-of-nowhere")
    with pytest.raises(muster.ClusterError) as caught:
        list(cluster.map(abs, [1, 2]))
    assert "python-of-nowhere" in str(caught.value)
