"""The newest events, on a real broker: what is shown before anything is sent is what the service sends."""

import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Producer

from consumer.kafka.reader import TopicReader
from consumer.kafka.recent import RecentEvents
from consumer.kafka.registry import SchemaRegistry
from consumer.sightings import LastRequest
from tests.real.kafka import Event, record
from tests.real.processes import until
from tests.real.service import World

pytestmark = pytest.mark.process

SLOT = "2006"


@pytest.fixture
def recent(here: World) -> Iterator[RecentEvents]:
    """Yield what is tested."""
    properties: dict[str, str] = {"bootstrap.servers": here.broker.bootstrap, "group.id": here.group}
    with (
        closing(here.registry.client()) as client,
        closing(SchemaRegistry(client)) as registry,
        closing(TopicReader(properties, registry)) as reader,
    ):
        yield RecentEvents(reader, [here.changes])


def test_the_request_that_is_shown_is_the_one_that_is_sent(here: World, recent: RecentEvents) -> None:
    """Before the service runs, the request of the last events is known, to the order of the contacts in it."""
    here.tell(*(Event(each) for each in (5, 3, 9, "nobody", 4)), Event(7, source_id="churn"))
    here.tell(Event(3, "EXIT"), Event(8, "EXIT"), Event(9, "EXIT"), Event(9))
    shown = recent.last_request("AUDIENCE", "vip", SLOT, 1_000)
    assert shown.found == LastRequest(adds=(5, 9, 4), removes=(3, 8), events=9, without=0, invalid=1)
    assert (shown.events, here.puts()) == (10, [])

    service = here.start()
    until(lambda: here.committed() == 10, service.process)
    assert [(each.adds, each.removes) for each in here.puts()] == [(shown.found.adds, shown.found.removes)]


def test_what_transactions_leave_in_the_log(here: World, recent: RecentEvents) -> None:
    """What ends a transaction, what was taken back, and what is not certain yet do not count as events."""
    properties = {"bootstrap.servers": here.broker.bootstrap, "transactional.id": uuid.uuid4().hex, "log_level": 2}
    with closing(Producer(properties)) as writer:
        writer.init_transactions(20)
        for contact in range(1, 6):
            writer.begin_transaction()
            writer.produce(here.changes, here.kafka.encode(here.changes, record(Event(contact))), str(contact))
            writer.flush(20)  # or nothing of one that is taken back would reach the log
            if contact in {1, 3}:
                writer.commit_transaction(20)
            elif contact in {2, 4}:
                writer.abort_transaction(20)
        assert here.kafka.end(here.changes) == 9  # four with their ends, and an open one
        request = LastRequest((1, 3), (), events=2, without=0, invalid=0)
        assert recent.last_request("AUDIENCE", "vip", SLOT, 10) == (request, 2, 0)
        writer.abort_transaction(20)
        assert recent.last_request("AUDIENCE", "vip", SLOT, 10) == (request, 2, 0)


def test_what_retention_leaves_of_the_log(here: World, recent: RecentEvents) -> None:
    """Where the oldest events are gone, the others are looked at; when they were written is known."""
    here.tell(Event(1), Event(2, source_id="churn"), Event(3))
    here.kafka.delete_records(here.changes, before=1)
    looked = recent.sources()
    assert {each.source_id: (each.events, each.usable) for each in looked.found.sources} == {
        "vip": (1, {SLOT: 1.0}),
        "churn": (1, {SLOT: 1.0}),
    }
    assert looked.found.oldest is not None
    assert all(each.newest >= looked.found.oldest > 1_700_000_000 for each in looked.found.sources)
