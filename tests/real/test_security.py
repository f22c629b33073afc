"""SASL, TLS and passwords, written in the configuration as operators write them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import kafka_broker
from tests.real.authority import Authority
from tests.real.kafka import Event
from tests.real.kafka_broker import Broker
from tests.real.processes import until
from tests.real.proxy import Proxy
from tests.real.registry_server import RegistryServer
from tests.real.service import Service, World, world

pytestmark = pytest.mark.process

CONFIGURATION = """
kafka:
  bootstrap.servers: {bootstrap}
  group.id: {group}
  fetch.wait.max.ms: 100
  security.protocol: SASL_SSL
  sasl.mechanisms: SCRAM-SHA-512
  sasl.username: sync
  sasl.password: {{env: KAFKA_PASSWORD}}
  ssl.ca.location: {ca_file}
schema_registry:
  url: {registry}
  basic.auth.user.info: {{file: registry-user}}
topics:
  changes: [{changes}]
  results: {results}
  dead_letters: {dead_letters}
window:
  max_age: 200ms
hubspot:
  base_url: {hubspot}
  ca: {{file: {ca_file}}}
accounts:
  acme:
    client_id: acme-app
    client_secret: {{file: client-secret}}
    refresh_token: {{file: refresh-token}}
    requests_per_10s: 100
connectors:
  vip:
    account: acme
    list_id: 4711
    source: audience:vip
admin:
  address: 127.0.0.1:0
"""


@pytest.fixture
def here(secure_broker: Broker, registry: RegistryServer, tmp_path: Path) -> Iterator[World]:
    """Yield a world with one event to do."""
    with world(secure_broker, registry, tmp_path) as made:
        made.create_topics()
        made.tell(Event(1))
        made.environ["KAFKA_PASSWORD"] = kafka_broker.PASSWORD
        (tmp_path / "registry-user").write_text(registry.properties["basic.auth.user.info"])
        yield made


@pytest.fixture
def hubspot(here: World, authority: Authority) -> Iterator[str]:
    """Yield the address of a HubSpot behind the private authority."""
    with Proxy(here.hubspot.port, tls=authority.server_context()) as proxy:
        yield proxy.url


def start(here: World, authority: Authority, hubspot: str, *, without: str = "") -> Service:
    """Start the service; leave out the lines of the configuration that begin so."""
    text = CONFIGURATION.format(
        bootstrap=here.broker.sasl_ssl,
        group=here.group,
        ca_file=authority.ca_file,
        registry=here.registry.url,
        changes=here.changes,
        results=here.results,
        dead_letters=here.dead_letters,
        hubspot=hubspot,
    )
    kept = [line for line in text.splitlines() if not without or not line.strip().startswith(without)]
    return here.start_with("\n".join(kept))


def test_everything_behind_tls_and_passwords(here: World, authority: Authority, hubspot: str) -> None:
    """Kafka with SASL_SSL and SCRAM, a registry with basic auth, HubSpot behind a private CA: the work gets done."""
    service = start(here, authority, hubspot)
    until(lambda: here.committed() == 1, service.process)

    assert here.members() == {1}
    said = service.process.log_file.read_text()
    assert kafka_broker.PASSWORD not in said


def test_a_wrong_kafka_password_is_told(here: World, authority: Authority, hubspot: str) -> None:
    """With a wrong password the log says that the authentication failed, and never the password."""
    here.environ["KAFKA_PASSWORD"] = "close-barley"
    service = start(here, authority, hubspot)
    until(lambda: "SASL authentication error" in service.process.log_file.read_text(), service.process)

    assert service.get("/readyz").status_code == 503
    assert "close-barley" not in service.process.log_file.read_text()


def test_a_broker_that_is_not_trusted_is_told(here: World, authority: Authority, hubspot: str) -> None:
    """Without the private authority the broker is refused, and the log names the setting."""
    service = start(here, authority, hubspot, without="ssl.ca.location")
    until(lambda: "ssl.ca.location" in service.process.log_file.read_text(), service.process)

    assert service.get("/readyz").status_code == 503


def test_a_wrong_registry_password_is_told(here: World, authority: Authority, hubspot: str) -> None:
    """With a wrong password for the registry nothing is committed; the log names what to check."""
    (here.folder / "registry-user").write_text("sync:close-barley")
    service = start(here, authority, hubspot)
    said = service.until_said("schema not registered yet")

    assert said["problem"].endswith("check the credentials under schema_registry")
    assert here.committed() == 0
    assert "close-barley" not in service.process.log_file.read_text()


def test_a_hubspot_that_is_not_trusted_is_told(here: World, authority: Authority, hubspot: str) -> None:
    """Without the private authority nothing is sent to HubSpot; the log says that its certificate is not trusted."""
    service = start(here, authority, hubspot, without="ca:")
    until(lambda: "certificate verify failed" in service.process.log_file.read_text(), service.process)

    assert here.puts() == []
    assert here.committed() == 0


def test_commands_trust_the_same_authority(here: World, authority: Authority, hubspot: str) -> None:
    """A command reaches a HubSpot behind the private authority as the service does, and only with it."""
    trusted = {"base_url": hubspot, "ca": {"file": str(authority.ca_file)}}
    assert "VIP" in here.run("lists", hubspot=trusted)
    assert "VIP" not in here.run("lists", code=1, hubspot={"base_url": hubspot})
