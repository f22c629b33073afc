"""The service as a process of its own: what `run` does from its first line of log to its exit code."""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema

from consumer import avro
from consumer.kafka.embedded import EmbeddedKafka
from consumer.kafka.registry import new_client
from consumer.simulator.accounts import Account, ContactList
from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from consumer.simulator.server import SimulatorServer
from tests.fakes.registry_server import registry_server

pytestmark = pytest.mark.process

CLIENT_SECRET = "very-secret-client-secret"
REFRESH_TOKEN = "very-secret-refresh-token"
REGISTRY_PASSWORD = "very-secret-registry-password"
TOPIC = "journey.membership"
TRIES = 600  # of a tenth of a second each


class Service:
    """A running process with its log."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._folder = folder

    def written(self) -> str:
        """Give all that it wrote so far."""
        return (self._folder / "stdout").read_text() + (self._folder / "stderr").read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Give the log, line by line."""
        whole = (self._folder / "stderr").read_text()
        return [json.loads(line) for line in whole[: whole.rfind("\n") + 1].splitlines()]

    def until(self, done: Callable[[], bool]) -> None:
        """Wait until something is so."""
        for _ in range(TRIES):
            if done():
                return
            try:
                code = self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"the service ended with {code}:\n{self.written()}")
        pytest.fail(f"it did not come to be:\n{self.written()}")

    def admin(self) -> str:
        """Wait until it has started and give the address of its metrics."""
        self.until(lambda: any(line["event"] == "started" for line in self.lines()))
        return str(next(line["admin"] for line in self.lines() if line["event"] == "started"))


@contextmanager
def running(folder: Path, configuration: str) -> Iterator[Service]:
    """Run the service on a configuration; it is stopped by its pid whatever happens."""
    (folder / "client-secret").write_text(CLIENT_SECRET)
    (folder / "refresh-token").write_text(REFRESH_TOKEN)
    (folder / "config.yaml").write_text(configuration)
    command = [sys.executable, "-m", "consumer", "run", "--config", str(folder / "config.yaml")]
    environ = {**os.environ, "REGISTRY_LOGIN": f"somebody:{REGISTRY_PASSWORD}"}
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*command, "--log-level", "debug", "--log-format", "json"], stdout=out, stderr=err, env=environ
        )
        try:
            yield Service(folder, process)
        finally:
            process.kill()
            process.wait()


def _configuration(kafka: str, registry: str, hubspot: str) -> str:
    return f"""
kafka: {{bootstrap.servers: "{kafka}", group.id: test, debug: "consumer,cgrp"}}
schema_registry: {{url: "{registry}", basic.auth.user.info: {{env: REGISTRY_LOGIN}}}}
window: {{max_age: 500ms}}
hubspot: {{base_url: "{hubspot}", settle: 1s}}
accounts:
  acme:
    client_id: client
    client_secret: {{file: client-secret}}
    refresh_token: {{file: refresh-token}}
    requests_per_10s: 100
connectors:
  vip: {{account: acme, list_id: 4711, source: "audience:vip"}}
admin: {{address: "127.0.0.1:0"}}
"""


def _event(schema_id: int, contact: int) -> bytes:
    return avro.frame(
        schema_id,
        avro.encode(
            avro.CHANGE_SCHEMA,
            {
                "event_id": str(uuid.UUID(int=contact)),
                "source_type": "AUDIENCE",
                "source_id": "vip",
                "profile_id": str(contact),
                "transition": "ENTER",
                "occurred_at": 1,
                "identifiers": {"2006": str(contact)},
            },
        ),
    )


def test_a_service_does_its_job_and_stops_when_told(tmp_path: Path) -> None:
    """Events come in, the list is right, SIGTERM ends it with 0; no secret is in anything it wrote, at debug level."""
    account = Account(name="acme", client_id="client", client_secret=CLIENT_SECRET, refresh_token=REFRESH_TOKEN)
    held = account.add_list(ContactList(4711, "VIP"))
    portal = Portal([account])
    portal.inject(Fault("unavailable", times=1, method="PUT"))
    portal.inject(Fault("refresh_unavailable", times=1))
    with SimulatorServer(portal) as hubspot, EmbeddedKafka() as kafka, registry_server() as registry:
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 2})
        producer.list_topics(TOPIC, timeout=10)
        client = new_client({"url": registry})
        schema_id = client.register_schema(f"{TOPIC}-value", Schema(avro.CHANGE_SCHEMA.text, "AVRO"))
        client.close()
        with running(tmp_path, _configuration(kafka.bootstrap, registry, hubspot.url)) as service:
            admin = service.admin()
            for contact in range(1, 101):
                producer.produce(TOPIC, _event(schema_id, contact), str(contact))
            producer.produce(TOPIC, b"poison", "poison")
            assert producer.flush(10) == 0
            service.until(lambda: len(hubspot.call(lambda _: held.members)) == 100)
            service.until(lambda: httpx.get(f"{admin}/readyz").status_code == 200)
            service.until(lambda: 'dead_letters_total{reason="UNDECODABLE"} 1.0' in httpx.get(f"{admin}/metrics").text)
            assert httpx.get(f"{admin}/livez").status_code == 200
            assert "VIP" in httpx.get(admin).text
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(60) == 0
            access_tokens = set(re.findall(r"Bearer ([^\s\"']+)", service.written()))
            for secret in {CLIENT_SECRET, REFRESH_TOKEN, REGISTRY_PASSWORD, *access_tokens} - {"***"}:
                assert secret not in service.written()
            applied = next(line for line in service.lines() if line["event"] == "applied")
            assert {"connector", "list", "request_id", "correlation_id"} <= applied.keys()
