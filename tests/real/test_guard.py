"""A mass exit between real parts: it waits for a person, who types the command beside the running service."""

import json
import signal

import pytest

from tests.real.kafka import Event
from tests.real.processes import until
from tests.real.service import CHURN, VIP, Service, World

pytestmark = pytest.mark.process

GUARD = {"max_removed_share": "50%", "above": 10}


def held(service: Service) -> bool:
    """Tell whether the service asks for a person because of the guard."""
    return service.total("needs_attention", connector="vip", reason="HELD") == 1


def test_a_mass_exit_waits_for_the_command(here: World) -> None:
    """Most of a list leaves: nobody is removed, before or after a restart, until the command says so; others go on."""
    here.hubspot.call(
        lambda portal: portal.accounts["acme"].lists[VIP].joined.update(dict.fromkeys(range(1, 101), 0.0))
    )
    here.tell(*[Event(contact, "EXIT") for contact in range(1, 91)], Event(7, source_id="churn"))
    first = here.start(guard=GUARD)
    until(lambda: held(first), first.process)
    until(lambda: here.members(CHURN) == {7}, first.process)
    until(lambda: "100 contacts would be removed" in first.get("/").text, first.process)
    first.process.signal(signal.SIGTERM)
    assert first.process.wait(20) == 0
    assert here.committed() == 0

    second = here.start(guard=GUARD)
    until(lambda: held(second), second.process)
    assert len(here.members()) == 100
    assert here.puts() == []

    address = second.until_said("started")["admin"].removeprefix("http://")
    told = json.loads(here.run("release", "vip", "--address", address, "--json"))
    assert told == {"connector": "vip", "contacts": 90}
    until(lambda: here.committed() == 91, second.process)
    assert here.members() == set(range(91, 101))
    assert not held(second)
    assert second.said("no longer held")[0]["why"] == "released"
    here.run("release", "vip", "--address", address, code=1)
