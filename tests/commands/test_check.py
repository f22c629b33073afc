"""`check --online`: what is asked of HubSpot, Kafka and the registry, and what is made of the answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer import avro
from consumer.checks import (
    SCOPES,
    Finding,
    finding_of_list,
    finding_of_schema,
    finding_of_scopes,
    findings_of_topics,
)
from consumer.hubspot.lists_client import ContactList
from consumer.kafka.questions import Standing, TopicFacts
from consumer.secret import Secret
from consumer.settings import Settings
from consumer.simulator import SCOPES as GRANTED
from consumer.simulator import ContactList as Held
from consumer.simulator import Fault
from tests.commands.world import CHANGES, DEAD_LETTERS, RESULTS, World, account, world

process = pytest.mark.process
DELETE = TopicFacts(exists=True, cleanup="delete")
COMPACT = TopicFacts(exists=True, cleanup="compact")
NOWHERE = "127.0.0.1:1"


def settings() -> Settings:
    """Give settings that name two topics of changes."""
    return Settings.model_validate(
        {
            "kafka": {"bootstrap.servers": NOWHERE, "group.id": "g"},
            "topics": {"changes": ["a", "b"]},
            "accounts": {
                "acme": {
                    "client_id": "c",
                    "client_secret": Secret("s"),
                    "refresh_token": Secret("t"),
                    "requests_per_10s": 9,
                }
            },
            "connectors": {"vip": {"account": "acme", "list_id": 10, "source": "audience:a"}},
        }
    )


def of_topics(**more: TopicFacts) -> dict[str, Finding]:
    """Give what is found of each place when topic `a`, `b`, `results` or `letters` is not as it should be."""
    names = {"a": "a", "b": "b", "results": RESULTS, "letters": DEAD_LETTERS}
    facts = {topic: more.get(key, DELETE) for key, topic in names.items()}
    return {each.place: each for each in findings_of_topics(settings().topics, facts)}


def test_topics_that_are_as_they_should_be() -> None:
    """Every topic that the settings name has a line, with its policy."""
    found = of_topics()
    assert list(found) == ["topics.changes[0]", "topics.changes[1]", "topics.results", "topics.dead_letters"]
    assert {each.result for each in found.values()} == {"ok"}
    assert found["topics.changes[1]"].told == "b is there, cleanup.policy=delete"


@pytest.mark.parametrize("cleanup", ["compact", "compact,delete"])
def test_a_compacted_topic_is_a_problem(cleanup: str) -> None:
    """Compaction erases one source's change with another's: it is told with what to set."""
    found = of_topics(b=TopicFacts(exists=True, cleanup=cleanup))["topics.changes[1]"]
    assert (found.result, found.remedy) == ("problem", "Set cleanup.policy=delete")
    assert f"cleanup.policy={cleanup}" in found.told


def test_a_topic_that_is_missing_is_a_problem() -> None:
    """Each of the topics must be there."""
    found = of_topics(results=TopicFacts(exists=False), letters=TopicFacts(exists=False))
    assert [each.result for each in found.values()] == ["ok", "ok", "problem", "problem"]
    assert RESULTS in found["topics.results"].told


def test_a_policy_that_could_not_be_asked_is_no_problem() -> None:
    """A user that may not describe a topic may still read it: it is said what remains to be seen."""
    found = of_topics(a=TopicFacts(exists=True, problem="TOPIC_AUTHORIZATION_FAILED"))["topics.changes[0]"]
    assert found.result == "unknown"
    assert "could not be asked (TOPIC_AUTHORIZATION_FAILED)" in found.told


@pytest.mark.parametrize(
    ("reason", "told"),
    [("LIST_DYNAMIC", "active list"), ("LIST_DELETED", "was deleted"), ("LIST_NOT_OF_CONTACTS", "not hold contacts")],
)
def test_a_list_that_cannot_be_kept_is_a_problem(reason: str, told: str) -> None:
    """What stands in the way is said with the list's name and what to do."""
    found = finding_of_list("vip", ContactList(10, "VIP", 3, reason))
    assert (found.place, found.result) == ("connectors.vip.list_id", "problem")
    assert found.told.startswith("10, VIP: ")
    assert told in found.told
    assert "attach" in found.remedy


def test_missing_scopes_are_named() -> None:
    """Only what is missing is named."""
    assert finding_of_scopes("acme", {*SCOPES, "oauth"}).result == "ok"
    found = finding_of_scopes("acme", set(SCOPES) - {"crm.lists.write", "crm.objects.contacts.read"})
    assert (found.result, found.told) == ("problem", "not granted: crm.objects.contacts.read, crm.lists.write")


@pytest.mark.parametrize("standing", list(Standing))
def test_only_a_schema_that_cannot_be_had_is_a_problem(standing: Standing) -> None:
    """A schema that the registry has, or could take, is in order."""
    found = finding_of_schema("topics.results", "s-value", standing, "more")
    assert (found.result == "problem") is (standing in (Standing.CONFLICTS, Standing.UNREACHABLE))
    assert "s-value" in found.told


def findings(world: World, exit_code: int, **environ: str) -> dict[str, list[Any]]:
    """Type `check --online --json`: result and text by check and place."""
    result = world.call("check", "--online", "--json", **environ)
    assert result.exit_code == exit_code, result.output
    assert result.stderr == ""
    return {
        f"{each['check']} {each['place']}": [each["result"], each["told"]]
        for each in json.loads(result.stdout)["online"]
    }


@pytest.fixture
def without_kafka(tmp_path: Path) -> Iterator[World]:
    """Yield a world of two accounts whose Kafka is known to be away, so that nothing is asked of it for long."""
    lists = [Held(10, "VIP"), Held(11, "Active", processing_type="DYNAMIC"), Held(16, "Old", legacy_id=3)]
    with world(tmp_path, account("acme", *lists), account("other", scopes=set(GRANTED[:3]))) as made:
        made.tree["kafka"]["bootstrap.servers"] = NOWHERE
        yield made


@process
def test_all_is_well(world: World) -> None:
    """Token, scopes, list, topics and schemas are shown, and the exit code is 0."""
    world.create_topics(CHANGES, RESULTS, DEAD_LETTERS)
    world.registry.add(f"{RESULTS}-value", avro.RESULT_SCHEMA.text)
    result = world.call("check", "--online")
    assert (result.exit_code, result.stderr) == (0, "")
    for told in (
        "✓ HubSpot gives access tokens for it",
        "✓ all four are granted",
        "✓ 10, VIP, 3 contacts",
        f"? {CHANGES} is there; its cleanup.policy could not be asked",  # the mock cluster cannot
        f"✓ {RESULTS}-value is registered: version 1, id 1",
        f"✓ {DEAD_LETTERS}-value will be registered when the service starts",
    ):
        assert told in result.stdout
    assert result.stdout.splitlines()[-1] == "0 problems"


@process
def test_nothing_is_changed(world: World) -> None:
    """A check creates no topic, registers no schema and changes no list."""
    world.create_topics(CHANGES)
    found = findings(world, 1)
    assert [found[f"topic topics.{key}"][0] for key in ("changes[0]", "results", "dead_letters")] == [
        "unknown",
        "problem",
        "problem",
    ]
    assert list(world._producer.list_topics(timeout=20).topics) == [CHANGES]
    assert world.registry.schemas == {}
    assert not any("versions" in each and "compatibility" not in each for each in world.registry.asked)
    assert {each.method for each in world.at_hubspot(lambda portal: portal.log) if "crm" in each.path} == {"GET"}


@process
def test_every_problem_is_reported(without_kafka: World) -> None:
    """One problem hides no other: those of each account and list, of Kafka and of the registry are all told."""
    world = without_kafka
    world.registry.subjects = {f"{RESULTS}-value": []}
    world.registry.compatible = False
    world.tree["connectors"] = {
        name: {"account": name.partition("-")[0], "list_id": list_id, "source": f"audience:{name}"}
        for name, list_id in (
            ("acme-ok", 10),
            ("acme-active", 11),
            ("acme-old", 3),
            ("acme-none", 99),
            ("other-ok", 10),
        )
    }
    found = findings(world, 1)
    assert {key: result for key, (result, _) in found.items()} == {
        "token accounts.acme.refresh_token": "ok",
        "scopes accounts.acme": "ok",
        "list connectors.acme-ok.list_id": "ok",
        "list connectors.acme-active.list_id": "problem",
        "list connectors.acme-old.list_id": "problem",
        "list connectors.acme-none.list_id": "problem",
        "token accounts.other.refresh_token": "ok",
        "scopes accounts.other": "problem",
        "list connectors.other-ok.list_id": "ok",
        "brokers kafka.bootstrap.servers": "problem",
        "schema topics.results": "problem",
        "schema topics.dead_letters": "ok",
    }
    assert found["scopes accounts.other"][1] == "not granted: crm.lists.write"
    assert f"Kafka at {NOWHERE} cannot be asked" in found["brokers kafka.bootstrap.servers"][1]
    assert "404" in found["list connectors.acme-none.list_id"][1]
    table = world.call("check", "--online")
    assert table.exit_code == 1
    assert "Write list_id: 16; 3 is the list's id in an older API" in table.stdout
    assert table.stdout.splitlines()[-1] == "6 problems"


@process
def test_nobody_answers(without_kafka: World) -> None:
    """A refused token and a registry that is away are told; what depends on them is not asked; no secret is shown."""
    world = without_kafka
    world.at_hubspot(lambda portal: portal.inject(Fault("refresh_refused")))
    world.tree["schema_registry"]["url"] = f"http://{NOWHERE}"
    found = findings(world, 1)
    assert found["token accounts.acme.refresh_token"][0] == "problem"
    assert "BAD_REFRESH_TOKEN" in found["token accounts.acme.refresh_token"][1]
    assert found["list connectors.vip.list_id"] == ["unknown", "not asked: there is no access token"]
    assert "ConnectError: Connection refused" in found["schema topics.results"][1]
    assert "the-" not in json.dumps(found)


@process
def test_properties_of_no_use(without_kafka: World) -> None:
    """A property that the registry's client does not know is told by its name."""
    world = without_kafka
    world.tree["schema_registry"]["rubbish"] = 1
    found = findings(world, 1)
    assert "rubbish" in found["schema schema_registry"][1]
