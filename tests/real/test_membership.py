"""The service as a member of its group: partitions come and go, and nothing is lost or sent by the wrong one."""

import signal
from collections.abc import Iterable
from datetime import datetime
from time import monotonic
from typing import Any

import pytest

from consumer.simulator.faults import Fault
from tests.real.kafka import Event
from tests.real.processes import until
from tests.real.proxy import Proxy
from tests.real.service import Service, World

pytestmark = pytest.mark.process


@pytest.fixture
def here(bare_world: World) -> World:
    """Give a world whose changes lie in two partitions."""
    bare_world.create_topics(partitions=2)
    return bare_world


def member(here: World, name: str, **sections: dict[str, Any]) -> Service:
    """Start a member whose connector has a name of its own, so that results tell who sent what."""
    settings = here.settings(**sections)
    settings["connectors"] = {name: settings["connectors"]["vip"]}
    return here.start_exactly(settings)


def tell_both(here: World, first: Iterable[int], second: Iterable[int], transition: str = "ENTER") -> None:
    """Tell changes of these contacts, in partition 0 and in partition 1."""
    for partition, contacts in enumerate((first, second)):
        here.tell(*[Event(contact, transition) for contact in contacts], partition=partition)


def revoked_at(service: Service) -> dict[int, float]:
    """Give when the revoke callback of each partition returned: seconds since 1970."""
    return {
        int(name.rpartition("/")[2]): datetime.fromisoformat(each["timestamp"]).timestamp()
        for each in service.said("partitions revoked")
        for name in each["partitions"]
    }


def sent_by(here: World, connector: str) -> list[tuple[int, float]]:
    """Give partition and sending time (seconds since 1970) of each contact whose result a member wrote."""
    return [
        (contact["partition"], result["sent_at"].timestamp())
        for result in here.kafka.read(here.results)
        if result["connector"] == connector
        for contact in result["contacts"]
    ]


def shared(here: World) -> bool:
    """Tell whether two members have, or are about to have, their share."""
    members = here.kafka.members(here.group)
    return len(members) == 2 and sum(map(len, members.values())) < 2


def test_a_partition_is_handed_over_with_a_request_on_the_wire(here: World) -> None:
    """The old owner waits for the answer and commits it before it lets go; the new one does not send it again."""
    with Proxy(here.hubspot.port) as proxy:
        first = member(here, "first", hubspot={"base_url": proxy.url})
        first.until_said("partitions assigned")
        proxy.hold()
        tell_both(here, range(1, 11), range(11, 21))
        until(here.puts, first.process)
        second = member(here, "second")
        until(lambda: shared(here), first.process, second.process)
        assert first.said("partitions revoked") == []

        proxy.let_go()
        until(lambda: here.committed(0) == here.committed(1) == 10, first.process, second.process)
        second.until_said("partitions assigned")
        tell_both(here, range(1, 6), range(11, 16), transition="EXIT")
        until(lambda: here.committed(0) == here.committed(1) == 15, first.process, second.process)

    assert here.members() == {*range(6, 11), *range(16, 21)}
    ((moved, at),) = revoked_at(first).items()
    assert [each["were_on_the_wire"] for each in first.said("partitions revoked")] == [1]
    assert all(sent <= at for partition, sent in sent_by(here, "first") if partition == moved)
    assert {partition for partition, _ in sent_by(here, "second")} == {moved}
    assert len(sent_by(here, "second")) == 5


def test_a_hand_over_ends_at_its_deadline(here: World) -> None:
    """When the answer does not come in time the partition moves on uncommitted, and its new owner sends its changes."""
    with Proxy(here.hubspot.port) as proxy:
        first = member(here, "first", hubspot={"base_url": proxy.url}, shutdown={"timeout": "1s"})
        first.until_said("partitions assigned")
        proxy.hold()
        tell_both(here, range(1, 11), range(11, 21))
        until(here.puts, first.process)
        second = member(here, "second")
        first.until_said("partitions revoked")
        ((moved, at),) = revoked_at(first).items()
        until(lambda: here.committed(moved) == 10, first.process, second.process)
        assert here.committed(1 - moved) == 0

        proxy.let_go()
        until(lambda: here.committed(1 - moved) == 10, first.process, second.process)

    assert here.members() == set(range(1, 21))
    assert all(sent <= at for partition, sent in sent_by(here, "first") if partition == moved)
    assert {partition for partition, _ in sent_by(here, "second")} == {moved}


def test_a_member_that_dies_is_replaced(here: World) -> None:
    """What a killed member had read but not finished is read again by another; nothing is lost."""
    with Proxy(here.hubspot.port) as proxy:
        proxy.hold()
        tell_both(here, range(1, 11), range(11, 21))
        first = member(here, "first", hubspot={"base_url": proxy.url})
        until(here.puts, first.process)
        tell_both(here, range(21, 31), range(31, 41))
        first.process.signal(signal.SIGKILL)
        assert first.process.wait(10) == -signal.SIGKILL
        second = member(here, "second")
        until(lambda: here.committed(0) == here.committed(1) == 20, second.process)

    assert here.members() == set(range(1, 41))


def test_a_member_that_wakes_up_sends_nothing_that_is_not_its_own(here: World) -> None:
    """A member frozen for longer than its session, while another took over, sends none of what it held."""
    first = member(here, "first", window={"max_age": "3s"})
    first.until_said("partitions assigned")
    tell_both(here, range(1, 11), range(11, 21))
    until(lambda: first.total("pending_contacts") == 20, first.process)
    first.process.signal(signal.SIGSTOP)
    second = member(here, "second")
    until(lambda: here.committed(0) == here.committed(1) == 10, second.process)
    tell_both(here, range(1, 6), range(11, 16), transition="EXIT")
    until(lambda: here.committed(0) == here.committed(1) == 15, second.process)

    first.process.signal(signal.SIGCONT)
    first.until_said("partitions lost")
    until(lambda: len(first.said("partitions assigned")) > 1, first.process, second.process)
    tell_both(here, range(41, 46), range(46, 51))
    until(lambda: here.committed(0) == here.committed(1) == 20, first.process, second.process)

    assert here.members() == {*range(6, 11), *range(16, 21), *range(41, 51)}
    assert len(sent_by(here, "first")) == 5


def test_a_paused_member_stays_in_its_group(here: World) -> None:
    """While HubSpot takes nothing and memory is full, the member stays for longer than max.poll.interval.ms."""
    here.inject(Fault("unavailable", method="PUT"))
    first = member(here, "first", kafka={"max.poll.interval.ms": 6000}, limits={"max_pending_contacts": 10})
    first.until_said("partitions assigned")
    tell_both(here, range(1, 101), range(101, 201))
    first.until_said("reading pauses")
    (before,) = here.kafka.members(here.group)
    over = monotonic() + 8  # seconds: the interval, and two more
    until(lambda: monotonic() > over, first.process)
    assert [*here.kafka.members(here.group)] == [before]
    assert first.total("consumer_paused") == 1

    here.heal()
    until(lambda: here.committed(0) == here.committed(1) == 100, first.process)
    assert here.members() == set(range(1, 201))
    assert [first.total("rebalances_total", kind=kind) for kind in ("assigned", "revoked", "lost")] == [1, 0, 0]
