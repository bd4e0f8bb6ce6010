"""Errors that callers see. In: what a coordinator or a runner said. Out: exceptions with the item,
the worker and the attempt. Made in _engine/failures.py."""

from typing import Optional


class ClusterError(Exception):
    """The cluster cannot do what was asked. `code` is one of the protocol's: `usage`,
    `authentication`, `unreachable`, `version`, `malformed`, `notFound`, `conflict`, `limit`,
    `system`, `internal`, `cancelled`."""

    def __init__(self, message: str, code: str = "internal") -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple:
        return type(self), (self.args[0], self.code)


class ItemError(ClusterError):
    """One item did not succeed. `item` counts from 0 in its job."""

    def __init__(
        self, message: str, item: int = -1, worker: Optional[str] = None, attempt: int = 0,
        stderr: str = "",
    ) -> None:
        super().__init__(message, "item")
        self.item, self.worker, self.attempt, self.stderr = item, worker, attempt, stderr

    def __reduce__(self) -> tuple:
        return type(self), (self.args[0], self.item, self.worker, self.attempt, self.stderr)


class RemoteError(ItemError):
    """The function raised an exception that cannot be made again here; the message names it."""


class RunnerDied(ItemError):
    """The process that ran the item died of it: a signal, an exit, or too much memory."""


class ItemTimedOut(ItemError, TimeoutError):
    """The item took longer than its time limit."""


class CannotStart(ItemError):
    """The item never ran: no Python there, a missing module, another version, a failed
    initializer."""


class RemoteTraceback(Exception):
    """Where an exception was raised: the cause of the exception that the caller gets."""

    def __init__(
        self, text: str, item: int = -1, worker: Optional[str] = None, attempt: int = 0
    ) -> None:
        super().__init__(text)
        self.text, self.item, self.worker, self.attempt = text, item, worker, attempt

    def __str__(self) -> str:
        where = f"item {self.item} on worker {self.worker}, attempt {self.attempt}"
        return f'\n"""\n{self.text}\n"""\n({where})'

    def __reduce__(self) -> tuple:
        return type(self), (self.text, self.item, self.worker, self.attempt)
