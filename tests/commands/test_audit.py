"""`audit`: what is asked of HubSpot and Kafka, what is shown, and the exit code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from consumer.audit import Audit, Budget, Turns, Walk
from consumer.changes import TopicPartition
from consumer.commands.audit import MOST_AT_ONCE, go_through
from consumer.drift import Listed, Report
from consumer.hubspot.client import PAGE
from consumer.intents import Folded, IdRange, Intents
from consumer.outcomes import Terminal
from consumer.simulator import ContactList, Fault, Portal, Quirks
from tests.commands.test_history import letter, result, undecodable
from tests.commands.world import CHANGES, DEAD_LETTERS, RESULTS, World, account, cells, world
from tests.hubspot import world as hubspot
from tests.simulator.caller import LISTS, acme

pytestmark = pytest.mark.process

LONG_AGO = 1_780_000_000_000  # ms since 1970


def tell(here: World, contact: int, transition: str = "ENTER", *, source: str = "vip", partition: int = 0) -> None:
    """Append a change, which occurred at noon."""
    here.write(
        CHANGES,
        {
            "source_type": "AUDIENCE",
            "source_id": source,
            "profile_id": str(contact),
            "transition": transition,
            "occurred_at": LONG_AGO,
            "identifiers": {"2006": str(contact)},
        },
        partition,
    )


def decided(record: dict[str, Any], offset: int, at: int = LONG_AGO) -> dict[str, Any]:
    """Let a result or a dead letter be of the change at an offset of partition 0, and of that time."""
    change = {"topic": CHANGES, "partition": 0, "offset": offset}
    key = "answered_at" if "answered_at" in record else "recorded_at"
    return {**record, key: at, "contacts": [{**each, **change} for each in record["contacts"]]}


def audit(here: World, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Type the command for a program; give the exit code and the object."""
    answer = here.call("audit", "--json", *arguments)
    assert answer.stdout, answer.output
    return answer.exit_code, json.loads(answer.stdout)


def counts(listed: dict[str, Any]) -> dict[str, int]:
    """Give the ways in which anybody differs, and how many do."""
    return {kind: number for kind, number in listed["contacts"].items() if number}


@pytest.fixture
def told(world: World) -> World:
    """Give a world whose list 10, with members 1 to 3, differs from its log in every way."""
    world.create_topics(CHANGES, RESULTS, DEAD_LETTERS)
    for contact, transition in ((1, "ENTER"), (2, "EXIT"), (4, "ENTER"), (5, "ENTER"), (6, "ENTER"), (7, "ENTER")):
        tell(world, contact, transition)
    tell(world, 8, "ENTER")  # the group has not committed it
    tell(world, 9, "ENTER", source="other")
    tell(world, 10, "ENTER", partition=1)  # nor anything of that partition
    world.commit(CHANGES, 6)
    world.write(RESULTS, decided(result((5, "NOT_FOUND")), 3))
    world.write(DEAD_LETTERS, decided(letter("6"), 4))
    world.at_hubspot(lambda portal: setattr(portal.accounts["acme"], "contacts", {*range(1, 100)} - {5}))
    world.at_hubspot(lambda portal: portal.accounts["acme"].merge(7, 70))
    world.at_hubspot(lambda portal: portal.accounts["acme"].lists[10].join(70, 0.0))
    return world


def test_every_way_to_differ(told: World) -> None:
    """Each contact that differs is counted as what it is, changes on their way are no drift, and the exit code is 1."""
    code, found = audit(told)
    [vip] = found["lists"]
    assert (code, found["drift"], vip["drift"]) == (1, 4, 4)
    assert counts(vip) == {
        "missing": 1,
        "left": 1,
        "unknown": 1,
        "given_up": 1,
        "not_found": 1,
        "on_their_way": 2,
        "merged": 2,
    }
    assert (vip["members"], vip["in_log"], vip["log_complete"], vip["audited"]) == (4, 7, True, True)
    contacts = {kind: [each["record_id"] for each in several] for kind, several in vip["examples"].items()}
    assert contacts == {
        "missing": ["4"],
        "left": ["2"],
        "unknown": ["3"],
        "given_up": ["6"],
        "not_found": ["5"],
        "on_their_way": ["8", "10"],
        "merged": ["7", "70"],
    }
    assert vip["examples"]["given_up"][0] == {
        "record_id": "6",
        "action": "ADD",
        "change": {"topic": CHANGES, "partition": 0, "offset": 4, "occurred_at": "2026-05-28T20:26:40.000Z"},
        "note": "LIST_NOT_FOUND",
    }


def test_a_table_for_people(told: World) -> None:
    """A person reads one row for each list, some contacts with the change that decided, and what to do of each kind."""
    answer = told.call("audit")
    assert (answer.exit_code, answer.stderr) == (1, "")
    rows = cells(answer.stdout)
    assert rows[0] == ["vip", "10", "4", "7", "1", "1", "1", "1", "1", "2", "2", "drift: 4"]
    assert ["vip", "4", "missing", f"ADD {CHANGES}/0/2", "2026-05-28T20:26:40.000Z"] in rows
    assert ["vip", "3", "unknown", "", ""] in rows
    assert "missing: the log says in, not on the list; rebuild sends what the log says" in answer.stdout
    assert "given up: the newest change is a dead letter; dead-letters replay" in answer.stdout


def test_a_list_as_the_log_says(world: World) -> None:
    """A list that is right is said to be right, with exit code 0."""
    world.create_topics(CHANGES)
    for contact in (1, 2, 3):
        tell(world, contact)
    world.commit(CHANGES, 3)
    answer = world.call("audit")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert cells(answer.stdout) == [["vip", "10", "3", "3", *"0000000", "as the log says"]]


def test_what_was_applied_a_moment_ago_is_on_its_way(world: World) -> None:
    """HubSpot's reads lag behind its writes: what it has just taken is no drift."""
    world.create_topics(CHANGES, RESULTS, DEAD_LETTERS)
    for contact in (1, 2, 3, 4):
        tell(world, contact)
    world.commit(CHANGES, 4)
    now = world.now_ms()
    world.write(RESULTS, decided(result((4, "ADDED")), 3, at=now))
    code, found = audit(world)
    assert (code, counts(found["lists"][0])) == (0, {"on_their_way": 1})


def test_an_event_that_can_be_read_by_now(world: World) -> None:
    """An event that was given up unread, and can be read by now, is told as given up."""
    world.create_topics(CHANGES, RESULTS, DEAD_LETTERS)
    for contact in (1, 2, 3, 4):
        tell(world, contact)
    world.commit(CHANGES, 4)
    record = undecodable(b"", at=LONG_AGO)
    world.write(DEAD_LETTERS, {**record, "event": {**record["event"], "partition": 0, "offset": 3}})
    code, found = audit(world)
    assert (code, counts(found["lists"][0])) == (1, {"given_up": 1})
    assert found["lists"][0]["examples"]["given_up"][0]["note"] == "UNDECODABLE"


def test_events_that_cannot_be_read_are_told(world: World) -> None:
    """What the log holds and nobody can read may concern anybody: so it is said."""
    world.create_topics(CHANGES)
    for contact in (1, 2, 3):
        tell(world, contact)
    world.write_raw(CHANGES, b"no Avro")
    world.commit(CHANGES, 4)
    answer = world.call("audit")
    assert answer.exit_code == 0
    assert "vip: 1 events of the log cannot be read" in answer.stdout


def lists(world_: World, **connectors: int) -> None:
    """Configure connectors of account acme, each with its list."""
    world_.tree["connectors"] = {
        name: {"account": "acme", "list_id": list_id, "source": f"audience:{name}"}
        for name, list_id in connectors.items()
    }


@pytest.fixture
def three(tmp_path: Path) -> Any:  # noqa: ANN401 - a world, yielded
    """Yield a world with three lists, of which one is in another account and one is disabled."""
    acme = account("acme", ContactList(10, "VIP", members=[1]), ContactList(11, "Gone", deleted_at=0.0))
    beta = account("beta", ContactList(20, "Beta", members=[1]))
    with world(tmp_path, acme, beta) as made:
        lists(made, vip=10, gone=11)
        made.tree["connectors"]["beta"] = {
            "account": "beta",
            "list_id": 20,
            "source": "audience:beta",
            "enabled": False,
        }
        made.create_topics(CHANGES, RESULTS, DEAD_LETTERS)
        for source in ("vip", "beta"):
            tell(made, 1, source=source)
        made.commit(CHANGES, 2)
        yield made


def test_a_list_that_cannot_be_audited(three: World) -> None:
    """A list that was deleted is told with what to do, the others are audited, and the exit code is 1."""
    answer = three.call("audit")
    assert answer.exit_code == 1
    rows = cells(answer.stdout)
    assert rows[0][-1] == "as the log says"
    assert rows[1] == ["gone", "11", *[""] * 9, "not audited"]
    assert "gone: list 11 was not audited: HubSpot answered 404 OBJECT_NOT_FOUND" in answer.stdout
    assert "Check list_id" in answer.stdout
    code, found = audit(three, "--connector", "gone")
    assert (code, found["lists"][0]["audited"], "404" in found["lists"][0]["problem"]) == (1, False, True)


def test_the_connectors_that_are_named(three: World) -> None:
    """Those that are named are audited and no others, also one that is disabled, in whatever account."""
    code, found = audit(three, "--connector", "beta", "--connector", "vip")
    assert (code, [each["connector"] for each in found["lists"]]) == (0, ["vip", "beta"])


def test_a_name_that_is_none(three: World) -> None:
    """A connector that is not configured is wrong usage, and it is said which there are."""
    answer = three.call("audit", "--connector", "vpi")
    assert answer.exit_code == 2
    assert "'vpi' is not among connectors: name one of vip, gone, beta" in " ".join(answer.output.split())


def test_nothing_is_enabled(three: World) -> None:
    """Where no connector is enabled there is nothing to audit, and that is said."""
    for each in three.tree["connectors"].values():
        each["enabled"] = False
    answer = three.call("audit")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "no connector is enabled" in answer.stderr


@pytest.mark.parametrize(
    "fault",
    [
        Fault("unavailable", times=1),
        Fault("rate_limited", seconds=1, times=1),
        Fault("token_expired", times=1),
        Fault("cut_before", times=1),
    ],
)
def test_what_passes_does_not_end_it(world: World, fault: Fault) -> None:
    """HubSpot is away for a moment in the middle of a list: the audit waits, and goes on at the same page."""
    world.create_topics(CHANGES)

    def prepare(portal: Portal) -> None:
        account_ = portal.accounts["acme"]
        account_.lists[10] = ContactList(10, "VIP", members=range(1, PAGE + 2))
        portal.inject(fault)

    world.at_hubspot(prepare)
    code, found = audit(world)
    assert (code, found["lists"][0]["members"]) == (1, PAGE + 1)


def test_kafka_is_away(world: World) -> None:
    """Without Kafka nothing can be said: one line tells why, exit code 1."""
    world.tree["kafka"]["bootstrap.servers"] = "127.0.0.1:1"
    answer = world.call("audit")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "cannot be read from Kafka" in answer.stderr


@pytest.mark.parametrize("limit", [5, 20, 100])
def test_the_rate_is_kept(limit: int) -> None:
    """No ten seconds hold more requests than the account allows the process, token refreshes included."""
    made = Scripted(members=60 * PAGE, life=60)
    made.account.rolling.limit = limit
    [report] = made.audit(limit)
    assert report.findings is not None
    assert report.findings.members == 60 * PAGE
    assert 429 not in {each.status for each in made.portal.log}
    assert len(made.refreshes) == (3 if limit == 5 else 1)


def test_a_token_ends_in_the_middle() -> None:
    """A list that takes longer to read than a token lives is read to its end: the token is renewed on the way."""
    made = Scripted(members=40 * PAGE, life=120)
    [report] = made.audit(1)
    assert report.findings is not None
    assert (report.findings.members, report.failure) == (40 * PAGE, None)
    assert 401 not in {each.status for each in made.portal.log}
    assert len(made.refreshes) > 3


def test_pages_without_an_end() -> None:
    """A list whose pages go round in circles ends with an error that names it, not with a wrong report."""
    made = Scripted(members=PAGE)
    page = {"results": [{"recordId": "1"}], "paging": {"next": {"after": "1"}}}
    made.wire.instead[f"{LISTS}/10/memberships"] = [httpx.Response(200, json=page) for _ in range(3)]
    [report] = made.audit(100)
    assert isinstance(report.failure, Terminal)
    assert "list 10" in (report.failure.details.message or "")
    assert len(made.others) == 0


class Scripted(hubspot.World):
    """An account whose list 10 has so many members, of whom an empty log knows nothing, in scripted time."""

    def __init__(self, members: int, life: int = 1800) -> None:
        account_ = acme(contacts=range(1, members + 1))
        account_.lists[10] = ContactList(10, "VIP", members=range(1, members + 1))
        super().__init__(account=account_, quirks=Quirks(expires_in=life))

    def audit(self, limit: int) -> list[Report]:
        """Audit the list as the command does; give the reports."""
        reports: list[Report] = []
        budget = Budget()
        steps = Audit(Turns([Listed("vip", "acme", 10)]), EmptyLog(), budget, MOST_AT_ONCE, reports.append).steps()
        go_through(
            Walk(steps, budget), {"acme": self.client}, {"acme": limit}, self.clock.monotonic, self.clock.advance
        )
        return reports


class EmptyLog:
    """Topics in which nothing is."""

    def committed(self) -> dict[TopicPartition, int | None]:
        """Say that there is no partition."""
        return {}

    def fold(self, wanted: Mapping[str, IdRange], most: int) -> Folded:
        """Give no intents."""
        del most
        return Folded({name: Intents() for name in wanted}, wanted)

    def letters(self) -> list[dict[str, Any]]:
        """Give none."""
        return []

    results = letters
