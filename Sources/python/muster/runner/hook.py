"""Runs something once another module has been imported, without importing it.

In: the name of a module. Out: a call, now if the module is there, else right behind its import.
Both sides use it: `import muster` registers the joblib backend this way, and a runner keeps
nested joblib calls off the processes of their own. Next: muster/joblib.py, batches.py.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, Callable


def when_imported(name: str, action: Callable[[], None]) -> None:
    """Calls `action` as soon as the module `name` has been imported completely."""
    module = sys.modules.get(name)
    initializing = getattr(getattr(module, "__spec__", None), "_initializing", False)
    if module is not None and not initializing:
        action()
        return
    sys.meta_path.insert(0, _Finder(name, action))


class _Finder:
    """Finds nothing itself: it wraps the loader that the others find for one module."""

    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self.name = name
        self.action = action
        # Looking for the real spec asks all finders again, this one too.
        self.busy = threading.local()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.name or getattr(self.busy, "now", False):
            return None
        self.busy.now = True
        try:
            from importlib.util import find_spec

            spec = find_spec(name)
        finally:
            self.busy.now = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self)
        return spec


class _Loader:
    """The real loader, with one step behind the module's own code."""

    def __init__(self, real: Any, finder: _Finder) -> None:
        self.real = real
        self.finder = finder

    def create_module(self, spec: Any) -> Any:
        return self.real.create_module(spec)

    def exec_module(self, module: Any) -> None:
        # The module keeps its own loader: `inspect` and `pkgutil` ask it for the source.
        module.__loader__ = self.real
        module.__spec__.loader = self.real
        self.real.exec_module(module)
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
            self.finder.action()
