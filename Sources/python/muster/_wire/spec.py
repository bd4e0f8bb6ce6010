"""The JSON of a job spec, as Swift's `JobSpec` reads it (docs/protocol.md, Requests).
In: what _engine/job.py knows of a job. Out: a dict for `submit`."""

import random
from typing import Any, Dict, List, Optional, Sequence, Tuple


def text(value: str) -> str:
    """A word of a command line."""
    try:
        return "u:" + value.encode().decode("utf-8")
    except UnicodeEncodeError:
        return "x:" + value.encode("utf-8", "surrogateescape").hex()


def raw(value: bytes) -> str:
    return "x:" + value.hex() if value else "u:"


def file(name: str, size: int, digest: str) -> Dict[str, Any]:
    return {"name": name, "bytes": size, "digest": digest, "isExecutable": False}


def job(
    *, name: str, command: Sequence[str], function: str, fixed: bytes, fixed_file: Optional[str],
    files: List[Dict[str, Any]], threads: bool, environment: Sequence[str], inherits: bool,
    array: Optional[Tuple[int, int, int]], ordered: bool, retries: int, timeout: Optional[float],
    items_per_runner: Optional[int], max_running: Optional[int],
    max_per_worker: Optional[int], chunk: Optional[int],
    runner_bytes: Optional[int],
) -> Dict[str, Any]:
    workload: Dict[str, Any] = {
        "command": [text(word) for word in command], "function": function, "language": "frames",
        "values": "native", "pool": "thread" if threads else "process", "fixed": raw(fixed),
        "environment": [text(word) for word in environment], "inheritsEnvironment": inherits,
        "folds": False}
    if fixed_file:
        workload["fixedFile"] = fixed_file
    if items_per_runner:
        workload["itemsPerRunner"] = items_per_runner
    if runner_bytes:
        workload["runnerBytes"] = runner_bytes
    shape: Dict[str, Any] = {"stream": {}}
    if array is not None:
        shape = {"array": {"_0": {"first": array[0], "step": array[1], "count": array[2]}}}
    options: Dict[str, Any] = {
        "retries": retries, "successCodes": [0], "priority": 0, "delayNanoseconds": 0,
        "bufferBytes": 4 << 30, "outputBytes": 1 << 30, "ordered": ordered, "keepsResults": False,
        "streamsHead": False, "graceNanoseconds": 1_000_000_000,
        "seed": random.SystemRandom().getrandbits(63), "reportsRuns": False, "speculates": False}
    if timeout is not None:
        options["timeoutNanoseconds"] = max(1, int(timeout * 1e9))
    if max_running:
        options["maxRunning"] = max_running
    if max_per_worker:
        options["maxPerWorker"] = max_per_worker
    if chunk:
        options["chunkItems"] = chunk
    return {"name": name[:64], "workload": {"function": {"_0": workload}}, "input": shape,
            "files": files, "options": options}
