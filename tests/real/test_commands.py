"""What an operator types, against a real broker and a real registry."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]  # exported, but not by __all__

from consumer.simulator.faults import Fault
from tests.real import kafka_broker
from tests.real.authority import Authority
from tests.real.kafka import Event
from tests.real.kafka_broker import Broker
from tests.real.processes import until
from tests.real.registry_server import RegistryServer
from tests.real.service import VIP, World, world

pytestmark = pytest.mark.process


@pytest.fixture
def secure(secure_broker: Broker, registry: RegistryServer, tmp_path: Path) -> Iterator[World]:
    """Yield a world with topics, whose broker asks who one is."""
    with world(secure_broker, registry, tmp_path) as made:
        made.create_topics()
        made.environ["KAFKA_PASSWORD"] = kafka_broker.PASSWORD
        yield made


def found(here: World, code: int, **sections: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    """Run `check --online`; give what it finds by kind of check and place of the configuration."""
    said = json.loads(here.run("check", "--online", "--json", code=code, **sections))
    return {(each["check"], each["place"]): each for each in said["online"]}


def rows(here: World, *words: str) -> list[dict[str, Any]]:
    """Run a command that prints a JSON object a line."""
    return [json.loads(line) for line in here.run(*words, "--json").splitlines()]


def test_check_finds_all_in_order(here: World) -> None:
    """Where all is well, every place is found well, before and after the service has registered its schemas."""
    before = found(here, 0)
    assert {each["result"] for each in before.values()} == {"ok"}
    assert "will be registered" in before["schema", "topics.dead_letters"]["told"]

    here.tell(Event(1))
    service = here.start()
    until(lambda: here.committed() == 1, service.process)
    assert "is registered: version 1" in found(here, 0)["schema", "topics.results"]["told"]


def test_check_finds_what_is_wrong(bare_world: World) -> None:
    """A compacted topic, a missing one, and a list that is not there are found at once, with what to do."""
    here = bare_world
    here.kafka.create(here.changes, cleanup_policy="compact,delete")
    here.kafka.create(here.results)
    here.environ["REGISTRY_USER"] = "sync:close-barley"
    connectors = {"vip": {"account": "acme", "list_id": 99, "source": "audience:vip"}}
    told = found(here, 1, connectors=connectors)

    assert "is compacted" in told["topic", "topics.changes[0]"]["told"]
    assert "is not there" in told["topic", "topics.dead_letters"]["told"]
    assert told["topic", "topics.results"]["result"] == "ok"
    assert "no usable answer" in told["schema", "topics.results"]["told"]
    assert told["list", "connectors.vip.list_id"]["result"] == "problem"
    assert all(each["remedy"] for each in told.values() if each["result"] != "ok")


def test_check_as_a_user_who_may_not_see_all(secure: World, authority: Authority) -> None:
    """A topic that may be used but not described is told apart from one that is not there; a wrong password is told."""
    secure.kafka.allow(secure.changes, kafka_broker.USER, AclOperation.READ)
    secure.kafka.allow(secure.results, "somebody", AclOperation.ALL)
    login = {
        "bootstrap.servers": secure.broker.sasl_ssl,
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": kafka_broker.USER,
        "sasl.password": {"env": "KAFKA_PASSWORD"},
        "ssl.ca.location": str(authority.ca_file),
    }
    told = found(secure, 1, kafka=login)
    changes, results = told["topic", "topics.changes[0]"], told["topic", "topics.results"]

    assert (changes["result"], results["result"]) == ("unknown", "problem")
    assert "TOPIC_AUTHORIZATION_FAILED" in changes["told"]
    assert "this user may not see it" in results["told"]
    secure.environ["KAFKA_PASSWORD"] = "close-barley"
    refused = found(secure, 1, kafka=login)["brokers", "kafka.bootstrap.servers"]
    assert "authentication" in refused["told"].lower()
    assert "close-barley" not in json.dumps(refused)


def test_results_say_why_a_person_is_not_on_the_list(here: World) -> None:
    """Each outcome and dead letter of a contact comes newest first, with the change that decided it."""
    service = here.start()
    here.tell(Event(7), Event(8))
    until(lambda: here.committed() == 2, service.process)
    here.inject(Fault("bad_request", method="PUT", times=1))
    here.tell(Event(7, "EXIT"), Event("nobody"))
    until(lambda: here.committed() == 4, service.process)
    here.tell(Event(7, "EXIT"))
    until(lambda: here.committed() == 5, service.process)

    told = rows(here, "results", "--record-id", "7")
    assert [(each["outcome"], each["change"]["offset"]) for each in told] == [
        ("REMOVED", 4),
        ("DEAD_LETTER", 2),
        ("ADDED", 0),
    ]
    assert {(each["connector"], each["list_id"]) for each in told} == {("vip", VIP)}
    assert told[1]["reason"] == "BAD_REQUEST"
    assert [each["record_id"] for each in rows(here, "results", "--outcome", "added")] == ["8", "7"]
    assert len(rows(here, "results", "--since", "1h")) == 5
    assert rows(here, "results", "--since", "2100-01-01T00:00:00Z") == []
    table = here.run("results", "--record-id", "8")
    assert "ADDED" in table
    assert f"{here.changes}" in table.replace("\n", "")


def test_dead_letters_are_listed_and_shown(here: World) -> None:
    """A dead letter is listed by reason, and shown whole by where it lies, down to an undecodable event's bytes."""
    here.kafka.send(here.changes, b"no Avro at all", "8")
    here.kafka.flush()
    here.tell(Event("nobody"))
    service = here.start()
    until(lambda: here.committed() == 2, service.process)

    listed = rows(here, "dead-letters", "list")
    assert {each["reason"] for each in listed} == {"UNDECODABLE", "INVALID_RECORD_ID"}
    (only,) = rows(here, "dead-letters", "list", "--reason", "UNDECODABLE")
    where = f"{only['written']['partition']}:{only['written']['offset']}"
    shown = here.run("dead-letters", "show", where)
    assert "no Avro at all" in shown
    assert "UNDECODABLE" in shown
