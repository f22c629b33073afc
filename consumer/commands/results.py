"""`results`: why a person is, or is not, on a list."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from consumer import history
from consumer.commands import clients, tables
from consumer.commands.common import (
    NAME,
    ask,
    config_option,
    json_lines_option,
    limit_option,
    load_or_exit,
    since_option,
)
from consumer.history import DEAD_LETTER, Position, Record, Row, Wanted
from consumer.kafka.reader import DEAD_LETTERS, RESULTS, Form, TopicReader
from consumer.outcomes import Outcome
from consumer.settings import Settings

OUTCOMES = [*map(str, Outcome), DEAD_LETTER]

Rows = Callable[[Record, Position, Wanted], Iterator[Row]]


@click.command(epilog=f"Example: {NAME} results --record-id 101 --since 7d")
@config_option
@click.option("--record-id", metavar="ID", help="Only this contact (HubSpot Contact Record ID).")
@click.option("--connector", metavar="NAME", help="Only what this connector did.")
@click.option(
    "--outcome",
    type=click.Choice(OUTCOMES, case_sensitive=False),
    metavar="OUTCOME",
    help=f"Only what ended like this: {', '.join(OUTCOMES)}.",
)
@since_option
@limit_option
@json_lines_option
def results(
    config: Path,
    record_id: str | None,
    connector: str | None,
    outcome: str | None,
    since: float | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """Say why a person is, or is not, on a list: each outcome and each dead letter of a contact, newest first.

    Reads the topics of results and dead letters up to their present end, commits nothing, and shows for each entry the
    change that decided it and the ids to look for in the log and to quote to HubSpot's support.
    """
    settings = load_or_exit(config)
    wanted = Wanted(
        record_id=record_id, connector=connector, outcome=outcome, since=None if since is None else int(since * 1000)
    )

    def work(_redactor: object) -> int:
        with tables.progress() as begin, clients.topic_reader(settings) as reader:
            search = Search(reader, begin, wanted, since)
            found, count = history.newest(_everything(settings, search), limit)
        for row in found if as_json else ():
            tables.print_json(as_object(row))
        if found and not as_json:
            tables.show("when", "contact", "outcome", "connector", "decided by", "request", rows=[*map(_cells, found)])
        elif not found:
            _say_nothing_found(settings, wanted)
        return search.end(len(found), count)

    ask(settings, work)


class Search:
    """One look through topics. `since` is in seconds since 1970."""

    def __init__(
        self,
        reader: TopicReader,
        begin: Callable[[str], Callable[[int, int], None]],
        wanted: Wanted,
        since: float | None,
    ) -> None:
        self._reader = reader
        self._begin = begin
        self._wanted = wanted
        self._since = since
        self._unreadable: list[str] = []

    def rows(self, topic: str, form: Form[dict[str, Any]], make: Rows) -> Iterator[Row]:
        """Yield the wanted rows of one topic, in the order of its log. Raises ReadFailed."""
        for entry in self._reader.read(topic, form, since=self._since, progress=self._begin(topic)):
            written = Position(topic, entry.message.partition() or 0, entry.message.offset() or 0)
            if entry.record is not None:
                yield from make(entry.record, written, self._wanted)
            elif entry.problem is not None:
                self._unreadable.append(f"{place(written)}: {entry.problem}")

    def end(self, shown: int, count: int) -> int:
        """Say on stderr what is missing from the answer; give the exit code: 1 where something could not be read."""
        if shown < count:
            tables.note(f"the newest {shown} of {count}: --limit {count} shows all")
        if self._unreadable:
            tables.note(f"cannot be read, so not shown: {len(self._unreadable)}, first {self._unreadable[0]}")
        return 1 if self._unreadable else 0


def place(position: Position) -> str:
    """Write where a message lies: `topic/partition/offset`."""
    return f"{position.topic}/{position.partition}/{position.offset}"


def as_object(row: Row) -> dict[str, Any]:
    """Give a row as a JSON object: times as ISO 8601, positions in their parts."""
    names = ("record_id", "outcome", "reason", "action", "connector", "account", "list_id", "status", "category")
    change = None
    if row.change is not None:
        change = {**row.change._asdict(), "occurred_at": tables.moment(row.occurred_at)}
    return {
        "at": tables.moment(row.at),
        **{name: getattr(row, name) for name in names},
        "message": row.message,
        "request_id": row.request_id,
        "correlation_id": row.correlation_id,
        "change": change,
        "written": row.written._asdict(),
    }


def _everything(settings: Settings, search: Search) -> Iterator[Row]:
    yield from search.rows(settings.topics.results, RESULTS, history.outcomes)
    yield from search.rows(settings.topics.dead_letters, DEAD_LETTERS, history.refusals)


def _cells(row: Row) -> tuple[object, ...]:
    at = f"{row.written.partition}:{row.written.offset}" if row.outcome == DEAD_LETTER else None
    happened = tables.moment(row.occurred_at)
    return (
        tables.moment(row.at),
        row.record_id,
        tables.lines(row.outcome, at, row.reason),
        tables.lines(row.connector, row.list_id and f"list {row.list_id}"),
        tables.lines(
            row.change and f"{row.action or 'event'} {place(row.change)}", happened and f"occurred {happened}"
        ),
        tables.lines(row.request_id, row.correlation_id and f"correlation {row.correlation_id}", row.message),
    )


def _say_nothing_found(settings: Settings, wanted: Wanted) -> None:
    tables.note(f"nothing like that in {settings.topics.results} and {settings.topics.dead_letters}")
    if wanted.record_id is not None:
        tables.note("A change may still wait in a window, or was skipped: see the metric events_skipped_total.")
