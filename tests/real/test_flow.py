"""The service as a whole, between real parts: events in, memberships, results and dead letters out."""

import signal

import pytest

from consumer.simulator.faults import Fault
from tests.real.kafka import Event
from tests.real.processes import until
from tests.real.proxy import Proxy
from tests.real.service import CHURN, VIP, World

pytestmark = pytest.mark.process


def test_consume_collapse_call_commit(here: World) -> None:
    """What was written collapses to one request, and its offset is committed only when HubSpot has answered it."""
    here.tell(*[Event(contact) for contact in range(1, 101)], *[Event(contact, "EXIT") for contact in range(1, 31)])
    with Proxy(here.hubspot.port) as proxy:
        proxy.hold()
        service = here.start(hubspot={"base_url": proxy.url})
        until(here.puts, service.process)
        assert (here.committed(), here.kafka.read(here.results)) == (0, [])

        proxy.let_go()
        until(lambda: here.committed() == 130, service.process)

    (put,) = here.puts()
    assert (set(put.adds), set(put.removes)) == (set(range(31, 101)), set(range(1, 31)))
    assert here.members(VIP) == set(range(31, 101))
    assert service.total("events_collapsed_total", connector="vip") == 30
    contacts = [contact for result in here.kafka.read(here.results) for contact in result["contacts"]]
    assert {(each["record_id"], each["outcome"], each["offset"]) for each in contacts} == {
        *((contact, "ADDED", contact - 1) for contact in range(31, 101)),
        *((contact, "UNCHANGED", contact + 99) for contact in range(1, 31)),
    }


def test_a_restart_goes_on_where_it_was_committed(here: World) -> None:
    """A stop finishes what waits, exits with 0 and commits all; the next start reads only what came since."""
    here.tell(*[Event(contact) for contact in range(1, 11)])
    first = here.start(window={"max_age": "1h"})
    until(lambda: first.total("pending_contacts") == 10, first.process)
    first.process.signal(signal.SIGTERM)
    assert first.process.wait(20) == 0
    assert here.committed() == 10
    assert here.members(VIP) == set(range(1, 11))

    here.tell(Event(11), Event(12))
    second = here.start()
    until(lambda: here.committed() == 12, second.process)

    assert [set(each.adds) for each in here.puts()] == [set(range(1, 11)), {11, 12}]
    assert second.total("events_consumed_total") == 2


def test_a_second_signal_stops_at_once(here: World) -> None:
    """Told twice to stop, the service leaves with a request on the wire; nothing of it is committed or lost."""
    here.tell(Event(1))
    with Proxy(here.hubspot.port) as proxy:
        proxy.hold()
        first = here.start(hubspot={"base_url": proxy.url, "timeout": "5s"})
        until(here.puts, first.process)
        first.process.signal(signal.SIGTERM)
        first.until_said("stopping")
        first.process.signal(signal.SIGTERM)
        assert first.process.wait(20) == 0
    assert here.committed() == 0

    second = here.start()
    until(lambda: here.committed() == 1, second.process)
    assert here.members(VIP) == {1}


def test_nothing_is_committed_while_a_list_is_failing(here: World) -> None:
    """While HubSpot does not take a list's changes, the other list goes on, and no offset passes the first of them."""
    here.inject(Fault("unavailable", list_id=VIP, method="PUT"))
    here.tell(Event(1, source_id="churn"), Event(2), *[Event(contact, source_id="churn") for contact in range(3, 50)])
    service = here.start()
    until(lambda: len(here.members(CHURN)) == 48 and len(here.puts()) > 2, service.process)
    until(lambda: here.committed() == 1, service.process)
    assert len(here.kafka.read(here.results)) == 1

    here.heal()
    until(lambda: here.committed() == 49, service.process)
    assert here.members(VIP) == {2}


@pytest.mark.parametrize(
    ("lacking", "event"), [("results", Event(1)), ("dead_letters", Event("no number"))], ids=["result", "dead letter"]
)
def test_what_cannot_be_recorded_is_not_committed(bare_world: World, lacking: str, event: Event) -> None:
    """While a result or a dead letter cannot be written, nothing is committed past its change; then all goes on."""
    here = bare_world
    topics = {"changes": here.changes, "results": here.results, "dead_letters": here.dead_letters}
    for name in topics.keys() - {lacking}:
        here.kafka.create(topics[name])
    here.tell(event)
    service = here.start(kafka={"message.timeout.ms": 1000})
    service.until_said("record not written, sent again")
    assert service.total("events_consumed_total") == 1
    assert here.committed() == 0

    here.kafka.create(topics[lacking])
    until(lambda: here.committed() == 1, service.process)

    (record,) = here.kafka.read(topics[lacking])
    assert [each["offset"] for each in record["contacts"]] == [0]


def test_a_result_that_never_fits_ends_the_service(here: World) -> None:
    """A result too large for the broker even alone stops the service with 1, and what it is about is not committed."""
    here.kafka.configure(here.results, "max.message.bytes", 100)
    here.tell(Event(1), Event(2))
    service = here.start()

    assert service.process.wait(30) == 1
    assert "raise its message.max.bytes" in service.process.tail()
    assert here.committed() == 0


def test_a_result_is_split_until_it_fits(here: World) -> None:
    """A result over the broker's limit is told in several messages."""
    here.kafka.configure(here.results, "max.message.bytes", 2000)
    here.tell(*[Event(contact) for contact in range(1, 301)])
    service = here.start()
    until(lambda: here.committed() == 300, service.process)

    results = here.kafka.read(here.results)
    assert len(results) > 2
    assert {each["record_id"] for result in results for each in result["contacts"]} == set(range(1, 301))
    assert {each["request_id"] for each in results} == {results[0]["request_id"]}
