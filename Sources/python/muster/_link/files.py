"""Files that travel with jobs, known by their SHA-256. In: bytes, or a path. Out: what goes into a
job's spec, and frames of at most 1 MiB made as there is room for them. Next: line.py."""

import hashlib
from typing import Any, Dict, Iterator, List, Union

from .._wire import frames, spec
from ..errors import ClusterError

Content = Union[bytes, bytearray, memoryview, str]


class OutgoingFile:
    def __init__(self, name: str, content: Content, digest: str = "") -> None:
        """`content`: bytes, or the path of a file that stays as it is."""
        self.name, self.content = name, content
        if isinstance(content, str):
            with open(content, "rb") as file:
                hasher = hashlib.sha256()
                self.size = 0
                for part in iter(lambda: file.read(frames.FILE_PART_BYTES), b""):
                    hasher.update(part)
                    self.size += len(part)
            self.digest = hasher.hexdigest()
        else:
            self.size = len(content)
            self.digest = digest or hashlib.sha256(content).hexdigest()
        if self.size > frames.FILE_BYTES:
            raise ClusterError(
                f"{name} has {self.size} bytes; what travels with a job may have "
                f"{frames.FILE_BYTES}", "limit")

    def spec(self) -> Dict[str, Any]:
        return spec.file(self.name, self.size, self.digest)


def parts(digest: str, file: OutgoingFile) -> Iterator[List[Any]]:
    """All frames of a file, in order."""
    size = frames.FILE_PART_BYTES
    if isinstance(file.content, str):
        with open(file.content, "rb") as source:
            for offset in range(0, max(1, file.size), size):
                yield frames.file_frame(digest, offset, file.size, source.read(size))
        return
    view = memoryview(file.content)
    for offset in range(0, max(1, file.size), size):
        yield frames.file_frame(digest, offset, file.size, view[offset:offset + size])
