"""The assembly for commands: makes the clients that they ask HubSpot, Kafka and the registry with, and closes them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from confluent_kafka.schema_registry import SchemaRegistryClient

from consumer.errors import ConsumerError
from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.lists_client import ListsClient
from consumer.hubspot.oauth import TOKEN_PATH, OAuth
from consumer.kafka.reader import TopicReader
from consumer.kafka.registry import SchemaRegistry, new_client
from consumer.secret import Redactor
from consumer.settings import Account, Settings, Surroundings

LONGEST_TIMEOUT = 10.0  # seconds of one request to HubSpot: a person waits


class PropertiesRefused(ConsumerError):  # noqa: N818 - the name says what is the case
    """The registry's client does not know, or cannot use, what is under `schema_registry`."""


@contextmanager
def lists_client(settings: Settings, account: str, redactor: Redactor) -> Iterator[ListsClient]:
    """Give a client of one account's lists."""
    with closing(lists_client_of(settings, account, settings.accounts[account], redactor)) as client:
        yield client


def lists_client_of(settings: Surroundings, name: str, account: Account, redactor: Redactor) -> ListsClient:
    """Give the same of an account that the file need not have. The caller closes it."""
    timeout = min(settings.hubspot.timeout, LONGEST_TIMEOUT)
    auth = _oauth(settings, name, account, redactor)
    return ListsClient(settings.hubspot.base_url, timeout, auth, ca=settings.hubspot.ca)


@contextmanager
def hubspot_client(settings: Settings, account: str, redactor: Redactor) -> Iterator[HubSpotClient]:
    """Give a client that reads one account as the service does: one attempt per call."""
    auth = _oauth(settings, account, settings.accounts[account], redactor)
    base_url, timeout, ca = settings.hubspot.base_url, settings.hubspot.timeout, settings.hubspot.ca
    with closing(HubSpotClient(base_url, timeout, auth, ca=ca)) as client:
        yield client


@contextmanager
def topic_reader(settings: Surroundings) -> Iterator[TopicReader]:
    """Give a reader of topics."""
    with (
        registry_client(settings) as client,
        closing(SchemaRegistry(client)) as registry,
        closing(TopicReader(kafka_properties(settings), registry)) as reader,
    ):
        yield reader


@contextmanager
def registry_client(settings: Surroundings) -> Iterator[SchemaRegistryClient]:
    """Give a client of the registry. Raises PropertiesRefused."""
    try:
        made = new_client(settings.schema_registry)
    except (ValueError, TypeError) as error:
        raise PropertiesRefused(f"schema_registry: {error}. Mend its properties.") from error
    with closing(made) as client:
        yield client


def kafka_properties(settings: Surroundings) -> Mapping[str, str | int | float | bool]:
    """Give the properties of Kafka's clients, without their lines on connections: a command says itself what failed."""
    return {"log_level": 2, **settings.kafka}


def _oauth(settings: Surroundings, name: str, its: Account, redactor: Redactor) -> OAuth:
    token_url = settings.hubspot.base_url + TOKEN_PATH
    return OAuth(name, token_url, its.client_id, its.client_secret, its.refresh_token, redactor, time.monotonic)
