"""Writers' schemas from a real registry: newer, older, of other names, unknown; and a registry that goes away."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import ConfigCompatibilityLevel, Schema, ServerConfig

from consumer import app
from consumer.avro import RESULT_SCHEMA, frame
from consumer.changes import Change, TopicPartition
from consumer.intake import ASK_AGAIN_MOST, UNKNOWN_FOR, Intake
from consumer.kafka.registry import Lookup, SchemaRegistry, Unknown, Unreachable, new_client
from consumer.offsets import Offsets
from consumer.outcomes import DeadLetter, Outcome
from consumer.partitions import Partitions
from consumer.router import Router
from tests.fakes.kafka import TOPIC, MemoryBroker
from tests.real.kafka import CHANGE, Event, record, schema
from tests.real.kafka_broker import Broker
from tests.real.processes import free_port, until
from tests.real.proxy import Proxy
from tests.real.registry_server import RegistryServer
from tests.real.service import Service, World, world

pytestmark = pytest.mark.process

FIELDS: list[dict[str, Any]] = json.loads(CHANGE)["fields"]
CONSENT = {
    "type": "record",
    "name": "Consent",
    "fields": [
        {"name": "given", "type": "boolean"},
        {"name": "texts", "type": {"type": "array", "items": "string"}},
    ],
}


def enum(name: str, field: str, *symbols: str) -> list[dict[str, Any]]:
    """Give the fields with one of them an enum of another name or with other symbols."""
    kind = {"type": "enum", "name": name, "symbols": list(symbols)}
    return [{"name": field, "type": kind} if each["name"] == field else each for each in FIELDS]


NEWER = schema(
    fields=[
        {"name": "consent", "type": ["null", CONSENT], "default": None},
        *enum("SourceType", "source_type", "CAMPAIGN", "JOURNEY", "AUDIENCE"),
        {"name": "weight", "type": "double", "default": 1.0},
    ]
)
OLDER = schema(fields=[each for each in FIELDS if each["name"] not in ("event_id", "occurred_at")])
RENAMED = schema(
    name="ProfileMoved", namespace="com.example.platform", fields=enum("Move", "transition", "ENTER", "EXIT")
)
FIRST_OUTCOMES = ("ADDED", "REMOVED", "UNCHANGED", "NOT_FOUND")
SUSPENDING = schema(fields=enum("Transition", "transition", "ENTER", "EXIT", "SUSPEND"))


@pytest.fixture(scope="module")
def here(broker: Broker, registry: RegistryServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield a world with two partitions for all tests of this module: each tells of contacts of its own."""
    with world(broker, registry, tmp_path_factory.mktemp("world")) as made:
        made.create_topics(partitions=2)
        yield made


@pytest.fixture(scope="module")
def service(here: World) -> Service:
    """Give a service that runs during all tests of this module."""
    return here.start()


def tell(here: World, event: Event, writer: str, **fields: object) -> bytes:
    """Tell an event by a writer's schema; give its bytes."""
    value = here.kafka.encode(here.changes, {**record(event), **fields}, writer)
    here.kafka.send(here.changes, value, str(event.contact))
    here.kafka.flush()
    return value


@pytest.mark.parametrize(
    ("contact", "writer", "fields"),
    [
        (1, NEWER, {"consent": {"given": True, "texts": ["a", "b"]}}),
        (2, NEWER, {"consent": None, "weight": 0.5}),
        (3, OLDER, {}),
        (4, RENAMED, {}),
        (5, SUSPENDING, {}),
    ],
    ids=["newer", "newer without", "older", "another name", "a symbol more"],
)
def test_another_writers_events_are_applied(
    here: World, service: Service, contact: int, writer: str, fields: dict[str, object]
) -> None:
    """Events whose schema differs from ours, as schemas do over the years, are understood."""
    tell(here, Event(contact), writer, **fields)
    until(lambda: contact in here.members(), service.process)

    tell(here, Event(contact, "EXIT"), writer, **fields)
    until(lambda: contact not in here.members(), service.process)


def test_an_unknown_source_type_is_skipped_and_counted(here: World, service: Service) -> None:
    """A source type that came after our schema is no connector's; its events are counted as unrouted."""
    tell(here, Event(10), NEWER, source_type="CAMPAIGN")
    tell(here, Event(11), NEWER)
    until(lambda: 11 in here.members(), service.process)

    assert service.total("events_skipped_total", reason="unrouted", transition="ENTER") == 1
    assert 10 not in here.members()


def test_an_unknown_transition_becomes_a_dead_letter(here: World, service: Service) -> None:
    """What is neither an entry nor an exit is kept as it was, byte for byte, and what follows goes on."""
    value = tell(here, Event(20, "SUSPEND"), SUSPENDING)
    tell(here, Event(21), SUSPENDING)
    until(lambda: 21 in here.members(), service.process)

    (letter,) = here.kafka.read(here.dead_letters)
    assert (letter["reason"], letter["event"]["value"], letter["event"]["key"]) == ("UNDECODABLE", value, b"20")
    assert "SUSPEND" in letter["message"]


def test_a_registry_that_goes_and_comes_back(here: World, service: Service) -> None:
    """While the registry is away, a partition with a new schema waits and others go on; then nothing is missing."""
    here.tell(Event(30))
    before = here.kafka.end(here.changes)
    until(lambda: here.committed() == before, service.process)
    new = here.kafka.encode(here.changes, record(Event(31)), schema(doc="Not seen before."))
    known = here.kafka.encode(here.changes, record(Event(32)))
    with here.registry.away():
        here.kafka.send(here.changes, new, "31", partition=0)
        here.kafka.send(here.changes, known, "32", partition=1)
        here.kafka.flush()
        service.until_said("schema cannot be had, its partitions wait")
        until(lambda: here.committed(1) == 1, service.process)
        assert here.committed(0) == before

    until(lambda: here.committed(0) == before + 1, service.process, within=2 * ASK_AGAIN_MOST)
    assert {31, 32} <= here.members()


def test_a_registry_that_is_away_at_the_start(broker: Broker, registry: RegistryServer, tmp_path: Path) -> None:
    """A service that starts without a registry says so, and begins when there is one."""
    port = free_port()
    with world(broker, registry, tmp_path) as here:
        here.create_topics()
        here.tell(Event(1))
        service = here.start(schema_registry={"url": registry.url_at(port)})
        said = service.until_said("schema not registered yet")
        assert "Connection refused" in said["problem"]
        until(lambda: service.total("events_consumed_total") == 1, service.process)
        assert (here.committed(), here.puts()) == (0, [])

        with Proxy(registry.port, port):
            until(lambda: here.committed() == 1, service.process)


class _Waiting(SchemaRegistry):
    """A registry whose answers are waited for, so that scripted time needs no real one."""

    def take(self, wait: float = 10.0) -> list[Lookup]:
        return super().take(wait)


class _Grave:
    """Keeps dead letters; takes nothing else."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def fold(self, *change: object) -> None:
        raise NotImplementedError

    def refuse(self, connector: str, identifier: str, change: Change, wall: float, done: object) -> None:
        raise NotImplementedError

    def bury(self, record: DeadLetter, done: object) -> None:
        del done
        self.letters.append(record)


def test_an_unknown_id_is_believed_after_a_minute(registry: RegistryServer) -> None:
    """An id that the registry does not know, asked again and again for 60 s, makes its event a dead letter."""
    partitions = Partitions(Offsets())
    where = TopicPartition(TOPIC, 0)
    partitions.assign([where], now=0.0)
    partitions.started(where, None, 1)
    grave = _Grave()
    with closing(_Waiting(new_client(registry.properties))) as client:
        intake = Intake(partitions, Router(()), client, app.make_metrics(), grave)
        message = MemoryBroker().append("1", frame(987_654, b"body"), 0, 0.0)
        assert intake.take([message], 0.0, 0.0) == {where}
        for second in range(int(UNKNOWN_FOR)):
            assert intake.turn(float(second), 0.0) == set()
        assert grave.letters == []
        freed = [second for second in range(60, 200) if intake.turn(float(second), 0.0)]

    assert len(freed) == 1
    (letter,) = grave.letters
    assert letter.reason == "UNDECODABLE"
    assert letter.details.message == "the registry does not know schema 987654"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, None),
        ({"basic.auth.user.info": "sync:wrong"}, "check the credentials under schema_registry"),
        ({"url": "http://127.0.0.1:{port}/elsewhere"}, "check that schema_registry.url is the address"),
    ],
    ids=["unknown", "wrong password", "wrong address"],
)
def test_only_a_registrys_own_word_makes_a_schema_unknown(
    registry: RegistryServer, changed: dict[str, str], told: str | None
) -> None:
    """An answer that is not the registry's "schema not found" is a failure to be mended, told without the password."""
    properties = {**registry.properties, **changed}
    properties["url"] = properties["url"].format(port=registry.port)
    with closing(SchemaRegistry(new_client(properties))) as client:
        client.lookup(987_654)
        (lookup,) = client.take(10.0)

    if told is None:
        assert lookup.outcome == Unknown()
    else:
        assert isinstance(lookup.outcome, Unreachable)
        assert told in lookup.outcome.message
        assert "wrong" not in lookup.outcome.message


def _results(*outcomes: str, default: str | None) -> Schema:
    """Give the results' schema with other outcomes."""
    form = json.loads(RESULT_SCHEMA.text)
    (contact,) = (each["type"]["items"] for each in form["fields"] if each["name"] == "contacts")
    (outcome,) = (each["type"] for each in contact["fields"] if each["name"] == "outcome")
    del outcome["default"]
    outcome |= {"symbols": list(outcomes)} | ({} if default is None else {"default": default})
    return Schema(json.dumps(form), "AVRO")


OLD = _results(*FIRST_OUTCOMES, default=None)
OURS = Schema(RESULT_SCHEMA.text, "AVRO")
NEXT = _results(*Outcome, "AND_ONE_MORE", default="UNCHANGED")


@pytest.mark.parametrize(
    ("level", "there", "new", "fits"),
    [
        ("BACKWARD", OLD, OURS, True),
        ("FORWARD", OLD, OURS, False),  # it had no default yet
        ("BACKWARD_TRANSITIVE", OURS, NEXT, True),
        ("FULL_TRANSITIVE", OURS, NEXT, True),
    ],
    ids=["from before merged", "from before merged, forward", "one more", "one more, full"],
)
def test_an_outcome_may_be_added(registry: RegistryServer, level: str, there: Schema, new: Schema, fits: bool) -> None:
    """The enum of outcomes has a default, so that a registry takes one with more symbols, whatever its rule."""
    with closing(registry.client()) as client:
        subject = f"{level}-{fits}-value"
        client.register_schema(subject, there)
        client.set_config(subject, ServerConfig(compatibility=ConfigCompatibilityLevel(level)))
        assert client.test_compatibility(subject, new) is fits
