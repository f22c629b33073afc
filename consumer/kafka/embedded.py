"""A Kafka cluster inside this process: librdkafka's own mock cluster, which speaks the protocol on a TCP port.

It has consumer groups, cooperative rebalancing and idempotent producers, but no transactions, TLS or SASL, and it keeps
about 5 MB of each partition. Good for a demo and for tests on one machine, for nothing else.
"""

from types import TracebackType
from typing import Self

from confluent_kafka import Producer


class EmbeddedKafka:
    """Context manager: a cluster with one broker at `bootstrap`. Topics appear with 4 partitions when they are used."""

    def __init__(self) -> None:
        self._producer: Producer | None = None
        self.bootstrap = ""

    def __enter__(self) -> Self:
        # log_level 2: that the cluster is a mock one is not worth a warning to somebody who asked for it.
        self._producer = Producer({"test.mock.num.brokers": 1, "log_level": 2})
        brokers = self._producer.list_topics(timeout=10).brokers.values()
        self.bootstrap = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer = None  # the cluster goes with its producer
