"""The function of a job and what belongs to it, as the job's fixed argument: a JSON head that
can be read by every Python, and a pickle that only the same Python should load.
In: a callable. Out: bytes; the runner reads them with `parse`. Next: bundle.py."""

import json
import os
import struct
import sys
from typing import Any, Callable, Dict, Optional, Tuple

_LENGTH = struct.Struct("<I")

# How an item's value becomes a call: f(value), f(*value), f(*value[0], **value[1]), or a call of
# the function that travels with the item, pickled: value[0](*value[1], **value[2]).
ONE, SPREAD, CALL, APPLY = "one", "spread", "call", "apply"


def pack(
    function: Optional[Callable], *, style: str, initializer: Any, initargs: tuple, fixed: tuple,
    here: bool, pool: Optional[str] = None,
) -> bytes:
    """`here`: runners are on this very machine and may work where this program works. `pool`: the
    initializer runs once in each process of it, and the main program's globals are as it left
    them, for all jobs of this pool."""
    import cloudpickle

    head: Dict[str, Any] = {
        "python": list(sys.version_info[:2]), "implementation": sys.implementation.name,
        "style": style, "cloudpickle": cloudpickle.__version__,
        "path": [os.path.abspath(entry) if entry else os.getcwd() for entry in sys.path],
    }
    if pool:
        head["pool"] = pool
    if here:
        head["directory"] = os.getcwd()
        if "multiprocessing.process" in sys.modules:
            # So that items can use proxies of a multiprocessing.Manager of this program. The key
            # goes to processes of the same user on the same machine, and to no other cluster.
            process = sys.modules["multiprocessing.process"].current_process()
            head["authkey"] = bytes(process.authkey).hex()
    main = sys.modules.get("__main__")
    head["main"] = getattr(main, "__file__", None) or "<stdin>"
    text = json.dumps(head).encode()
    body = cloudpickle.dumps((function, initializer, initargs, fixed), 5)
    return _LENGTH.pack(len(text)) + text + body


def parse(data: Any) -> Tuple[Dict[str, Any], memoryview]:
    data = memoryview(data)
    (length,) = _LENGTH.unpack_from(data)
    return json.loads(bytes(data[4:4 + length])), data[4 + length:]
