"""From the properties under `kafka` to those of each client: one mapping serves a consumer, a producer and an admin."""

import logging
from collections.abc import Mapping
from typing import Any

Properties = Mapping[str, str | int | float | bool]

_logger = logging.getLogger("librdkafka")

# librdkafka's CONFIGURATION.md marks each property C (consumer), P (producer) or * (both) and warns of those that a
# client has no use for. Settings of one kind in common use; of the others a warning is in the log, no more.
CONSUMER_ONLY = frozenset(
    {
        "auto.offset.reset",
        "check.crcs",
        "fetch.error.backoff.ms",
        "fetch.max.bytes",
        "fetch.message.max.bytes",
        "fetch.min.bytes",
        "fetch.queue.backoff.ms",
        "fetch.wait.max.ms",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.remote.assignor",
        "heartbeat.interval.ms",
        "isolation.level",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "queued.max.messages.kbytes",
        "queued.min.messages",
        "session.timeout.ms",
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
        "delivery.timeout.ms",
        "enable.gapless.guarantee",
        "enable.idempotence",
        "linger.ms",
        "message.send.max.retries",
        "message.timeout.ms",
        "partitioner",
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "queue.buffering.max.ms",
        "request.required.acks",
        "request.timeout.ms",
        "retries",
        "sticky.partitioning.linger.ms",
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


def _merge(properties: Properties, left_out: frozenset[str], own: Mapping[str, object]) -> dict[str, Any]:
    kept = {name: value for name, value in properties.items() if name not in left_out}
    return {**kept, **own, "logger": _logger}
