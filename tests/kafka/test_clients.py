"""One mapping of properties for a consumer, a producer and an admin client."""

import ctypes
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from consumer.kafka.clients import (
    CONSUMER_ONLY,
    PRODUCER_ONLY,
    admin_properties,
    consumer_properties,
    producer_properties,
)
from tests.fakes.mock_cluster import library

MIXED: dict[str, str | int | float | bool] = {
    "bootstrap.servers": "kafka:9092",
    "sasl.password": "hush",
    "group.id": "group",
    "session.timeout.ms": 45000,
    "linger.ms": 5,
    "acks": "1",
}

# Some value for each property in common use, in the file as YAML gives it.
COMMON: dict[str, str | int | float | bool] = {
    "bootstrap.servers": "127.0.0.1:9",
    "client.id": "test",
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 1000,
    "group.id": "group",
    "group.instance.id": "one",
    "auto.offset.reset": "earliest",
    "auto.commit.interval.ms": 1000,
    "session.timeout.ms": 45000,
    "heartbeat.interval.ms": 3000,
    "max.poll.interval.ms": 300000,
    "fetch.min.bytes": 1,
    "fetch.wait.max.ms": 100,
    "max.partition.fetch.bytes": 1048576,
    "queued.max.messages.kbytes": 65536,
    "isolation.level": "read_committed",
    "check.crcs": True,
    "linger.ms": 5,
    "batch.size": 100000,
    "compression.type": "lz4",
    "delivery.timeout.ms": 120000,
    "request.timeout.ms": 30000,
    "retries": 10,
    "partitioner": "murmur2_random",
    "queue.buffering.max.messages": 1000,
}


def _of_library(file: Path) -> dict[str, set[str]]:
    """Read librdkafka's own table of properties: the names by their mark (C, P or *)."""
    c = ctypes.CDLL(None)
    c.fopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(c.fopen(bytes(file), b"w"))
    library().rd_kafka_conf_properties_show(stream)
    c.fclose(stream)
    marked: dict[str, set[str]] = {"C": set(), "P": set(), "*": set()}
    for line in file.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 1 and cells[1] in marked:
            marked[cells[1]].add(cells[0])
    return marked


@pytest.mark.parametrize(("mark", "ours"), [("C", CONSUMER_ONLY), ("P", PRODUCER_ONLY)])
def test_the_tables_are_those_of_the_library(tmp_path: Path, mark: str, ours: frozenset[str]) -> None:
    """Every property that librdkafka has for one kind of client only is known here, but for callbacks."""
    marked = _of_library(tmp_path / "properties")
    callbacks = {name for name in marked[mark] if name.endswith(("_cb", "_cmp"))}

    assert len(marked["*"]) > 50
    assert ours == marked[mark] - callbacks - marked["*"]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (consumer_properties(MIXED, {}), {"group.id": "group", "session.timeout.ms": 45000}),
        (producer_properties(MIXED, {}), {"linger.ms": 5, "acks": "1"}),
        (admin_properties(MIXED), {}),
    ],
    ids=["consumer", "producer", "admin"],
)
def test_each_client_gets_what_it_has_a_use_for(properties: dict[str, Any], expected: dict[str, Any]) -> None:
    """What concerns all clients reaches all, unchanged; what concerns one kind reaches that kind."""
    logger = properties.pop("logger")

    assert properties == {"bootstrap.servers": "kafka:9092", "sasl.password": "hush", **expected}
    assert logger is logging.getLogger("librdkafka")


def test_what_the_service_decides_wins() -> None:
    """No setting of the file can take the place of the service's own."""
    assert producer_properties(MIXED, {"acks": "all"})["acks"] == "all"
    assert consumer_properties(MIXED, {"group.id": "other"})["group.id"] == "other"


def _warnings(caplog: pytest.LogCaptureFixture, make: Callable[[], Any]) -> list[str]:
    client = make()
    client.poll(0)
    if not isinstance(client, AdminClient):
        client.close()
    return [each.getMessage() for each in caplog.records if "CONFWARN" in each.getMessage()]


@pytest.mark.process
@pytest.mark.parametrize(
    "make",
    [
        lambda: Consumer(consumer_properties(COMMON, {"enable.auto.commit": False})),
        lambda: Producer(producer_properties(COMMON, {"enable.idempotence": True, "acks": "all"})),
        lambda: AdminClient(admin_properties(COMMON)),
    ],
    ids=["consumer", "producer", "admin"],
)
def test_no_client_complains_of_its_properties(caplog: pytest.LogCaptureFixture, make: Callable[[], Any]) -> None:
    """No librdkafka client warns of a property that it has no use for."""
    assert _warnings(caplog, make) == []


@pytest.mark.process
def test_a_complaint_would_be_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What librdkafka has to say reaches our log: it would complain of another client's property."""
    own = {"auto.offset.reset": "earliest"}
    (warning,) = _warnings(caplog, lambda: Producer(producer_properties({"bootstrap.servers": "127.0.0.1:9"}, own)))

    assert "auto.offset.reset is a consumer property" in warning


@pytest.mark.process
def test_an_unknown_property_is_refused_by_name() -> None:
    """A misspelt property is no client's, so it reaches all of them and none starts."""
    with pytest.raises(KafkaException, match=r"linger\.sm"):
        Producer(producer_properties({"linger.sm": 5}, {}))
