"""What a service finds when it starts: no broker, no topic, an offset that is not there any more."""

import signal

import pytest

from tests.real.kafka import Event
from tests.real.processes import free_port, until
from tests.real.proxy import Proxy
from tests.real.service import World

pytestmark = pytest.mark.process


def test_a_broker_that_is_away_is_waited_for(here: World) -> None:
    """Without a broker the service lives, is not ready and says why; when the broker comes it does its work."""
    here.tell(Event(1))
    port = free_port()
    service = here.start(kafka={"bootstrap.servers": f"127.0.0.1:{port}", "reconnect.backoff.max.ms": 500})
    said = service.until_said("Kafka reports an error")
    assert "Connection refused" in said["message"]
    assert [service.get(path).status_code for path in ("/livez", "/readyz")] == [200, 503]

    with Proxy(here.broker.port, port):
        until(lambda: here.committed() == 1, service.process)
        assert service.get("/readyz").status_code == 200


def test_a_topic_that_does_not_exist_is_waited_for(bare_world: World) -> None:
    """The log names a missing topic; when it is made, the service reads it without a restart."""
    here = bare_world
    here.kafka.create(here.results)
    here.kafka.create(here.dead_letters)
    service = here.start(kafka={"topic.metadata.refresh.interval.ms": 1000})
    said = service.until_said("Kafka reports an error")
    assert said["error"] == "UNKNOWN_TOPIC_OR_PART"
    assert here.changes in said["message"]

    here.kafka.create(here.changes)
    here.tell(Event(1))
    until(lambda: here.committed() == 1, service.process)


def test_an_offset_that_is_out_of_range_is_left_to_a_person(here: World) -> None:
    """A committed offset that retention has passed is never jumped: a person decides where to go on."""
    here.tell(*[Event(contact) for contact in range(1, 11)])
    here.kafka.commit(here.group, here.changes, 3)
    here.kafka.delete_records(here.changes, before=5)
    first = here.start()
    said = first.until_said("offset out of range")
    assert f"offset 3 of {here.changes}/0 is not in the topic" in said["message"]
    until(lambda: "offset 3 of" in first.get("/").text, first.process)
    here.tell(Event(11))
    first.process.signal(signal.SIGTERM)
    assert first.process.wait(20) == 0
    assert (here.committed(), here.puts()) == (3, [])

    here.kafka.commit(here.group, here.changes, 5)
    second = here.start()
    until(lambda: here.committed() == 11, second.process)
    assert here.members() == set(range(6, 12))
