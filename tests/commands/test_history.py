"""`results`, `dead-letters list` and `dead-letters show`: what the topics tell."""

import json
from contextlib import closing
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition

from consumer.cli import main
from tests.commands.world import CHANGES, DEAD_LETTERS, RESULTS, World, cells

pytestmark = pytest.mark.process

HOUR = 3_600_000
NOON = 1_793_534_400_000  # 2026-11-01T12:00Z


def result(*contacts: tuple[int, str], at: int = NOON, connector: str = "vip") -> dict[str, Any]:
    """Give a result: each contact with its outcome, decided at offset 40 of partition 3, an hour before."""
    decided = {"action": "ADD", "topic": CHANGES, "partition": 3, "offset": 40, "occurred_at": at - HOUR}
    return {
        "connector": connector,
        "account": "acme",
        "list_id": 10,
        "request_id": "request-1",
        "status": 200,
        "correlation_id": "correlation-1",
        "sent_at": at - 100,
        "answered_at": at,
        "contacts": [{"record_id": contact, "outcome": outcome, **decided} for contact, outcome in contacts],
    }


def letter(*contacts: str, at: int = NOON + HOUR, **more: object) -> dict[str, Any]:
    """Give a dead letter of contacts that were to be removed."""
    decided = {"action": "REMOVE", "topic": CHANGES, "partition": 3, "offset": 41, "occurred_at": at - HOUR}
    return {
        "reason": "LIST_NOT_FOUND",
        "connector": "vip",
        "account": "acme",
        "list_id": 10,
        "request_id": "request-2",
        "status": 404,
        "category": "OBJECT_NOT_FOUND",
        "message": "The list does not exist.",
        "correlation_id": "correlation-2",
        "recorded_at": at,
        "contacts": [{"record_id": contact, **decided} for contact in contacts],
        **more,
    }


def undecodable(value: bytes, at: int = NOON) -> dict[str, Any]:
    """Give the dead letter of an event that could not be read."""
    event = {
        "topic": CHANGES,
        "partition": 1,
        "offset": 77,
        "timestamp": at,
        "key": "prof\xefle".encode(),
        "value": value,
        "headers": [{"name": "trace", "value": b"abc"}, {"name": "none", "value": None}],
        "value_length": len(value),
        "value_sha256": "00ff",
        "truncated": False,
    }
    return {"reason": "UNDECODABLE", "message": "bad bytes", "recorded_at": at, "event": event}


@pytest.fixture
def told(world: World) -> World:
    """Give a world whose topics tell of contact 7: added, then refused to be removed; and of others."""
    world.create_topics(RESULTS, DEAD_LETTERS)
    world.write(RESULTS, result((7, "ADDED"), (8, "NOT_FOUND")), partition=2)
    world.write(RESULTS, result((7, "UNCHANGED"), at=NOON - HOUR, connector="winback"), partition=0)
    world.write(DEAD_LETTERS, letter("7", "9"), partition=1)
    world.write(DEAD_LETTERS, undecodable(b"\x07\x1b[2J" + b"x" * 600, at=NOON - HOUR), partition=1)
    return world


def test_why_is_this_person_not_on_the_list(told: World) -> None:
    """Each outcome and each dead letter of the contact is told, newest first, with the change that decided it."""
    rows = told.lines("results", "--record-id", "007")
    assert [(row["at"], row["outcome"], row["reason"], row["connector"]) for row in rows] == [
        ("2026-11-01T13:00:00.000Z", "DEAD_LETTER", "LIST_NOT_FOUND", "vip"),
        ("2026-11-01T12:00:00.000Z", "ADDED", None, "vip"),
        ("2026-11-01T11:00:00.000Z", "UNCHANGED", None, "winback"),
    ]
    assert rows[0] == {
        "at": "2026-11-01T13:00:00.000Z",
        "record_id": "7",
        "outcome": "DEAD_LETTER",
        "reason": "LIST_NOT_FOUND",
        "action": "REMOVE",
        "connector": "vip",
        "account": "acme",
        "list_id": 10,
        "status": 404,
        "category": "OBJECT_NOT_FOUND",
        "message": "The list does not exist.",
        "request_id": "request-2",
        "correlation_id": "correlation-2",
        "change": {"topic": CHANGES, "partition": 3, "offset": 41, "occurred_at": "2026-11-01T12:00:00.000Z"},
        "written": {"topic": DEAD_LETTERS, "partition": 1, "offset": 0},
    }


def test_results_as_a_table(told: World) -> None:
    """A person reads outcome, list, deciding change and the ids to quote, and nothing else is on stdout."""
    answer = told.call("results", "--record-id", "7", "--outcome", "added")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert cells(answer.stdout) == [
        ["2026-11-01T12:00:00.000Z", "7", "ADDED", "vip", f"ADD {CHANGES}/3/40", "request-1"],
        ["", "", "", "list 10", "occurred 2026-11-01T11:00:00.000Z", "correlation correlation-1"],
    ]


@pytest.mark.parametrize(
    ("arguments", "contacts"),
    [
        ((), ["7", "9", "8", "7", "7", None]),
        (("--connector", "winback"), ["7"]),
        (("--outcome", "NOT_FOUND"), ["8"]),
        (("--outcome", "dead_letter"), ["7", "9", None]),
        (("--record-id", "70"), []),
    ],
)
def test_results_that_were_asked_for(told: World, arguments: tuple[str, ...], contacts: list[str | None]) -> None:
    """Each option leaves out what it does not name; events that nobody could read are nobody's."""
    found = [row["record_id"] for row in told.lines("results", *arguments)]
    assert sorted(map(str, found)) == sorted(map(str, contacts))


def test_the_newest_only(told: World) -> None:
    """What the limit leaves out is counted, beside stdout."""
    answer = told.call("results", "--limit", "2", "--json")
    assert [json.loads(line)["outcome"] for line in answer.stdout.splitlines()] == ["DEAD_LETTER", "DEAD_LETTER"]
    assert "the newest 2 of 6: --limit 6 shows all" in answer.stderr


def test_nothing_of_a_person(told: World) -> None:
    """Where there is nothing to tell, it is said what that may mean."""
    answer = told.call("results", "--record-id", "12345")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert f"nothing like that in {RESULTS} and {DEAD_LETTERS}" in answer.stderr
    assert "events_skipped_total" in answer.stderr


def test_records_that_cannot_be_read(told: World) -> None:
    """An answer that may lack something says so and fails, but shows what there is."""
    told.write_raw(RESULTS, b"nonsense", partition=3)
    answer = told.call("results", "--record-id", "8")
    assert answer.exit_code == 1
    assert "NOT_FOUND" in answer.stdout
    assert f"cannot be read, so not shown: 1, first {RESULTS}/3/0: the value begins with byte 110" in answer.stderr


def test_a_topic_that_is_not_there(world: World) -> None:
    """A topic that does not exist is named, with where its name stands, and is not created."""
    answer = world.call("results")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert answer.stderr.splitlines() == [
        f"topic {RESULTS} is not there: check its name under topics, and what this user may read"
    ]


def test_dead_letters_newest_first(told: World) -> None:
    """Each dead letter is a row: its place, its reason, how many contacts, what HubSpot said."""
    answer = told.call("dead-letters", "list")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert cells(answer.stdout) == [
        ["1:0", "2026-11-01T13:00:00.000Z", "LIST_NOT_FOUND", "vip", "2", "404 OBJECT_NOT_FOUND"],
        ["", "", "", "list 10", "", "The list does not exist."],
        ["", "", "", "", "", "correlation correlation-2"],
        ["1:1", "2026-11-01T11:00:00.000Z", "UNDECODABLE", "", "0", "bad bytes"],
    ]


def test_dead_letters_that_were_asked_for(told: World) -> None:
    """They can be chosen by reason and connector, and come as JSON for programs."""
    assert [each["place"] for each in told.lines("dead-letters", "list", "--reason", "UNDECODABLE")] == ["1:1"]
    [named] = told.lines("dead-letters", "list", "--connector", "vip")
    assert (named["place"], named["contacts"], named["reason"]) == ("1:0", 2, "LIST_NOT_FOUND")
    none = told.call("dead-letters", "list", "--connector", "other")
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", f"nothing like that in {DEAD_LETTERS}\n")


def test_one_dead_letter_whole(told: World) -> None:
    """A dead letter is shown with what its reason means, HubSpot's words and every contact."""
    answer = told.call("dead-letters", "show", "1:0")
    assert (answer.exit_code, answer.stderr) == (0, "")
    shown = answer.stdout.splitlines()
    assert f"place:          {DEAD_LETTERS}/1/0" in shown
    assert "reason:         LIST_NOT_FOUND: HubSpot answered 404" in shown
    assert "message:        The list does not exist." in shown
    assert "correlation id: correlation-2" in shown
    change = [f"{CHANGES}/3/41", "2026-11-01T12:00:00.000Z"]
    assert cells(answer.stdout) == [["7", "REMOVE", *change], ["9", "REMOVE", *change]]


def test_the_raw_event_of_a_dead_letter(told: World) -> None:
    """Bytes are shown as text, in which nothing moves the terminal, and in hexadecimal, up to a bound."""
    shown = told.call("dead-letters", "show", "1:1").stdout
    assert "\x1b" not in shown
    lines = shown.splitlines()
    assert f"came from:      {CHANGES}/1/77" in lines
    assert "key:            profïle" in lines
    assert "header trace:   abc" in lines
    assert "length:         605 bytes" in lines
    assert any(line.startswith(r"as text:        \x07\x1b[2Jxxx") for line in lines)
    assert "  00000000  07 1b 5b 32 4a 78 78 78 78 78 78 78 78 78 78 78" in lines
    assert lines[-1] == "  … 93 more bytes: --json shows all"


def test_a_dead_letter_for_programs(told: World) -> None:
    """A program gets every field; bytes are whole, in hexadecimal and as text."""
    [whole] = told.lines("dead-letters", "show", "1:1")
    value = b"\x07\x1b[2J" + b"x" * 600
    assert bytes.fromhex(whole["event"]["value"]["hex"]) == value
    assert whole["event"]["key"] == {"hex": "profïle".encode().hex(), "text": "profïle"}
    assert whole["event"]["headers"] == [
        {"name": "trace", "value": {"hex": "616263", "text": "abc"}},
        {"name": "none", "value": None},
    ]
    assert (whole["place"], whole["recorded_at"], whole["contacts"]) == ("1:1", "2026-11-01T11:00:00.000Z", [])


def test_a_dead_letter_that_is_not_there(told: World) -> None:
    """A place without a dead letter, and one that cannot be read, are told apart."""
    told.write_raw(DEAD_LETTERS, b"nonsense", partition=1)
    answers = [told.call("dead-letters", "show", place) for place in ("1:9", "0:0", "1:2")]
    assert [(each.exit_code, each.stdout) for each in answers] == [(1, "")] * 3
    assert answers[0].stderr == f"{DEAD_LETTERS}/1/9: there is no such dead letter, or no longer\n"
    assert "begins with byte 110" in answers[2].stderr


@pytest.mark.parametrize("place", ["17", "a:1", "1:-1", ":", "1:" + "9" * 30])
def test_a_place_that_is_none(place: str) -> None:
    """How a place is written is said before Kafka is asked."""
    answer = CliRunner().invoke(main, ["dead-letters", "show", "--", place])
    assert answer.exit_code == 2
    assert "is no place: write it as `dead-letters list` does, such as 0:17." in answer.stderr


def test_the_groups_offsets_stay_where_they_are(told: World) -> None:
    """To look is not to consume: the service's group has nothing committed, and a second look shows the same."""
    assert told.lines("results") == told.lines("results")
    service = {key: told.tree["kafka"][key] for key in ("bootstrap.servers", "group.id")}
    with closing(Consumer(service)) as consumer:
        asked = [TopicPartition(topic, number) for topic in (RESULTS, DEAD_LETTERS) for number in range(4)]
        assert {each.offset for each in consumer.committed(asked, timeout=20)} == {OFFSET_INVALID}


def test_kafka_that_is_away(world: World) -> None:
    """A wrong address is told in a line that names it, not by a hang or a traceback."""
    world.tree["kafka"]["bootstrap.servers"] = "127.0.0.1:1"
    answer = world.call("results")
    assert (answer.exit_code, answer.stdout, len(answer.stderr.splitlines())) == (1, "", 1)
    assert f"topic {RESULTS} cannot be read from Kafka at 127.0.0.1:1: " in answer.stderr
