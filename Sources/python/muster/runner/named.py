"""Functions by name, with JSON for values: what `muster map ./program.py:function` calls. In: the
functions that a program serves, or `module:function` of a file in the runner's directory. Out: a
job for main.py that reads and writes JSON. A program says

    if __name__ == "__main__":
        muster.runner.serve(reverse_geocode)
"""

import importlib
import json
import sys
from typing import Any, Callable, Dict, List

from .._wire import segments

FUNCTIONS: Dict[str, Callable] = {}


def open_job(job: Any, name: str, fixed: Any) -> None:
    """Raises Refusal."""
    function = _find(name, job.worker)
    job.is_native = False
    job.load = lambda segment: [_load(item) for item in segments.items(segment)]
    job.load_item, job.encode = _load, _dump_all
    if len(fixed):
        given = _load(fixed)
        job.call = lambda value: function(given, value)
    else:
        job.call = function


def _find(name: str, worker: str) -> Callable:
    from .opening import HOME, Refusal

    if name in FUNCTIONS:
        return FUNCTIONS[name]
    module, colon, inside = name.rpartition(":")
    if not colon:
        raise Refusal(
            f"no function {name!r} is served by this program; it serves "
            f"{', '.join(sorted(FUNCTIONS)) or 'none'}")
    if HOME not in sys.path:
        sys.path.insert(0, HOME)
    try:
        found: Any = importlib.import_module(module)
        for part in inside.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise Refusal(
            f"{name} cannot be loaded on worker {worker}: {error}; is its file sent along "
            "(--bf), and what it imports installed there?") from error
    return found


def _load(item: Any) -> Any:
    return json.loads(bytes(item))


def _dump_all(values: List[Any]) -> List[bytes]:
    return [json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
            for value in values]
