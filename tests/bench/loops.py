"""What the service is compared with: two plain loops over a topic, each in a process of its own.

`python -m tests.bench.loops LOOP BOOTSTRAP REGISTRY TOPIC EVENTS` reads so many events. As one JSON object it
prints the seconds of CPU (all threads of the process) and of wall time from its assignment to the last event, and its
memory at the peak in MB.
"""

import json
import os
import sys
import time
import uuid
from argparse import ArgumentParser
from collections.abc import Callable

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.bench.usage import peak

MOST_MESSAGES = 1000


def bare(consumer: Consumer, _registry: SchemaRegistryClient, _topic: str, events: int) -> None:
    """Fetch, and look at nothing."""
    seen = 0
    while seen < events:
        for message in consumer.consume(MOST_MESSAGES, 1.0):
            if not message.error():
                message.value()
                seen += 1


def usual(consumer: Consumer, registry: SchemaRegistryClient, topic: str, events: int) -> None:
    """Do what people write: poll, decode, and keep what each contact's newest event says."""
    deserializer = AvroDeserializer(registry)
    context = SerializationContext(topic, MessageField.VALUE)
    newest: dict[str, str] = {}
    seen = 0
    while seen < events:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        event = deserializer(message.value(), context)
        newest[event["identifiers"]["2006"]] = event["transition"]
        seen += 1


LOOPS: dict[str, Callable[[Consumer, SchemaRegistryClient, str, int], None]] = {"bare": bare, "usual": usual}


def main() -> None:
    """Run one."""
    parser = ArgumentParser(description=__doc__)
    for name in ("loop", "bootstrap", "registry", "topic", "events"):
        parser.add_argument(name)
    given = parser.parse_args()
    consumer = Consumer(
        {"bootstrap.servers": given.bootstrap, "group.id": f"loop-{uuid.uuid4()}", "auto.offset.reset": "earliest"}
    )
    began: list[float] = []

    def assigned(_consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        began[:] = time.process_time(), time.monotonic()

    consumer.subscribe([given.topic], on_assign=assigned)
    registry = SchemaRegistryClient(json.loads(given.registry))
    LOOPS[given.loop](consumer, registry, given.topic, int(given.events))
    took = {"cpu": time.process_time() - began[0], "wall": time.monotonic() - began[1], "peak": peak(os.getpid())}
    consumer.close()
    sys.stdout.write(json.dumps(took) + "\n")


if __name__ == "__main__":
    main()
