"""The runner as one zip file: what a worker runs with nothing but Python installed there.
In: this package's own files and the cloudpickle that is installed here. Out: bytes, digest and
the command that starts it. The zip holds compiled code beside the source, for fast starts; it is
kept in the user's cache, so that one program is one digest and workers keep their warm runners."""

import hashlib
import io
import marshal
import os
import sys
from typing import Dict, List, Tuple

NAME = "muster-runner.zip"
_INSIDE = "_muster"
_PACKAGES = ("runner", "_codec", "_wire")
_LEFT_OUT = {"bundle.py", "stable.py", "records.py", "spec.py"}
_MAIN = """import sys, os
sys.path[0] = os.path.abspath(sys.path[0])
from _muster.runner.main import main
main()
"""


def _sources() -> Dict[str, bytes]:
    import cloudpickle

    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    files = {"__main__.py": _MAIN.encode(), f"{_INSIDE}/__init__.py": b""}
    for package in _PACKAGES:
        folder = os.path.join(top, package)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".py") and name not in _LEFT_OUT:
                with open(os.path.join(folder, name), "rb") as file:
                    files[f"{_INSIDE}/{package}/{name}"] = file.read()
    folder = os.path.dirname(os.path.abspath(cloudpickle.__file__))
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), "rb") as file:
                files[f"cloudpickle/{name}"] = file.read()
    return files


def _compiled(name: str, source: bytes) -> bytes:
    """A .pyc that is not checked against its source."""
    import importlib.util

    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
    return head + importlib.util.source_hash(source) + marshal.dumps(code)


def _build(sources: Dict[str, bytes]) -> bytes:
    import zipfile  # not needed where the cache has it

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, source in sources.items():
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            archive.writestr(info, source)
            info = zipfile.ZipInfo(name + "c", (2024, 1, 1, 0, 0, 0))
            archive.writestr(info, _compiled(name, source))
    return out.getvalue()


def _cache() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "muster")


_bundle: List[Tuple[bytes, str]] = []


def bundle() -> Tuple[bytes, str]:
    """The zip and its SHA-256."""
    if not _bundle:
        sources = _sources()
        key = hashlib.sha256(f"{sys.implementation.cache_tag} {sys.version}".encode())
        for name, source in sources.items():
            key.update(f"{name}:{len(source)}:".encode() + source)
        path = os.path.join(_cache(), f"runner-{key.hexdigest()[:32]}.zip")
        data = _read(path)
        if data is None:
            data = _build(sources)
            _write(path, data)
        _bundle.append((data, hashlib.sha256(data).hexdigest()))
    return _bundle[0]


def _read(path: str):
    """What lies in the cache, if it is this user's own and whole."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                return None
            data = file.read()
        whole = data[:4] == b"PK\x03\x04" and data[-22:-18] == b"PK\x05\x06"
        return data if whole else None
    except OSError:
        return None


def _write(path: str, data: bytes) -> None:
    """A cache that cannot be written costs time, nothing else."""
    import tempfile

    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        number, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
        with os.fdopen(number, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        pass


def command() -> List[str]:
    """Starts the runner with this very interpreter where the worker has it, with one of the same
    version otherwise. `MUSTER_PYTHON` names another one."""
    named = os.environ.get("MUSTER_PYTHON")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    choices = [named] if named else [sys.executable or "python3", version, "python3"]
    script = 'for p in "$@"; do [ "$p" = -- ] && break; command -v "$p" >/dev/null 2>&1 ' \
        '&& exec "$p" -X faulthandler ./' + NAME + '; done; echo "muster: there is no Python ' \
        'here: none of $* is installed; install one or set MUSTER_PYTHON" >&2; exit 127'
    return ["/bin/sh", "-c", script, "sh", *choices, "--"]
