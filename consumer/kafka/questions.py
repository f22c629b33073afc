"""What can be asked of Kafka and of the registry before the service runs. Nothing in here changes anything there."""

import time
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]  # exported, but not by __all__
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from consumer.errors import KafkaFailed
from consumer.kafka.clients import Properties, admin_properties
from consumer.kafka.registry import REFERENCE_NOT_FOUND, describe, has_code

ANSWER_WITHIN = 8.0  # seconds for the first question, if a broker takes a connection at all
CONFIGS_WITHIN = 4.0  # seconds for the others
ROUND = 1.0  # seconds until it is looked again whether any broker does

_ALL_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 - the client's public names


class BrokerErrors:
    """What a client says of its connections: its `error_cb`. `last` is of one broker, `all_down` of them all."""

    def __init__(self) -> None:
        self.last = ""
        self.all_down = False

    def __call__(self, error: KafkaError) -> None:
        """Take one of them."""
        if error.code() == _ALL_DOWN:
            self.all_down = True
        else:
            self.last = error.str()

    def explain(self, error: KafkaError) -> str:
        """Say why a call failed."""
        return "; ".join(dict.fromkeys(filter(None, (error.str(), self.last))))


def metadata(
    client: AdminClient | Consumer, errors: BrokerErrors, patience: float, topic: str | None = None
) -> Mapping[str, Any]:
    """Give the metadata of one topic, or all, by name.

    Raises KafkaException after `patience` seconds, or as soon as no broker takes a connection.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            found: Mapping[str, Any] = client.list_topics(topic=topic, timeout=min(ROUND, patience)).topics
        except KafkaException:
            client.poll(0)  # calls `errors`
            if errors.all_down or time.monotonic() >= deadline:
                raise
        else:
            return found


class TopicFacts(NamedTuple):
    """What Kafka says of a topic. `cleanup` is its cleanup.policy; None where that could not be asked (`problem`)."""

    exists: bool
    cleanup: str | None = None
    problem: str | None = None


class Standing(Enum):
    """How one of our schemas stands with the registry."""

    REGISTERED = auto()
    FITS = auto()  # could be registered; where nothing is yet, registries differ in what they answer
    CONFLICTS = auto()  # is not
    UNREACHABLE = auto()  # there was no usable answer


def ask_topics(properties: Properties, names: Collection[str]) -> dict[str, TopicFacts]:
    """Ask for topics by name. Raises KafkaFailed when no broker answers."""
    errors = BrokerErrors()
    try:
        admin = AdminClient(admin_properties(properties) | {"error_cb": errors})
        present = metadata(admin, errors, ANSWER_WITHIN)  # of all: to ask for one might create it
    except KafkaException as error:
        why = errors.explain(error.args[0])
        raise KafkaFailed(f"Kafka at {properties['bootstrap.servers']} cannot be asked: {why}") from error
    facts = {name: TopicFacts(name in present) for name in names}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names if name in present]
    if resources:
        asked = admin.describe_configs(resources, request_timeout=CONFIGS_WITHIN)
        for resource, answer in asked.items():
            try:
                facts[resource.name] = TopicFacts(exists=True, cleanup=answer.result()["cleanup.policy"].value)
            except KafkaException as error:
                facts[resource.name] = TopicFacts(exists=True, problem=_plain(error.args[0]))
    return facts


def ask_schema(client: SchemaRegistryClient, subject: str, text: str) -> tuple[Standing, str]:
    """Ask how a schema stands, and give what there is to say of it besides; no credentials are in it."""
    schema = Schema(text, "AVRO")
    try:
        known = client.lookup_schema(subject, schema)
    except Exception as error:  # noqa: BLE001 - the client lets its HTTP, TLS, OAuth and JSON libraries' errors pass
        if not has_code(error, REFERENCE_NOT_FOUND):
            return Standing.UNREACHABLE, describe(error)
    else:
        return Standing.REGISTERED, f"version {known.version}, id {known.schema_id}"
    try:
        fits = client.test_compatibility(subject, schema)
    except Exception as error:  # noqa: BLE001 - as above
        if has_code(error, REFERENCE_NOT_FOUND):
            return Standing.FITS, ""
        return Standing.UNREACHABLE, describe(error)
    return (Standing.FITS if fits else Standing.CONFLICTS), ""


def _plain(error: KafkaError) -> str:
    return f"{error.name()}: {error.str()}"
