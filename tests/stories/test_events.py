"""Every row of the table of events: what is skipped, what is a dead letter, what waits. Nothing is dropped silently."""

import json
import struct
from typing import Any

import pytest
from fastavro import parse_schema

from consumer import avro
from consumer.changes import Action
from consumer.outcomes import Outcome
from tests.fakes.service import SCHEMA_ID, Member, World, world

NEWER_ID = 8


def _newer_schema() -> str:
    """Give a writer's schema that knows one more source type and one more transition than we do."""
    schema: dict[str, Any] = json.loads(avro.CHANGE_SCHEMA.text)
    for field in schema["fields"]:
        if field["name"] in {"source_type", "transition"}:
            field["type"]["symbols"].append("NEWER")
    return json.dumps(schema)


def _newer_event(w: World, **fields: object) -> bytes:
    schema = avro.Schema(_newer_schema(), parse_schema(json.loads(_newer_schema())))
    w.registry.schemas[NEWER_ID] = schema.text
    event = {
        "event_id": "00000000-0000-0000-0000-000000000001",
        "source_type": "AUDIENCE",
        "source_id": "0",
        "profile_id": "p",
        "transition": "ENTER",
        "occurred_at": 0,
        "identifiers": {"2006": "5"},
        **fields,
    }
    return avro.frame(NEWER_ID, avro.encode(schema, event))


def _skipped(w: World, member: Member, reason: str, **labels: object) -> None:
    member.run_until(w.all_committed)
    assert member.metric("events_skipped_total", reason=reason, **labels) == 1
    assert w.changes() == []
    assert w.sink.dead_letters == []


def test_no_connector_takes_the_source() -> None:
    """An event of a source without a connector is skipped, counted as unrouted, and its offset committed."""
    with world() as w:
        member = w.member()
        w.tell("ENTER", 1, source="audience:nobody")
        _skipped(w, member, "unrouted", connector="", transition="ENTER")


def test_a_journey_is_not_the_audience_of_the_same_id() -> None:
    """An audience's connector takes no events of a journey that happens to have its id."""
    with world() as w:
        member = w.member()
        w.tell("EXIT", 1, source="journey:0")
        _skipped(w, member, "unrouted", connector="", transition="EXIT")


def test_unknown_source_type() -> None:
    """An event of a source type that we do not know is skipped and counted as unrouted."""
    with world() as w:
        member = w.member()
        w.tell_raw(_newer_event(w, source_type="NEWER"))
        _skipped(w, member, "unrouted", connector="", transition="ENTER")


def test_connector_is_not_enabled() -> None:
    """An event of a disabled connector is skipped, counted as disabled, and HubSpot is not asked about its list."""
    sections = {"c0": {"account": "acme", "list_id": 100, "source": "audience:0", "enabled": False}}
    with world(connectors=sections) as w:
        member = w.member()
        w.tell("ENTER", 1)
        _skipped(w, member, "disabled", connector="c0", transition="ENTER")
        assert w.portal.log == []


def test_no_identifier_in_the_slot() -> None:
    """An event without an identifier in the connector's slot is skipped and counted by connector and transition."""
    with world() as w:
        member = w.member()
        w.tell("EXIT", None)
        _skipped(w, member, "no_identifier", connector="c0", transition="EXIT")


def test_tombstone() -> None:
    """A null value is skipped and counted as a tombstone."""
    with world() as w:
        member = w.member()
        w.tell_raw(None)
        _skipped(w, member, "tombstone", connector="", transition="")


@pytest.mark.parametrize("identifier", ["", "0", "-5", "seven", "1.5", " 7", "٣", "9223372036854775808", "9" * 5000])
def test_record_id_is_not_a_positive_64_bit_decimal_number(identifier: str) -> None:
    """An identifier that is no record id becomes a dead letter INVALID_RECORD_ID that names connector and change."""
    with world() as w:
        member = w.member()
        offset = w.tell("ENTER", identifier, partition=2)
        member.run_until(w.all_committed)
        letter = w.dead_letter("INVALID_RECORD_ID")
        (contact,) = letter.contacts
        assert (letter.connector, letter.account, letter.list_id) == ("c0", "acme", 100)
        assert identifier.startswith(contact.record_id)
        assert (contact.action, contact.change.offset) == (Action.ADD, offset)
        assert w.changes() == []
        assert member.metric("dead_letters_total", reason="INVALID_RECORD_ID") == 1


def test_leading_zeros_are_the_same_contact() -> None:
    """`007` and `7` are one contact before anything else looks at it: the newer of the two events wins."""
    with world() as w:
        member = w.member()
        w.tell("ENTER", "007", profile_id="bond", partition=1)
        w.tell("EXIT", "7", profile_id="bond", partition=1)
        member.run_until(w.all_committed)
        (request,) = w.changes()
        assert (request.adds, request.removes) == ((), (7,))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\0\0\0",
        b"\1\0\0\0\7rest",
        b"\0\0\0\0\7rest",
        avro.frame(SCHEMA_ID, b"\xff" * 30),
        b'{"json": "by mistake"}',
    ],
    ids=["empty", "short", "wrong magic byte", "not the schema", "nonsense", "json"],
)
def test_bytes_are_not_what_their_schema_says(value: bytes) -> None:
    """An event that cannot be decoded becomes a dead letter UNDECODABLE with raw key, value, headers and place."""
    with world() as w:
        member = w.member()
        offset = w.tell_raw(value, partition=3, key="raw-key")
        w.tell("ENTER", 1, partition=3)
        member.run_until(w.all_committed)
        event = w.dead_letter("UNDECODABLE").event
        assert event is not None
        assert (event.topic, event.partition, event.offset) == ("journey.membership", 3, offset)
        assert (event.key, event.value, event.headers) == (b"raw-key", value, (("origin", b"test"),))
        assert w.members() == {1}


def test_unknown_transition() -> None:
    """A transition that we do not know becomes a dead letter UNDECODABLE: to guess would be wrong either way."""
    with world() as w:
        member = w.member()
        w.tell_raw(_newer_event(w, transition="NEWER"))
        member.run_until(w.all_committed)
        assert w.dead_letter("UNDECODABLE").event is not None
        assert w.changes() == []


def test_unknown_schema_id_is_asked_again_for_a_minute_before_it_is_believed() -> None:
    """While the registry does not know a schema the partition waits; after 60 s the event is a dead letter."""
    with world() as w:
        member = w.member()
        w.tell_raw(struct.pack(">BI", 0, 99) + b"body", partition=1)
        w.tell("ENTER", 1, partition=1)
        member.run_for(55)
        assert w.registry.asked > 1
        assert (w.sink.dead_letters, w.changes(), w.committed(1)) == ([], [], 0)
        member.run_until(w.all_committed)
        assert "schema 99" in str(w.dead_letter("UNDECODABLE").details.message)
        assert w.members() == {1}


def test_a_schema_that_the_registry_learns_late_loses_nothing() -> None:
    """A schema that is registered after its first event is used as soon as the registry knows it."""
    with world() as w:
        member = w.member()
        event = _newer_event(w)
        text = w.registry.schemas.pop(NEWER_ID)
        w.tell_raw(event)
        member.run_for(30)
        w.registry.schemas[NEWER_ID] = text
        member.run_until(w.all_committed)
        assert w.members() == {5}
        assert w.sink.dead_letters == []


def test_registry_cannot_be_reached() -> None:
    """While the registry is away partitions wait, however long; nothing is skipped, nothing committed past them."""
    with world() as w:
        member = w.member()
        w.registry.away = True
        offset = w.tell("ENTER", 1, partition=1)
        w.tell_raw(None, partition=2)
        member.run_for(600)
        assert w.committed(1) == offset
        assert w.committed(2) == 1
        assert (w.changes(), w.sink.dead_letters) == ([], [])
        w.registry.away = False
        member.run_until(w.all_committed)
        assert w.members() == {1}


def test_held_messages_keep_their_order() -> None:
    """What waited for a schema is applied in the order of the log, whatever came behind it."""
    with world() as w:
        member = w.member()
        w.tell("ENTER", 5, partition=0)
        member.run_until(w.all_committed)
        event = _newer_event(w, transition="EXIT", identifiers={"2006": "5"})
        w.registry.away = True
        w.tell_raw(event, partition=0)
        w.tell("ENTER", 5, partition=0)
        w.tell("EXIT", 5, partition=0)
        member.run_for(60)
        assert w.outcomes(5) == [Outcome.ADDED]
        w.registry.away = False
        member.run_until(w.all_committed)
        assert w.members() == frozenset()


def test_one_source_may_feed_many_lists() -> None:
    """Every connector of a source gets its events, each with the identifier of its own slot."""
    sections = {"c1": {"account": "acme", "list_id": 101, "source": "audience:0", "identifier": "9000"}}
    with world(2, connectors=sections) as w:
        member = w.member()
        w.tell("ENTER", 1, identifiers={"2006": "11", "9000": "22"})
        member.run_until(w.all_committed)
        assert w.members(0) == {11}
        assert w.members(1) == {22}
