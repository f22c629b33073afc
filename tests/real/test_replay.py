"""Dead letters replayed beside the running service, against a real broker and a real registry."""

import hashlib
import json
from typing import Any

import pytest

from consumer.avro import DEAD_LETTER_SCHEMA
from consumer.simulator.faults import Fault
from tests.real.kafka import Event, record
from tests.real.processes import until
from tests.real.service import VIP, World

pytestmark = pytest.mark.process


def replay(here: World, *words: str, code: int = 0, **sections: dict[str, Any]) -> dict[str, Any]:
    """Type `dead-letters replay`; give its summary."""
    told = here.run("dead-letters", "replay", "--json", *words, code=code, **sections)
    summary: dict[str, Any] = json.loads(told)
    return summary


def bury_undecodable(here: World, value: bytes, offset: int) -> None:
    """Write the dead letter of an event that could not be decoded when it was read."""
    nothing = ("connector", "account", "list_id", "request_id", "status", "category", "correlation_id")
    event = {
        "topic": here.changes,
        "partition": 0,
        "offset": offset,
        "timestamp": None,
        "key": b"7",
        "value": value,
        "headers": [],
        "value_length": len(value),
        "value_sha256": hashlib.sha256(value).hexdigest(),
        "truncated": False,
    }
    letter: dict[str, Any] = {
        **dict.fromkeys(nothing),
        "reason": "UNDECODABLE",
        "message": "the registry does not know the schema",
        "recorded_at": 1_780_000_000_000,
        "contacts": [],
        "event": event,
    }
    here.kafka.send(here.dead_letters, here.kafka.encode(here.dead_letters, letter, DEAD_LETTER_SCHEMA.text), "7")
    here.kafka.flush()


def test_a_list_that_was_forbidden_for_a_while(here: World) -> None:
    """What a list refused is applied by a replay beside the service, newer changes win, a second one does nothing."""
    here.inject(Fault("forbidden", method="PUT"))
    here.tell(*(Event(contact) for contact in range(1, 6)))
    service = here.start()
    until(lambda: here.committed() == 5, service.process)
    assert replay(here, code=1)["failed"] == {"FORBIDDEN": 5}
    here.heal()
    here.tell(Event(1, "EXIT"), Event(6))  # the service has parked the list and sends these later
    would = replay(here, "--dry-run", "--reason", "FORBIDDEN")["would_send"]
    assert {each["record_id"]: each["action"] for each in would} == {"1": "REMOVE", **dict.fromkeys("2345", "ADD")}
    assert here.members() == frozenset()

    summary = replay(here, "--connector", "vip", "--since", "1h")
    assert summary["applied"] == {"added": 4, "removed": 0, "unchanged": 1, "not_found": 0, "merged": 0}
    assert here.members() - {6} == {2, 3, 4, 5}
    again = replay(here)
    assert (again["superseded"], sum(again["applied"].values())) == (5, 0)
    assert replay(here, "--all", "--max-contacts", "1")["applied"]["unchanged"] == 5
    assert {len(each.adds) + len(each.removes) for each in here.puts()[-3:]} == {1}
    until(lambda: here.committed() == 7, service.process, within=60)
    assert here.members() == {2, 3, 4, 5, 6}


def test_what_is_mended_is_read_anew(here: World) -> None:
    """An event whose schema was missing is decoded anew, a wrong slot looked at anew; what is still wrong is told."""
    value = here.kafka.encode(here.changes, record(Event(7)))
    here.kafka.send(here.changes, value, "7")
    here.kafka.flush()
    here.kafka.commit(here.group, here.changes, 1)
    bury_undecodable(here, value, 0)
    for record_id, other in (("nobody", "12"), ("no one", "neither")):
        fields = {**record(Event(record_id)), "identifiers": {"2006": record_id, "2007": other}}
        here.kafka.send(here.changes, here.kafka.encode(here.changes, fields), record_id)
    here.kafka.send(here.changes, b"no Avro at all", "8")
    here.kafka.flush()
    service = here.start()
    until(lambda: here.committed() == 4, service.process)

    slot = {"vip": {"account": "acme", "list_id": VIP, "source": "audience:vip", "identifier": "2007"}}
    summary = replay(here, code=1)
    assert summary["applied"]["added"] == 1
    assert summary["failed"] == {"INVALID_RECORD_ID": 2, "UNDECODABLE": 1}
    assert here.members() == {7}
    mended = replay(here, "--reason", "INVALID_RECORD_ID", code=1, connectors=slot)
    assert (mended["applied"]["added"], mended["failed"]) == (1, {"INVALID_RECORD_ID": 1})
    assert here.members() == {7, 12}


def test_what_retention_has_taken(here: World) -> None:
    """A change that the topic has lost is applied from its dead letter, unless the results have lost something too."""
    here.inject(Fault("bad_request", method="PUT"))
    here.tell(Event(1), Event(2))
    service = here.start()
    until(lambda: here.committed() == 2, service.process)
    here.heal()
    here.tell(Event(3))
    until(lambda: here.committed() == 3, service.process)
    here.kafka.delete_records(here.changes, before=3)
    would = replay(here, "--dry-run")
    assert [each["record_id"] for each in would["would_send"]] == ["1", "2"]
    here.kafka.delete_records(here.results, before=1)
    [(why, count)] = replay(here, code=1)["not_replayable"].items()
    assert count == 2
    assert "retention" in why
    assert here.members() == {3}
