"""An exception as a failed item's message and error. In: what a function raised. Out: a line for
people, and a pickle of (pickled exception or None, traceback's text, type's name) for the client,
_engine/failures.py. Nothing that an exception does may stop it."""

import os
import pickle
import traceback
from typing import Any, Tuple

_TEXT_BYTES = 128 << 10
_ERROR_BYTES = 1 << 20
_MESSAGE_BYTES = 60_000
_OURS = ("_muster" + os.sep, os.path.dirname(__file__) + os.sep)


def shortened(text: str, most: int) -> str:
    """Beginning and end of a long text."""
    if len(text) <= most:
        return text
    half = most // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[... {left_out} characters left out ...]\n{text[-half:]}"


def words(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException as inner:
        text = f"(its text cannot be made: {type(inner).__name__})"
    return shortened(f"{name}: {text}" if text else name, _MESSAGE_BYTES)


def trace(error: BaseException) -> str:
    """The traceback's text without the runner's own frames."""
    try:
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_OURS):
            tb = tb.tb_next
        # The text of the exception itself may be enormous, so only the frames come from there.
        lines = ["Traceback (most recent call last):\n", *traceback.format_tb(tb)]
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None and cause is not error:
            first = shortened("".join(traceback.format_exception(
                type(cause), cause, cause.__traceback__, limit=16)), _TEXT_BYTES // 2)
            lines.insert(0, first + "\nwhich led to\n\n")
        return shortened("".join(lines) + words(error), _TEXT_BYTES)
    except BaseException as inner:
        return f"(the traceback cannot be made: {type(inner).__name__})\n{words(error)}"


def _pickled(error: BaseException) -> Any:
    try:
        import cloudpickle
    except ImportError:  # the runner of `muster map` has none, and nobody there who reads it
        return None
    for attempt in (lambda: error, lambda: type(error)(shortened(str(error), 64 << 10))):
        try:
            data = cloudpickle.dumps(attempt(), 5)
        except BaseException:
            continue
        if len(data) <= _ERROR_BYTES:
            return data
    return None


def of(error: BaseException) -> Tuple[str, bytes]:
    """Message and error bytes."""
    text = trace(error)
    return words(error), pickle.dumps((_pickled(error), text, type(error).__name__), 5)
