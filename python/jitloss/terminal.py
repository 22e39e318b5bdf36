"""What a command line needs of a terminal: plain or coloured output, progress, files written whole, packages named."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from . import files

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 140  # of tables where the output is no terminal


class Refused(Exception):
    """A request that cannot be carried out; the message says why."""


def require(*packages: str) -> None:
    """Refuse, naming the extra to install, where a package of the command line is missing."""
    for name in packages:
        if find_spec(name) is None:
            raise Refused(f"this needs {name}: pip install 'jitloss[cli]'")


def require_folders(*paths: Path | None) -> None:
    """Refuse paths, where there are any, in folders that do not exist."""
    for path in filter(None, paths):
        if not path.absolute().parent.is_dir():
            raise Refused(f"{path}: there is no folder {path.absolute().parent} to write to")


@contextmanager
def console() -> Iterator[Console]:
    """A console on standard output; where that is no terminal, plain text of a fixed width, no line padded."""
    from rich.console import Console

    if sys.stdout.isatty():
        yield Console()
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # × and ≈ on a stream that has no such letters
    plain = Console(file=io.StringIO(), width=PLAIN_WIDTH, no_color=True, emoji=False)
    yield plain
    for line in plain.file.getvalue().splitlines():  # type: ignore[attr-defined]
        print(line.rstrip())


@contextmanager
def progress_bar(steps: int) -> Iterator[Callable[[str], None]]:
    """A progress bar on standard error, and only where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("starting", total=steps)

        def step(says: str) -> None:
            bar.update(task, description=says, advance=1)

        yield step


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all; refuse where it cannot be written."""
    try:
        files.write_whole(path, write)
    except (OSError, ValueError) as error:  # ValueError: a suffix that matplotlib does not know
        raise Refused(f"{path} could not be written: {error}") from None
