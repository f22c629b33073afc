"""Why a person is, or is not, on a list: the records of the results and dead letters topics as rows. Pure.

A row is what became of one contact at one time. Times are milliseconds since 1970, as the records have them; records
are mappings with the fields of `membership_result.avsc` and `dead_letter.avsc`.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from consumer.hubspot.answers import record_number

DEAD_LETTER = "DEAD_LETTER"
"""What stands as the outcome of a change that was not applied and will not be retried."""

Record = Mapping[str, Any]


class Position(NamedTuple):
    """Where a message lies in Kafka."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a contact, or of the `contacts` of a dead letter taken together.

    `at` is when HubSpot's answer was read, or the change was given up; `written` is the record that says so. `change`
    is what decided it, and happened at `occurred_at` (0: nobody said). `record_id` is None where no contact is known:
    the event could not be read, or the row stands for many.
    """

    at: int
    written: Position
    outcome: str
    reason: str | None = None
    record_id: str | None = None
    contacts: int = 1
    action: str | None = None
    connector: str | None = None
    account: str | None = None
    list_id: int | None = None
    change: Position | None = None
    occurred_at: int = 0
    request_id: str | None = None
    correlation_id: str | None = None
    status: int | None = None
    category: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows to take: those with every value given here. None is any; `since` is in milliseconds since 1970."""

    record_id: str | None = None
    connector: str | None = None
    outcome: str | None = None
    reason: str | None = None
    since: int | None = None

    def takes(self, row: Row) -> bool:
        """Tell whether a row is wanted. Record ids are compared as numbers where they are numbers: 007 is 7."""
        return (
            self.outcome in (None, row.outcome)
            and self.reason in (None, row.reason)
            and self.connector in (None, row.connector)
            and (self.since is None or row.at >= self.since)
            and (self.record_id is None or _same_contact(self.record_id, row.record_id))
        )


def outcomes(record: Record, written: Position, wanted: Wanted) -> Iterator[Row]:
    """Yield the rows of one result: one for each contact."""
    for contact in record["contacts"]:
        # Of a million contacts one is asked for: the others are not worth a row.
        if wanted.record_id is None or _same_contact(wanted.record_id, str(contact["record_id"])):
            row = Row(
                at=record["answered_at"],
                written=written,
                outcome=contact["outcome"],
                record_id=str(contact["record_id"]),
                action=contact["action"],
                change=_position(contact),
                occurred_at=contact["occurred_at"],
                **_target(record),
            )
            if wanted.takes(row):
                yield row


def refusals(record: Record, written: Position, wanted: Wanted) -> Iterator[Row]:
    """Yield the rows of one dead letter: one for each contact, or one for the event that could not be read."""
    for contact in record["contacts"]:
        row = Row(
            at=record["recorded_at"],
            written=written,
            outcome=DEAD_LETTER,
            reason=record["reason"],
            record_id=contact["record_id"],
            action=contact["action"],
            change=_position(contact),
            occurred_at=contact["occurred_at"],
            **_failure(record),
        )
        if wanted.takes(row):
            yield row
    if not record["contacts"]:
        yield from letters(record, written, wanted)


def letters(record: Record, written: Position, wanted: Wanted) -> Iterator[Row]:
    """Yield one dead letter as a single row, if it is wanted."""
    row = Row(
        at=record["recorded_at"],
        written=written,
        outcome=DEAD_LETTER,
        reason=record["reason"],
        contacts=len(record["contacts"]),
        change=None if record["event"] is None else _position(record["event"]),
        **_failure(record),
    )
    if wanted.takes(row):
        yield row


def newest(rows: Iterable[Row], most: int) -> tuple[list[Row], int]:
    """Give the newest `most` rows, newest first, and how many there were. Holds no more than those in memory.

    Rows of one time are in the order of their changes in the log, then of the records that tell of them.
    """
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    return heapq.nlargest(most, counted(), key=_age), count


def _age(row: Row) -> tuple[int, int, Position]:
    return row.at, -1 if row.change is None else row.change.offset, row.written


def _target(record: Record) -> dict[str, Any]:
    names = ("connector", "account", "list_id", "request_id", "correlation_id", "status")
    return {name: record[name] for name in names}


def _failure(record: Record) -> dict[str, Any]:
    return {**_target(record), "category": record["category"], "message": record["message"]}


def _position(part: Record) -> Position | None:
    """Give where an event lies; None where no event asked for what was done: see `rebuild --exact`."""
    return Position(part["topic"], part["partition"], part["offset"]) if part["partition"] >= 0 else None


def _same_contact(asked: str, found: str | None) -> bool:
    if found is None:
        return False
    number = record_number(asked.strip())
    return asked.strip() == found if number is None else number == record_number(found)
