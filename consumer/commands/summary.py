"""What `dead-letters replay` and `rebuild` show while they send, and in the end."""

from collections.abc import Callable
from typing import Any

from consumer.commands import tables
from consumer.summary import Summary

Begin = Callable[[str], Callable[[int, int], None]]
"""Begins to show the progress of what it is given the name of: see `tables.progress`."""


def sending(begin: Begin) -> Callable[[Any], None]:
    """Show how far a replay is in reading and in sending."""
    reading, contacts = begin("reading the log"), begin("contacts")

    def told(progress: Any) -> None:  # noqa: ANN401 - a Progress, likewise
        reading(progress.read, progress.to_read)
        contacts(progress.done, progress.contacts)

    return told


def show_rows(summary: Summary) -> bool:
    """Show a summary as a table; False if there is nothing in it."""
    rows = [*summary.rows()]
    if rows:
        tables.show("what", "contacts", "why", rows=rows)
    return bool(rows)
