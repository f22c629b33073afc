"""`rebuild`, as it is typed."""

import json
from typing import Any

import pytest

from consumer import avro
from consumer.simulator import Portal
from consumer.simulator.faults import Fault
from tests.commands.world import CHANGES, DEAD_LETTERS, World, cells

pytestmark = pytest.mark.process

NOON = 1_793_534_400_000  # 2026-11-01T12:00Z


def tell(world: World, contact: int | str, transition: str = "ENTER", source: str = "vip") -> None:
    """Write an event."""
    schema = avro.CHANGE_SCHEMA
    known = [each for each, text in world.registry.schemas.items() if text == schema.text]
    schema_id = known[0] if known else world.registry.add(f"{CHANGES}-value", schema.text)
    event = {
        "event_id": "00000000-0000-0000-0000-000000000001",
        "source_type": "AUDIENCE",
        "source_id": source,
        "profile_id": str(contact),
        "transition": transition,
        "occurred_at": NOON,
        "identifiers": {"2006": str(contact)},
    }
    world.write_raw(CHANGES, avro.frame(schema_id, avro.encode(schema, event)))


def members(world: World) -> frozenset[int]:
    """Give who is on the list."""
    found: frozenset[int] = world.at_hubspot(lambda portal: portal.accounts["acme"].lists[10].members)
    return found


@pytest.fixture(autouse=True)
def _history(world: World) -> None:
    """Contacts 1, 2 and 3 are members; the log says that 3 has left and 4 is in, too."""
    world.registry.registers = True
    for contact in (1, 2, 3, 4):
        tell(world, contact)
    tell(world, 3, "EXIT")
    tell(world, 5, source="other")


def test_a_list_is_rebuilt(world: World) -> None:
    """The list becomes what the log says, and the summary tells what that took."""
    done = world.call("rebuild", "--connector", "vip")
    assert done.exit_code == 0, done.output
    assert members(world) == {1, 2, 4}
    assert [row[:2] for row in cells(done.stdout)] == [
        ["applied, added to the list", "1"],
        ["applied, removed from the list", "1"],
        ["applied, was so already", "2"],
    ]


def test_a_disabled_connector_is_filled(world: World) -> None:
    """A connector that is not switched on yet gets its list filled by a rebuild."""
    world.tree["connectors"]["vip"]["enabled"] = False
    done = world.call("rebuild", "--connector", "vip", "--json")
    assert json.loads(done.stdout)["applied"]["added"] == 1
    assert members(world) == {1, 2, 4}


def test_a_dry_run_sends_nothing(world: World) -> None:
    """A dry run counts what would be sent, and HubSpot hears nothing of it."""
    done = world.call("rebuild", "--connector", "vip", "--dry-run", "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert told == {"connector": "vip", "would_send": {"list_id": 10, "add": 3, "remove": 1}}
    assert world.call("rebuild", "--connector", "vip", "--dry-run").exit_code == 0
    assert world.at_hubspot(lambda portal: portal.log) == []
    assert members(world) == {1, 2, 3}


def test_a_list_that_is_gone_is_told(world: World) -> None:
    """A list that was deleted in HubSpot is refused with its reason, and the exit code is 1."""
    world.at_hubspot(lambda portal: setattr(portal.accounts["acme"].lists[10], "deleted_at", 0.0))
    done = world.call("rebuild", "--connector", "vip", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["failed"] == {"LIST_DELETED": 4}


def test_an_unknown_connector_is_named(world: World) -> None:
    """Whoever mistypes a connector is told which there are."""
    done = world.call("rebuild", "--connector", "vpi")
    assert done.exit_code == 2
    assert "there is no connector vpi: name one of vip." in done.stderr


def test_a_source_nobody_was_in_is_said(world: World) -> None:
    """When the log tells of no contact of the source, that is said, and nothing is sent."""
    world.tree["connectors"]["vip"]["source"] = "journey:unheard"
    done = world.call("rebuild", "--connector", "vip")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "the log tells of no contact of journey:unheard" in done.stderr
    assert members(world) == {1, 2, 3}


def by_hand(world: World, *contacts: int) -> None:
    """Put contacts on the list that no event tells of."""

    def join(portal: Portal) -> None:
        for contact in contacts:
            portal.accounts["acme"].lists[10].join(contact, 0.0)

    world.at_hubspot(join)


def test_members_that_the_log_does_not_know_stay(world: World) -> None:
    """Without --exact nobody is taken off a list of whom the log knows nothing."""
    by_hand(world, 50)
    assert world.call("rebuild", "--connector", "vip").exit_code == 0
    assert members(world) == {1, 2, 4, 50}


def test_exact_asks_before_it_takes_members_off(world: World) -> None:
    """The question names the number; any answer but yes leaves everything as it is, and yes makes the list exact."""
    by_hand(world, 50, 51)
    world.typed = "n\n"
    refused = world.call("rebuild", "--connector", "vip", "--exact")
    assert refused.exit_code == 1
    assert (
        "List 10 has 2 members that the log of audience:vip knows nothing of. Take them off the list?" in refused.stderr
    )
    assert refused.stderr.endswith("Aborted!\n")
    assert members(world) == {1, 2, 3, 50, 51}
    world.typed = "y\n"
    assert world.call("rebuild", "--connector", "vip", "--exact").exit_code == 0
    assert members(world) == {1, 2, 4}
    assert world.call("rebuild", "--connector", "vip", "--exact").exit_code == 0  # nothing to ask for


def test_exact_with_yes_asks_nothing(world: World) -> None:
    """A script says --yes; the results tell of the contact that no event asked for."""
    by_hand(world, 50)
    world.create_topics(DEAD_LETTERS)
    done = world.call("rebuild", "--connector", "vip", "--exact", "--yes", "--json")
    assert json.loads(done.stdout)["applied"]["removed"] == 2
    assert members(world) == {1, 2, 4}
    [row] = world.lines("results", "--record-id", "50")
    assert (row["action"], row["outcome"], row["change"]) == ("REMOVE", "REMOVED", None)


def test_yes_belongs_to_exact(world: World) -> None:
    """Whoever says --yes to a question that is not asked is told so, and nothing is sent."""
    done = world.call("rebuild", "--connector", "vip", "--yes")
    assert done.exit_code == 2
    assert "--yes answers the question of --exact" in done.stderr
    assert members(world) == {1, 2, 3}


def test_a_dry_run_counts_unknown_members(world: World) -> None:
    """A dry run with --exact tells how many members would be taken off, and asks nothing."""
    by_hand(world, 50)
    told = json.loads(world.call("rebuild", "--connector", "vip", "--exact", "--dry-run", "--json").stdout)
    assert told["would_send"] == {"list_id": 10, "add": 3, "remove": 1, "remove_unknown": 1}
    assert members(world) == {1, 2, 3, 50}


def test_who_stands_for_a_merged_contact_stays(world: World) -> None:
    """A member into whom HubSpot has merged somebody that is to be on the list is not taken off by --exact."""
    world.at_hubspot(lambda portal: portal.accounts["acme"].merge(2, 60))
    by_hand(world, 50)
    assert world.call("rebuild", "--connector", "vip", "--exact", "--yes").exit_code == 0
    assert members(world) == {1, 4, 60}


def test_exact_sends_nothing_when_it_is_not_certain(world: World) -> None:
    """When HubSpot does not tell who was merged into whom, nothing is sent, and it is said why."""
    by_hand(world, 50)
    world.at_hubspot(lambda portal: portal.inject(Fault("forbidden", method="POST")))
    done = world.call("rebuild", "--connector", "vip", "--exact", "--yes")
    assert done.exit_code == 1
    assert "nothing was sent: who is on list 10 and unknown to the log is not certain" in done.stderr
    assert members(world) == {1, 2, 3, 50}


def test_exact_on_a_list_that_cannot_be_read(world: World) -> None:
    """A list that is gone cannot be made exact: that is said, with what to do."""
    world.at_hubspot(lambda portal: portal.accounts["acme"].lists.pop(10))
    done = world.call("rebuild", "--connector", "vip", "--exact", "--yes")
    assert done.exit_code == 1
    assert "list 10 was not audited" in done.stderr
