"""Rows of results and dead letters: which are wanted, and in which order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer import history
from consumer.history import DEAD_LETTER, Position, Row, Wanted

PLACE = Position("results", 0, 9)
ANY = Wanted()


def contact(record_id: int | str, **more: object) -> dict[str, Any]:
    """Give one contact of a record, decided by offset 4 of partition 2."""
    decided = {"topic": "changes", "partition": 2, "offset": 4, "occurred_at": 500}
    return {"record_id": record_id, "action": "ADD", **decided, **more}


def result(*contacts: dict[str, Any], **more: object) -> dict[str, Any]:
    """Give a result, answered at 1000."""
    target = {"connector": "vip", "account": "acme", "list_id": 4711, "request_id": "r-1"}
    answer = {"status": 200, "correlation_id": "c-1", "sent_at": 900, "answered_at": 1000}
    return {**target, **answer, "contacts": list(contacts), **more}


def letter(*contacts: dict[str, Any], **more: object) -> dict[str, Any]:
    """Give a dead letter, recorded at 2000."""
    target = {"connector": "vip", "account": "acme", "list_id": 4711, "request_id": "r-2"}
    said = {"status": 404, "category": "OBJECT_NOT_FOUND", "message": "no such list", "correlation_id": "c-2"}
    what = {"reason": "LIST_NOT_FOUND", "recorded_at": 2000, "contacts": list(contacts), "event": None}
    return {**target, **said, **what, **more}


def undecodable() -> dict[str, Any]:
    """Give the dead letter of an event that could not be read."""
    nobody = dict.fromkeys(("connector", "account", "list_id", "request_id", "status", "category", "correlation_id"))
    event = {"topic": "changes", "partition": 1, "offset": 77, "value": b"\x07"}
    return letter(**nobody, reason="UNDECODABLE", message="bad bytes", event=event)


def outcome(record_id: int, *, at: int = 1000, offset: int = 4, said: str = "ADDED") -> Row:
    """Give the row of one outcome."""
    [row] = history.outcomes(
        result(contact(record_id, outcome=said, offset=offset), answered_at=at), Position("results", 0, offset), ANY
    )
    return row


def test_a_result_has_a_row_for_each_contact() -> None:
    """An outcome comes with the change that decided it and with the ids to look for."""
    record = result(contact(101, outcome="ADDED"), contact(102, outcome="NOT_FOUND", action="REMOVE"))
    first, second = history.outcomes(record, PLACE, ANY)
    assert first == Row(
        at=1000,
        written=PLACE,
        outcome="ADDED",
        record_id="101",
        action="ADD",
        connector="vip",
        account="acme",
        list_id=4711,
        change=Position("changes", 2, 4),
        occurred_at=500,
        request_id="r-1",
        correlation_id="c-1",
        status=200,
    )
    assert (second.record_id, second.outcome, second.action) == ("102", "NOT_FOUND", "REMOVE")


def test_a_dead_letter_has_a_row_for_each_contact() -> None:
    """A refused change comes with the reason and with what HubSpot said."""
    rows = list(history.refusals(letter(contact("101"), contact("abc")), PLACE, ANY))
    assert [(row.record_id, row.outcome, row.reason) for row in rows] == [
        ("101", DEAD_LETTER, "LIST_NOT_FOUND"),
        ("abc", DEAD_LETTER, "LIST_NOT_FOUND"),
    ]
    assert rows[0].change == Position("changes", 2, 4)
    assert (rows[0].at, rows[0].status, rows[0].category, rows[0].message) == (
        2000,
        404,
        "OBJECT_NOT_FOUND",
        "no such list",
    )


def test_an_event_that_cannot_be_read_is_a_row_without_a_contact() -> None:
    """Nobody's change is shown too, with the place of its event."""
    [row] = history.refusals(undecodable(), PLACE, ANY)
    assert (row.record_id, row.reason, row.change) == (None, "UNDECODABLE", Position("changes", 1, 77))


def test_a_dead_letter_as_one_row() -> None:
    """A list of dead letters counts their contacts."""
    [many] = history.letters(letter(contact("101"), contact("102")), PLACE, ANY)
    assert (many.written, many.contacts, many.record_id, many.change) == (PLACE, 2, None, None)
    [none] = history.letters(undecodable(), PLACE, ANY)
    assert (none.contacts, none.change) == (0, Position("changes", 1, 77))


@pytest.mark.parametrize("asked", ["7", "007", " 7 ", "00000000000000000000007"])
def test_a_record_id_is_a_number(asked: str) -> None:
    """007 asks for contact 7, in results and in dead letters, and for no other."""
    wanted = Wanted(record_id=asked)
    record = result(contact(7, outcome="ADDED"), contact(70, outcome="ADDED"))
    assert [row.record_id for row in history.outcomes(record, PLACE, wanted)] == ["7"]
    refused = letter(contact("7"), contact("70"), contact("seven"))
    assert [row.record_id for row in history.refusals(refused, PLACE, wanted)] == ["7"]
    assert list(history.refusals(undecodable(), PLACE, wanted)) == []


def test_an_identifier_that_is_no_number_can_be_asked_for() -> None:
    """Who looks for what stood in an event as the record id finds its dead letter."""
    refused = letter(contact("ana@example.org"), contact("0"), reason="INVALID_RECORD_ID")
    asked = [list(history.refusals(refused, PLACE, Wanted(record_id=each))) for each in ("ana@example.org", "0", "ana")]
    assert [len(rows) for rows in asked] == [1, 1, 0]


@pytest.mark.parametrize(
    ("wanted", "added", "refused"),
    [
        (Wanted(connector="vip"), True, True),
        (Wanted(connector="other"), False, False),
        (Wanted(outcome="ADDED"), True, False),
        (Wanted(outcome="REMOVED"), False, False),
        (Wanted(outcome=DEAD_LETTER), False, True),
        (Wanted(reason="LIST_NOT_FOUND"), False, True),
        (Wanted(reason="FORBIDDEN"), False, False),
        (Wanted(since=1000), True, True),
        (Wanted(since=1001), False, True),
        (Wanted(since=2001), False, False),
        (Wanted(connector="vip", outcome="ADDED", reason="FORBIDDEN"), False, False),
    ],
)
def test_only_what_is_wanted(wanted: Wanted, *, added: bool, refused: bool) -> None:
    """A row is shown if it has every value that was asked for."""
    record = result(contact(101, outcome="ADDED"))
    assert bool(list(history.outcomes(record, PLACE, wanted))) is added
    assert bool(list(history.refusals(letter(contact("101")), PLACE, wanted))) is refused
    assert bool(list(history.letters(letter(contact("101")), PLACE, wanted))) is refused


def test_newest_first() -> None:
    """What happened last stands first; of one time, the later change does."""
    rows = [outcome(1, at=100), outcome(2, at=300, offset=5), outcome(3, at=200), outcome(4, at=300, offset=6)]
    shown, count = history.newest(iter(rows), 10)
    assert ([row.record_id for row in shown], count) == (["4", "2", "3", "1"], 4)


@given(st.lists(st.integers(0, 50)), st.integers(1, 20))
def test_the_newest_are_those_of_all_sorted(times: list[int], most: int) -> None:
    """However many are asked for, they are the newest of all, and all are counted."""
    rows = [outcome(1, at=at, offset=offset) for offset, at in enumerate(times)]
    shown, count = history.newest(rows, most)
    assert [row.at for row in shown] == sorted(times, reverse=True)[:most]
    assert count == len(times)
