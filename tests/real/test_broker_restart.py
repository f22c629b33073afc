"""A broker that is stopped and started again in the middle of the work."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.authority import Authority
from tests.real.kafka import Event
from tests.real.kafka_broker import JavaBroker
from tests.real.processes import until
from tests.real.registry_server import RegistryServer
from tests.real.service import World, world

pytestmark = pytest.mark.process


@pytest.fixture
def java(tmp_path: Path, authority: Authority) -> Iterator[JavaBroker]:
    """Yield a broker that no other test depends on."""
    (tmp_path / "broker").mkdir()
    with JavaBroker(tmp_path / "broker", authority) as broker:
        yield broker


@pytest.fixture
def here(java: JavaBroker, registry: RegistryServer, tmp_path: Path) -> Iterator[World]:
    """Yield a world on that broker."""
    with world(java.broker, registry, tmp_path) as made:
        made.create_topics()
        yield made


def test_a_broker_that_restarts_loses_nothing(here: World, java: JavaBroker) -> None:
    """The service outlives its broker: what was on the way is applied and recorded, and it goes on where it was."""
    service = here.start(window={"max_age": "2s"}, kafka={"reconnect.backoff.max.ms": 500})
    here.tell(Event(1))
    until(lambda: here.committed() == 1, service.process)
    here.tell(*[Event(contact) for contact in range(2, 51)])
    until(lambda: service.total("pending_contacts") == 49, service.process)
    with java.away():
        service.until_said("Kafka reports an error")
        until(lambda: here.members() == set(range(1, 51)), service.process)
        assert service.get("/livez").status_code == 200

    until(lambda: here.committed() == 50, service.process, within=60)
    here.tell(Event(1, "EXIT"))
    until(lambda: here.committed() == 51, service.process)
    assert here.members() == set(range(2, 51))
    told = [each["record_id"] for result in here.kafka.read(here.results) for each in result["contacts"]]
    assert sorted(set(told)) == list(range(1, 51))
    assert service.process.ended is None
