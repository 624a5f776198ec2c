"""What goes wrong, as a class for each kind: what a caller decides by."""

from __future__ import annotations


class Error(Exception):
    """Any failure of taskloom. Its text says what was expected, what was found, and what caused it.

    >>> import taskloom
    >>> try:
    ...     taskloom.Lake("/no/such/lake")
    ... except taskloom.Error as error:
    ...     print(error.kind, error.is_retryable)
    lake False
    """

    kind: str = "error"
    """The kind in one word, which never changes: `usage`, `input`, `output`, and so on."""
    is_retryable: bool = False
    """Whether the same call may do better later."""


class UsageError(Error, ValueError):
    """What was asked for can't be: a parameter, an input or a query that makes no sense."""

    kind = "usage"


class InputError(Error):
    """An input can't be read, or is no text."""

    kind = "input"


class OutputError(Error):
    """The disk, or what else results are written to, failed."""

    kind = "output"


class LakeError(Error):
    """The place for the lake, or the lake that is there, is not fit for this run."""

    kind = "lake"


class DamagedError(Error):
    """A lake is damaged."""

    kind = "damaged"


class RejectedError(Error):
    """More was rejected, or less came, than is allowed."""

    kind = "rejected"


class RefusedError(Error):
    """The API refused a request."""

    kind = "refused"


class UnavailableError(Error):
    """The API was out of reach or in trouble."""

    kind = "unavailable"
    is_retryable = True


class BusyError(Error):
    """Another run has the lake."""

    kind = "busy"
    is_retryable = True


class ConflictError(Error):
    """Another run was faster."""

    kind = "conflict"
    is_retryable = True


class BugError(Error, RuntimeError):
    """A fault of taskloom itself."""

    kind = "bug"


class RejectedWarning(UserWarning):
    """Some tasks could not be read, and are set aside."""


class IncompleteWarning(UserWarning):
    """Something that was asked for did not come from the API, and is not in the lake."""


__all__ = [
    "BugError",
    "BusyError",
    "ConflictError",
    "DamagedError",
    "Error",
    "IncompleteWarning",
    "InputError",
    "LakeError",
    "OutputError",
    "RefusedError",
    "RejectedError",
    "RejectedWarning",
    "UnavailableError",
    "UsageError",
]
