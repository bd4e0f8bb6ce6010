"""Which tests of others' suites cannot pass, and why.

In: expected.txt, lines `suites word pattern: reason`, patterns as in fnmatch. Out: marks on tests,
of pytest or of unittest. What is listed under `fail` and passes is a failure too, so the list does
not grow stale. Next: joblib_suite.py, cpython_suite.py.
"""

from __future__ import annotations

import unittest
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple


def lines(suite: str) -> Iterator[Tuple[str, str, str]]:
    """(word, pattern, reason) of each line for `suite`; the word is fail, flaky or skip."""
    text = (Path(__file__).parent / "expected.txt").read_text()
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            head, reason = line.split(": ", 1)
            suites, word, pattern = head.split()
            if any(fnmatchcase(suite, one) for one in suites.split(",")):
                yield word, pattern, reason.strip()


def find(suite: str, name: str) -> Optional[Tuple[str, str]]:
    """(word, reason) of the first line that matches the test."""
    for word, pattern, reason in lines(suite):
        # Brackets are part of pytest's names, not of the pattern's language.
        if fnmatchcase(name, pattern.replace("[", "[[]")):
            return word, reason
    return None


def mark_pytest(items: List[Any], suite: str) -> None:
    """Marks what pytest has collected."""
    import pytest

    for item in items:
        found = find(suite, item.nodeid.split("::", 1)[1])
        if found is not None:
            word, reason = found
            if word == "skip":
                item.add_marker(pytest.mark.skip(reason=reason))
            else:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=word == "fail"))


def mark_unittest(case: type, suite: str) -> None:
    """Marks the methods of a test class, on the class itself and not on those it comes from."""
    for name in unittest.TestLoader().getTestCaseNames(case):
        found = find(suite, f"{case.__name__}.{name}")
        if found is not None:
            word, reason = found
            method = getattr(case, name)

            def wrapper(self: Any, method: Any = method) -> Any:
                return method(self)

            marker = unittest.skip(reason) if word != "fail" else unittest.expectedFailure
            setattr(case, name, marker(wrapper))
