"""The runner: a process on a worker that calls functions (docs/runner-protocol.md). It travels as
a zip (_codec/bundle.py). Bytes of two pipes come in and go out; the walk: main, requests, piece,
lane, replies."""

from typing import Callable


def serve(*functions: Callable) -> None:
    """Serves these functions by their names where a worker has started this program, as for
    `muster map ./program.py:function`. Returns at once where it was started otherwise."""
    import os

    if "MUSTER_RUNNER" not in os.environ:
        return
    from . import named
    from .main import main

    named.FUNCTIONS.update({function.__name__: function for function in functions})
    main()
