"""A list rebuilt beside the running service, against a real broker and a real registry."""

import json
from typing import Any

import pytest

from tests.real.kafka import Event
from tests.real.processes import until
from tests.real.service import CHURN, VIP, World

pytestmark = pytest.mark.process

PARTITIONS = 3
CONTACTS = range(1, 2_001)
DISABLED: dict[str, Any] = {
    "churn": {"account": "acme", "list_id": CHURN, "source": "audience:churn", "enabled": False}
}


def tell(here: World, *events: Event) -> None:
    """Write events, each to the partition of its contact."""
    for number in range(PARTITIONS):
        here.tell(*(each for each in events if int(each.contact) % PARTITIONS == number), partition=number)


def test_a_list_is_rebuilt_beside_the_service(bare_world: World) -> None:
    """What was done to a list by hand is undone while the service goes on, whose offsets are left as they are."""
    here = bare_world
    here.create_topics(PARTITIONS)
    tell(here, *map(Event, CONTACTS), *(Event(contact, "EXIT") for contact in CONTACTS if contact % 4 == 0))
    service = here.start()
    ends = [here.kafka.end(here.changes, number) for number in range(PARTITIONS)]
    until(lambda: [*map(here.committed, range(PARTITIONS))] == ends, service.process, within=60)
    inside = {contact for contact in CONTACTS if contact % 4}
    assert here.members() == inside

    def spoil(portal: Any) -> None:  # noqa: ANN401 - the portal
        vip = portal.accounts["acme"].lists[VIP]
        for contact in range(1, 101):
            vip.leave(contact)
        vip.join(4, 0.0)

    here.hubspot.call(spoil)
    told = json.loads(here.run("rebuild", "--connector", "vip", "--json"))
    assert told["applied"] == {"added": 75, "removed": 1, "unchanged": 1_924, "not_found": 0, "merged": 0}
    assert here.members() == inside
    assert [*map(here.committed, range(PARTITIONS))] == ends
    tell(here, Event(1, "EXIT"), Event(4))
    until(lambda: here.members() == inside - {1} | {4}, service.process)


def test_a_list_is_filled_before_its_connector_is_switched_on(here: World) -> None:
    """A connector that is added to a source with a history starts with who is in it now."""
    here.tell(*(Event(contact, source_id="churn") for contact in range(1, 51)))
    here.tell(Event(7, "EXIT", "churn"))
    service = here.start(connectors=DISABLED)
    until(lambda: here.committed() == 51, service.process)
    assert here.members(CHURN) == frozenset()
    would = json.loads(here.run("rebuild", "--connector", "churn", "--dry-run", "--json", connectors=DISABLED))
    assert would["would_send"] == {"list_id": CHURN, "add": 49, "remove": 1}
    assert here.puts(CHURN) == []
    here.run("rebuild", "--connector", "churn", connectors=DISABLED)
    assert here.members(CHURN) == set(range(1, 51)) - {7}
