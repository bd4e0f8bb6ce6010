"""What items print. In: descriptors 1 and 2, which lead into files of the runner's directory, and
Python's own streams on top of them, which note who wrote. Out: for each item its bytes, once the
stride that it is in has ended. When the runner dies the files hold its last words."""

import io
import os
import sys
from typing import Any, Callable, Dict, List, Tuple

_KEPT = 1 << 20
_MOST = 16 << 20


class _Stream(io.RawIOBase):
    """Writes at once and notes for which item."""

    def __init__(self, descriptor: int, marks: List[Tuple[int, int]], item: Callable[[], int]):
        self._descriptor = descriptor
        self._marks = marks
        self._item = item

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        count = len(view)
        while view:
            view = view[os.write(self._descriptor, view):]
        self._marks.append((self._item(), count))
        return count

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor


class Output:
    def __init__(self, directory: str, item: Callable[[], int]) -> None:
        """`item` tells which item runs in the calling thread; -1 = none."""
        self._marks: Tuple[list, list] = ([], [])
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        for number, name in ((1, "stdout"), (2, "stderr")):
            file = os.open(os.path.join(directory, name), flags, 0o600)
            os.dup2(file, number)
            os.close(file)
            raw = _Stream(number, self._marks[number - 1], item)
            stream = io.TextIOWrapper(
                raw, encoding="utf-8", errors="backslashreplace",  # type: ignore[arg-type]
                write_through=True)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

    def is_empty(self) -> bool:
        return os.lseek(1, 0, os.SEEK_END) == 0 and os.lseek(2, 0, os.SEEK_END) == 0

    def take(self, last: int) -> Dict[int, List[bytes]]:
        """What was printed since the last time, by item; what nobody is known to have written is
        of item `last`."""
        found: Dict[int, List[bytes]] = {}
        for number in (1, 2):
            marks = self._marks[number - 1]
            size = os.lseek(number, 0, os.SEEK_END)
            if size == 0:
                continue
            data = os.pread(number, size, 0)
            os.ftruncate(number, 0)
            noted = marks[:]
            del marks[:len(noted)]
            if sum(count for _, count in noted) != len(data):
                # Written past the streams as well, by a library or a child.
                noted = [(noted[-1][0] if noted else last, len(data))]
            at = 0
            for item, count in noted:
                item = last if item < 0 else item
                texts = found.setdefault(item, [b"", b""])
                texts[number - 1] += data[at:at + count]
                at += count
        for texts in found.values():
            for place, text in enumerate(texts):
                if len(text) > _KEPT:
                    texts[place] = text[:_KEPT] + b"\n[muster: more than 1 MiB; cut off]\n"
        return found

    def cut(self) -> None:
        """No item fills the disk."""
        for number in (1, 2):
            if os.lseek(number, 0, os.SEEK_END) > _MOST:
                os.ftruncate(number, _KEPT + 1)
                del self._marks[number - 1][:]
