"""The real parts: made when the first test asks for them, shared by all, stopped at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.authority import Authority
from tests.real.kafka_broker import Broker, JavaBroker, any_broker
from tests.real.registry_server import RegistryServer
from tests.real.service import World, world


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give an authority whose certificate the broker's secure listener has."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Broker]:
    """Yield the broker."""
    with any_broker(tmp_path_factory.mktemp("broker"), authority) as found:
        yield found


@pytest.fixture(scope="session")
def secure_broker(broker: Broker, tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Broker]:
    """Yield a broker with a SASL_SSL listener: the broker, or another where it has none."""
    if broker.sasl_ssl:
        yield broker
    else:
        with JavaBroker(tmp_path_factory.mktemp("secure-broker"), authority) as java:
            yield java.broker


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """Yield the registry."""
    with RegistryServer(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def bare_world(broker: Broker, registry: RegistryServer, tmp_path: Path) -> Iterator[World]:
    """Yield a world without topics."""
    with world(broker, registry, tmp_path) as made:
        yield made


@pytest.fixture
def here(bare_world: World) -> World:
    """Give a world whose topics have one partition."""
    bare_world.create_topics()
    return bare_world
