"""Runs joblib's own tests of Parallel, as installed, with the backend "muster" registered.

In: `python joblib_suite.py [named|wide|default] [pytest options]`. Out: pytest's report and exit
code. Nothing of the suite is part of this project.

named    the suite as it is: what is parametrised by all registered backends now has our name too
wide     our name is added wherever the suite lists the process backends by name
default  as named, and all calls that name no backend use ours

Differences that are meant to be are in expected.txt, each with its reason; a test that fails
and is not there makes the run fail, and so does one that is there and passes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any, List

import expected
import joblib
import joblib.parallel
import muster  # noqa: F401  registers the backend
import pytest

SUITE = "joblib.test.test_parallel"


class Plugin:
    """Adds our name to the suite's parameters, and the expectations to its tests."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: Any) -> None:
        if self.mode != "wide":
            return
        for marker in metafunc.definition.iter_markers("parametrize"):
            values: Any = marker.args[1]
            words = isinstance(values, list) and all(isinstance(v, str) for v in values)
            if words and "loky" in values and "muster" not in values:
                values.append("muster")

    def pytest_collection_modifyitems(self, items: List[Any]) -> None:
        expected.mark_pytest(items, f"joblib-{self.mode}")


def register_everywhere() -> None:
    """The suite's child processes and loky's workers import no muster by themselves."""
    folder = tempfile.mkdtemp(prefix="muster-suite-")
    with open(os.path.join(folder, "sitecustomize.py"), "w") as file:
        file.write("import muster\n")
    paths = [folder, os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)


def main() -> int:
    arguments = sys.argv[1:]
    mode = "named"
    if arguments and arguments[0] in ("named", "wide", "default"):
        mode = arguments.pop(0)
    assert "muster" in joblib.parallel.BACKENDS, "import muster did not register the backend"
    if mode == "default":
        joblib.parallel.DEFAULT_BACKEND = "muster"
    register_everywhere()
    options = ["--pyargs", SUITE, "-p", "no:cacheprovider", "-q", "-rfEX", *arguments]
    return int(pytest.main(options, plugins=[Plugin(mode)]))


if __name__ == "__main__":
    sys.exit(main())
