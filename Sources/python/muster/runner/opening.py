"""A job as this process knows it. In: the frame `open`. Out: something to call with each item's
value, or a refusal that says what is missing here. Next: lane.py."""

import functools
import os
import pickle
import sys
from typing import Any, Callable, Dict, Optional

from .._codec import function as payload
from .._codec import values
from . import failure


class Refusal(Exception):
    """Why a job cannot be served here; its text is for people."""


class Job:
    def __init__(self, number: int, text: Dict[str, Any], fixed: Any) -> None:
        self.number = number
        self.clock = bool(text.get("clock"))
        self.lanes = int(text.get("lanes", 1))
        self.worker = text.get("worker") or ""
        self._text = text
        self._fixed = fixed
        self._begun: set = set()
        self._initializer: Optional[Callable] = None
        self._initargs: tuple = ()
        self.call: Callable = _unopened
        # nil until the first stride: items that one should have, and nanoseconds of an item.
        self.pace = 1
        self.refusal: Optional[str] = None
        self.is_open = False
        self.is_native = True
        self.load: Callable = values.decode
        self.load_item: Callable = values.load
        self.encode: Callable = values.dump_all

    def open(self) -> None:
        """Loads the function. Raises Refusal."""
        data = self._fixed
        name = self._text.get("fixedFile")
        if not len(data) and name:
            with open(os.path.join(HOME, name), "rb") as file:
                data = file.read()
        self._fixed = b""
        if self._text.get("values") == "json":
            from . import named

            named.open_job(self, self._text.get("function", ""), data)
            return
        head, body = payload.parse(data)
        self._check(head)
        _enter(head)
        if head.get("pool"):
            self._begun = _begun.setdefault(head["pool"], set())
            from . import shared

            shared.keep_globals()
        try:
            function, self._initializer, self._initargs, fixed = pickle.loads(body)
        except ModuleNotFoundError as error:
            raise Refusal(self._missing(error)) from error
        except BaseException as error:
            raise Refusal(
                f"the function cannot be loaded on worker {self.worker}: {failure.words(error)}. "
                "Client and worker may have different versions of a module that it uses "
                f"(cloudpickle {head.get('cloudpickle')} at the client)") from error
        if fixed:
            function = functools.partial(function, *fixed)
        style = head.get("style")
        if style == payload.SPREAD:
            self.call = lambda value: function(*value)
        elif style == payload.CALL:
            self.call = lambda value: function(*value[0], **value[1])
        elif style == payload.APPLY:
            self.call = _apply
        else:
            self.call = function

    def begin(self, lane: int) -> None:
        """Runs the initializer, once in each lane. Raises Refusal."""
        if self._initializer is None or lane in self._begun:
            return
        self._begun.add(lane)
        try:
            self._initializer(*self._initargs)
        except BaseException as error:
            text = failure.trace(error)
            raise Refusal(f"the initializer failed on worker {self.worker}: "
                          f"{failure.words(error)}\n{text}") from error

    def _check(self, head: Dict[str, Any]) -> None:
        theirs = tuple(head.get("python", ()))
        ours = tuple(sys.version_info[:2])
        same = head.get("implementation") == sys.implementation.name
        if theirs != ours or not same:
            raise Refusal(
                f"the client runs Python {'.'.join(map(str, theirs))} "
                f"({head.get('implementation')}), but {sys.executable} on worker {self.worker} is "
                f"Python {'.'.join(map(str, ours))} ({sys.implementation.name}), and functions do "
                "not travel between versions: install the same one there, or name it with "
                "MUSTER_PYTHON at the client")

    def _missing(self, error: ModuleNotFoundError) -> str:
        return (f"the module {error.name!r}, which the function needs, is not installed on worker "
                f"{self.worker} ({sys.executable}, Python "
                f"{'.'.join(map(str, sys.version_info[:3]))}): install it there, name another "
                "Python with MUSTER_PYTHON, or send the module along with "
                f"cloudpickle.register_pickle_by_value")


HOME = os.getcwd()
# Of each pool, the lanes in which its initializer has run.
_begun: Dict[str, set] = {}
_loaded = functools.lru_cache(maxsize=256)(pickle.loads)


def _apply(value: Any) -> Any:
    return _loaded(value[0])(*value[1], **value[2])


def _unopened(_: Any) -> Any:
    raise RuntimeError("the job was not opened")


def _enter(head: Dict[str, Any]) -> None:
    """Works where the client does, and finds what it finds, as far as that is here."""
    for entry in head.get("path", ()):
        if entry not in sys.path and os.path.exists(entry):
            sys.path.append(entry)
    if head.get("authkey"):
        import multiprocessing

        multiprocessing.current_process().authkey = bytes.fromhex(head["authkey"])
    directory = head.get("directory")
    if directory:
        try:
            os.chdir(directory)
        except OSError:
            pass
