"""Every example runs as it stands and prints what it should."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "Sources" / "python" / "examples"
SOURCES = FOLDER.parent

# What each prints, as a pattern, and what it needs.
EXAMPLES = {
    "joblib_processes": (r"\[\(1, 2\), \(2, 2\), .*\(10, 2\)\]", ["joblib"]),
    "joblib_threads": (r"0\n1\n4\n9\n(.*\n)*361\n", ["joblib"]),
    "tqdm_joblib": (r"278\n", ["joblib", "tqdm"]),
    "pqdm_processes": (r"999\n1998\n", ["tqdm"]),
    "pqdm_threads": (r"division by zero 0\.25\n", ["tqdm"]),
    "futures_processes": (r"(.*\n){10}\[\(0, 2\), .*\]\n\[\(0, 5\), .*\]\n", []),
    "futures_threads": (r"1521\n", []),
    "pool_processes": (
        r"\[\(0, 2\), .*\n\[\(1, 2\), \(3, 4\)\]\n\(1, 7\)\n(.*\n){5}\[\(0, 2\)", []),
    "pool_threads": (r"\[0, 1, 4, .*225\]\n", []),
    "threads": (r"\[\(0, 3\), .*\(4, 3\)\]\n", []),
    "numba_parallel": (r"1\.885618e\+12 by \d+ threads\n\[", ["numba"]),
}


def test_every_example_is_tested():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example(servers, name):
    pattern, modules = EXAMPLES[name]
    for module in modules:
        pytest.importorskip(module)
    environment = {**servers.environment, "PYTHONPATH": str(SOURCES)}
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py")], env=environment, capture_output=True,
        text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert re.search(pattern, done.stdout), done.stdout
    if name == "tqdm_joblib":
        assert "20000/20000" in done.stderr
    if name == "numba_parallel" and len(os.sched_getaffinity(0)) > 1:
        assert int(re.findall(r"by (\d+) threads", done.stdout)[0]) > 1
