"""From the properties under `kafka` to those of each client: one mapping serves a consumer, a producer and an admin."""

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer

Properties = Mapping[str, str | int | float | bool]

_logger = logging.getLogger("librdkafka")
_silent = logging.getLogger("librdkafka.silent")
_silent.disabled = True

# librdkafka's CONFIGURATION.md marks each property C (consumer), P (producer) or * (both), and a client warns of those
# that it has no use for. These are all of one kind, callbacks aside; a test compares them with the library's table.
CONSUMER_ONLY = frozenset(
    {
        "auto.commit.enable",
        "auto.commit.interval.ms",
        "auto.offset.reset",
        "check.crcs",
        "consume.callback.max.messages",
        "coordinator.query.interval.ms",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "fetch.error.backoff.ms",
        "fetch.max.bytes",
        "fetch.message.max.bytes",
        "fetch.min.bytes",
        "fetch.queue.backoff.ms",
        "fetch.wait.max.ms",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.protocol.type",
        "group.remote.assignor",
        "heartbeat.interval.ms",
        "isolation.level",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "max.poll.records",
        "offset.store.method",
        "offset.store.path",
        "offset.store.sync.interval.ms",
        "partition.assignment.strategy",
        "queued.max.messages.kbytes",
        "queued.min.messages",
        "session.timeout.ms",
        "share.acknowledgement.mode",
    }
)
PRODUCER_ONLY = frozenset(
    {
        "acks",
        "batch.num.messages",
        "batch.size",
        "compression.codec",
        "compression.level",
        "compression.type",
        "delivery.report.only.error",
        "delivery.timeout.ms",
        "enable.gapless.guarantee",
        "enable.idempotence",
        "linger.ms",
        "message.send.max.retries",
        "message.timeout.ms",
        "partitioner",
        "produce.offset.report",
        "queue.buffering.backpressure.threshold",
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "queue.buffering.max.ms",
        "queuing.strategy",
        "request.required.acks",
        "request.timeout.ms",
        "retries",
        "sticky.partitioning.linger.ms",
        "transaction.timeout.ms",
        "transactional.id",
    }
)


def consumer_properties(properties: Properties, own: Mapping[str, object]) -> dict[str, Any]:
    """Give what a consumer takes; `own` wins."""
    return _merge(properties, PRODUCER_ONLY, own)


def producer_properties(properties: Properties, own: Mapping[str, object]) -> dict[str, Any]:
    """Give what a producer takes; `own` wins."""
    return _merge(properties, CONSUMER_ONLY, own)


def admin_properties(properties: Properties) -> dict[str, Any]:
    """Give what an admin client takes."""
    return _merge(properties, CONSUMER_ONLY | PRODUCER_ONLY, {})


def refused(properties: Properties) -> str | None:
    """Say what librdkafka refuses about these properties, None if nothing. Contacts nobody."""
    alone = {
        name: value for name, value in properties.items() if name not in {"bootstrap.servers", "metadata.broker.list"}
    }
    silent = {"logger": _silent}  # it would miss the servers, which is the point
    try:
        Consumer({**consumer_properties(alone, {}), **silent}).close()
        Producer({**producer_properties(alone, {}), **silent})
    except KafkaException as error:
        return str(error.args[0].str())
    return None


def _merge(properties: Properties, left_out: frozenset[str], own: Mapping[str, object]) -> dict[str, Any]:
    kept = {name: value for name, value in properties.items() if name not in left_out}
    return {**kept, **own, "logger": _logger}
