"""Progress on a terminal: rich's bars on stderr, and nothing where stderr is a file or a pipe.

What C libraries write to stderr is left alone. The command line holds it back while a bar is drawn, see
`keras_cam.cli.console.progress`.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keras_cam.plain_text import plain_text


def on_terminal() -> bool:
    """Whether stderr is a terminal, so that progress is shown."""
    return sys.stderr.isatty()


@contextmanager
def progress(total: int, task: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar with the time left.

    Args:
        total: the number of steps.
        task: what is being done, in a few words.

    Yields:
        A function that advances the bar by a number of steps.

    Examples:
        >>> with progress(2, "Counting") as advance:
        ...     for number in range(2):
        ...         advance(1)
    """
    if not on_terminal():
        yield lambda steps: None
        return
    from rich.console import Console  # slow to import
    from rich.markup import escape
    from rich.progress import MofNCompleteColumn, Progress

    bar = Progress(
        *Progress.get_default_columns(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        bar_id = bar.add_task(escape(plain_text(task)), total=total)
        yield lambda steps: bar.advance(bar_id, steps)


@contextmanager
def working(task: str) -> Iterator[None]:
    """Show what is being done, for as long as it takes.

    Args:
        task: what is being done, in a few words.
    """
    if not on_terminal():
        yield
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(plain_text(task))):
        yield
