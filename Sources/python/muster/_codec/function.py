"""The function of a job and what belongs to it, as the job's fixed argument: a JSON head that
can be read by every Python, and a pickle that only the same Python should load.
In: a callable. Out: bytes; the runner reads them with `parse`. Next: bundle.py."""

import json
import os
import struct
import sys
from typing import Any, Callable, Dict, Tuple

_LENGTH = struct.Struct("<I")

# How an item's value becomes a call.
ONE, SPREAD, CALL = "one", "spread", "call"


def pack(
    function: Callable, *, style: str, initializer: Any, initargs: tuple, fixed: tuple,
    here: bool, threads: bool,
) -> bytes:
    """`here`: runners are on this very machine and may work where this program works."""
    import cloudpickle

    head: Dict[str, Any] = {
        "python": list(sys.version_info[:2]), "implementation": sys.implementation.name,
        "style": style, "cloudpickle": cloudpickle.__version__,
        "path": [os.path.abspath(entry) if entry else os.getcwd() for entry in sys.path],
    }
    if here:
        head["directory"] = os.getcwd()
    main = sys.modules.get("__main__")
    head["main"] = getattr(main, "__file__", None) or "<stdin>"
    text = json.dumps(head).encode()
    body = cloudpickle.dumps((function, initializer, initargs, fixed), 5)
    return _LENGTH.pack(len(text)) + text + body


def parse(data: Any) -> Tuple[Dict[str, Any], memoryview]:
    data = memoryview(data)
    (length,) = _LENGTH.unpack_from(data)
    return json.loads(bytes(data[4:4 + length])), data[4 + length:]
