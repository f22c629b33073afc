"""How commands show what they found: tables for people, JSON for programs, and on stderr what takes its time.

What others have written (names of lists, identifiers, messages) is shown as it is, but can neither colour the terminal
nor move in it.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

WIDE = 250  # columns where there is no terminal to say: nothing is broken then that a program may look for

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def show(*headings: str, rows: Sequence[tuple[object, ...]], err: bool = False) -> None:
    """Print a table on stdout, or stderr. None is an empty cell, a line feed begins a new line in it."""
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")  # an id of which a part is missing is of no use
    for row in rows:
        table.add_row(*(Text("" if cell is None else printable(str(cell), keep="\n")) for cell in row))
    console(err=err).print(table)


def console(*, err: bool = False) -> Console:
    """Give stdout, or stderr."""
    made = Console(highlight=False, stderr=err)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDE
    return made


def say(text: str) -> None:
    """Print a line on stdout."""
    click.echo(printable(text, keep="\n"))


def note(text: str) -> None:
    """Print a line on stderr."""
    click.echo(printable(text), err=True)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on one line of stdout."""
    click.echo(json.dumps(value))


def printable(text: str, keep: str = "") -> str:
    """Write what does not print, but for the characters in `keep`, as Python would: backslash, x, two digits."""
    return "".join(each if each.isprintable() or each in keep else repr(each)[1:-1] for each in text)


def moment(milliseconds: int | None) -> str | None:
    """Write a time (milliseconds since 1970) as ISO 8601 in UTC; None for none, and for the 0 of who did not say."""
    if not milliseconds:
        return None
    try:
        at = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:  # an event may say any number
        return str(milliseconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lines(*parts: object) -> str:
    """Put the parts of a cell under each other, without those that are None or empty."""
    return "\n".join(str(part) for part in parts if part not in (None, ""))


def waiting(text: str) -> AbstractContextManager[object]:
    """Say on stderr, on a terminal only, what is being waited for."""
    return Console(stderr=True).status(text)


@contextmanager
def progress() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show progress on stderr, on a terminal only: give a name and get what to tell how much of how much is done.

    With a rate, the time that it took and the time that is left.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:

        def begin(name: str) -> Callable[[int, int], None]:
            task = shown.add_task(name, total=None)
            return lambda done, total: shown.update(task, completed=done, total=total)

        yield begin


class _Rate(ProgressColumn):
    """How much is done in a second, as of late."""

    def render(self, task: Task) -> Text:
        """Write it."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s", style="progress.data.speed")
