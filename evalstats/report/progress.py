"""A progress bar for what takes longer than two seconds, on a terminal only."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from evalstats.inference.resampling import progress_reported_to

DELAY = 2.0


class DelayedBar:
    """A bar that appears once the work has taken `DELAY` seconds.

    Parameters
    ----------
    description : str
        Shown left of the bar.
    """

    def __init__(self, description: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(description, total=None)
        self._timer = threading.Timer(DELAY, self._progress.start)
        self._timer.daemon = True

    def report(self, done: int, total: int) -> None:
        """Take note that `done` of `total` pieces are finished."""
        self._progress.update(self._task, completed=done, total=total)

    def describe(self, description: str) -> None:
        """Change the text left of the bar."""
        self._progress.update(self._task, description=description)

    def start(self) -> None:
        """Start the clock."""
        self._timer.start()

    def stop(self) -> None:
        """Remove the bar."""
        self._timer.cancel()
        self._timer.join()
        self._progress.stop()


@contextmanager
def progress_shown(description: str) -> Iterator[DelayedBar | None]:
    """Show the progress of resampling inside the block, when standard error is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = DelayedBar(description)
    bar.start()
    try:
        with progress_reported_to(bar.report):
            yield bar
    finally:
        bar.stop()
