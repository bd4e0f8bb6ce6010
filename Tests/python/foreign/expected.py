"""Which tests of others' suites cannot pass, and why.

In: expected.txt, lines `suite pattern: reason` (patterns as in fnmatch). Out: marks on the tests.
Strict: what is expected to fail and passes is a failure too, so the list cannot grow stale.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest


def lines(suite: str) -> Iterator[Tuple[str, str, str]]:
    """(word, pattern, reason) of each line for `suite`; the word is fail, skip or flaky."""
    text = (Path(__file__).parent / "expected.txt").read_text()
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            head, reason = line.split(": ", 1)
            suites, word, pattern = head.split()
            if any(fnmatchcase(suite, one) for one in suites.split(",")):
                yield word, pattern, reason.strip()


def mark(items: List[Any], suite: str) -> None:
    """Marks the tests that are known."""
    known = list(lines(suite))
    for item in items:
        name = item.nodeid.split("::", 1)[1]
        for word, pattern, reason in known:
            # Brackets are part of pytest's names, not of the pattern's language.
            if fnmatchcase(name, pattern.replace("[", "[[]")):
                if word == "skip":
                    item.add_marker(pytest.mark.skip(reason=reason))
                else:
                    item.add_marker(pytest.mark.xfail(reason=reason, strict=word == "fail"))
