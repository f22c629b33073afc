"""librdkafka's mock cluster through its C interface, which scripts faults that no real broker gives on demand.

The functions are declared in librdkafka's rdkafka_mock.h and exported by the library in confluent-kafka's wheel.
"""

import ctypes
from collections.abc import Mapping
from importlib import metadata
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError

# API keys of the Kafka protocol.
PRODUCE = 0
LIST_OFFSETS = 2
OFFSET_COMMIT = 8
OFFSET_FETCH = 9
HEARTBEAT = 12
INIT_PRODUCER_ID = 22

_PRODUCER = 0
_LOG_NOTHING = b"2"  # syslog's "critical": that its clients hang up is not worth a line


def library() -> ctypes.CDLL:
    """Give the library that confluent-kafka itself uses."""
    files = metadata.files("confluent-kafka") or []
    return ctypes.CDLL(str(next(each.locate() for each in files if each.name.startswith("librdkafka"))))


class MockCluster:
    """Context manager: one broker at `bootstrap`, with topics of so many partitions.

    A group's first member gets its partitions at once, unlike with EmbeddedKafka, where it takes 3 s.
    """

    def __init__(self, topics: Mapping[str, int]) -> None:
        self._topics = topics
        self.bootstrap = ""

    def __enter__(self) -> Self:
        self._library = library()
        for name in ("conf_new", "new", "mock_cluster_new"):
            getattr(self._library, f"rd_kafka_{name}").restype = ctypes.c_void_p
        self._library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        why = ctypes.create_string_buffer(512)
        properties = ctypes.c_void_p(self._library.rd_kafka_conf_new())
        self._library.rd_kafka_conf_set(properties, b"log_level", _LOG_NOTHING, why, len(why))
        self._client = ctypes.c_void_p(self._library.rd_kafka_new(_PRODUCER, properties, why, len(why)))
        self._cluster = ctypes.c_void_p(self._library.rd_kafka_mock_cluster_new(self._client, 1))
        self.bootstrap = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        for topic, partitions in self._topics.items():
            self._check(self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    def fail(self, api: int, *codes: int) -> None:
        """Answer the next requests of one kind with these error codes, one each."""
        errors = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(api), ctypes.c_size_t(len(codes)), errors
        )

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Let retention pass: the partition begins at `before` from now on."""
        self._check(
            self._library.rd_kafka_mock_partition_delete_records(
                self._cluster, topic.encode(), partition, ctypes.c_int64(before)
            )
        )

    @staticmethod
    def _check(code: int) -> None:
        if code:
            raise OSError(f"the mock cluster refused: {KafkaError(code).str()}")
