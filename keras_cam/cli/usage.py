"""The exit statuses of the commands, and the error of usage."""

from pathlib import Path

DONE, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class UsageError(Exception):
    """The arguments of a command cannot be used; the message is one line with the reason."""


def check_suffix(option: str, path: Path | None, suffix: str) -> None:
    """Raise a `UsageError` unless a path ends in a suffix."""
    if path and path.suffix != suffix:
        raise UsageError(f"--{option} must end in {suffix}. Received: {path}")
