"""`python -m consumer.demo.laptop`: the simulated HubSpot and the customer events, for a service that runs beside them.

deploy/compose.yaml runs it between a real Kafka and a real Schema Registry: it makes the topics, tells eighteen months
of events within some minutes, and serves HubSpot until SIGTERM. HubSpot is at a loopback address, since the service
speaks http to no other. Begun again, HubSpot is empty and everything is told once more, which ends in the same lists.
"""

import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import closing

from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # exported, but not by __all__
from rich.console import Console

from consumer import avro
from consumer.demo import SUBJECT, TOPIC, cdnow, messages, portal
from consumer.kafka.registry import Registered, SchemaRegistry, new_client
from consumer.simulator.server import SimulatorServer

TOPICS = {TOPIC: 4, "hubspot.membership.results": 1, "hubspot.membership.dead-letters": 1}
"""Each topic and its partitions."""

_ANSWER_WITHIN = 10.0  # seconds for Kafka
_PAUSE = 1.0  # seconds until Kafka or the registry is asked again


def main() -> None:
    """Serve and tell until SIGTERM or Ctrl-C."""
    parser = ArgumentParser(prog="python -m consumer.demo.laptop", description=__doc__)
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT", help="the broker")
    parser.add_argument("--registry", required=True, metavar="URL", help="the Schema Registry")
    parser.add_argument("--port", type=int, default=8090, help="of the simulated HubSpot, on 127.0.0.1")
    parser.add_argument("--minutes", type=float, default=30.0, help="in which all events are told")
    given = parser.parse_args()
    console, stopping = Console(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with SimulatorServer(portal(), given.port) as hubspot:
        console.print(f"HubSpot, simulated: {hubspot.url}")
        if _until(lambda: _make_topics(given.kafka), stopping):
            _tell(given.kafka, given.registry, given.minutes * 60, stopping, console)
        stopping.wait()


def _until(done: Callable[[], bool], stopping: threading.Event) -> bool:
    """Ask again and again whether it is done; False if it is to stop before that."""
    while not done():
        if stopping.wait(_PAUSE):
            return False
    return True


def _make_topics(kafka: str) -> bool:
    client = AdminClient({"bootstrap.servers": kafka, "log_level": 2})
    new = [NewTopic(name, partitions, 1) for name, partitions in TOPICS.items()]
    problems = [made.exception() for made in client.create_topics(new, request_timeout=_ANSWER_WITHIN).values()]
    return all(problem is None or problem.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS for problem in problems)


def _tell(kafka: str, url: str, seconds: float, stopping: threading.Event, console: Console) -> None:
    """Tell all events at an even pace."""
    found: list[int] = []

    def registered() -> bool:
        registry.register(SUBJECT, avro.CHANGE_SCHEMA.text)
        outcomes = [each.outcome for each in registry.take_registrations(_ANSWER_WITHIN)]
        found.extend(each.schema_id for each in outcomes if isinstance(each, Registered))
        return bool(found)

    with closing(SchemaRegistry(new_client({"url": url}))) as registry:
        if not _until(registered, stopping):
            return
    told = messages(found[0], list(cdnow.events(cdnow.purchases())))
    producer = Producer({"bootstrap.servers": kafka, "log_level": 2})
    began = time.monotonic()
    for number, (key, value) in enumerate(told):
        early = began + seconds * number / len(told) - time.monotonic()
        if early > 0 and stopping.wait(early):
            return
        producer.produce(TOPIC, value, key)
        producer.poll(0)
    producer.flush(_ANSWER_WITHIN)
    console.print(f"events told: {len(told)}")


if __name__ == "__main__":
    main()
