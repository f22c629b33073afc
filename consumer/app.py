"""The assembly: the only place that knows how the parts are made and which belongs to which."""

import platform
import random
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import confluent_kafka
from confluent_kafka.schema_registry import SchemaRegistryClient
from prometheus_client import CollectorRegistry

from consumer import __version__, log
from consumer.accounts import MOST_IN_FLIGHT, Account
from consumer.admin import AdminServer
from consumer.delivery import Delivery
from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.oauth import TOKEN_PATH, OAuth
from consumer.hubspot.workers import Workers
from consumer.intake import Intake, Registry
from consumer.kafka.registry import SchemaRegistry, new_client
from consumer.kafka.sink import KafkaSink
from consumer.kafka.source import KafkaSource
from consumer.lane import Lane
from consumer.list_sync import ListSync, Rules
from consumer.loop import Bounds, Loop
from consumer.metrics import Metrics
from consumer.offsets import Offsets
from consumer.outcomes import DEAD_LETTER_REASONS
from consumer.partitions import Partitions
from consumer.permit import Fence
from consumer.ports import Outside
from consumer.router import Route, Router
from consumer.secret import Redactor
from consumer.settings import Settings
from consumer.status import ListStatus

SESSION_TIMEOUT_MS = 45_000  # librdkafka's default for session.timeout.ms

_log = log.get(__name__)


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)


def assemble(settings: Settings, outside: Outside, registry: Registry) -> Loop:
    """Build the loop and all that it owns, on whatever outside there is."""
    offsets = Offsets()
    partitions = Partitions(offsets)
    rules = Rules(
        max_age=settings.window.max_age,
        max_contacts=settings.window.max_contacts,
        settle=settings.hubspot.settle,
        give_up_after=settings.retry.give_up_after,
    )
    accounts = {
        name: Account(name, account.requests_per_10s, rules.give_up_after)
        for name, account in settings.accounts.items()
    }
    account_series = {
        name: outside.metrics.for_account(name, account.requests_per_10s) for name, account in settings.accounts.items()
    }
    for topic in settings.topics.changes:
        outside.metrics.for_topic(topic)
    lanes = []
    for name, connector in settings.connectors.items():
        series = outside.metrics.for_list(name, connector.list_id, connector.account)
        if connector.enabled:
            each = ListSync(name, connector.account, connector.list_id, rules, offsets)
            accounts[connector.account].lists.append(each)
            lanes.append(Lane(each, accounts[connector.account], series))
    session_timeout = float(settings.kafka.get("session.timeout.ms", SESSION_TIMEOUT_MS)) / 1000
    fence = Fence(session_timeout, outside.clock.monotonic())
    delivery = Delivery(lanes, account_series, outside, fence, partitions.catching_up)
    router = Router(
        Route(name, each.source.type, each.source.id, each.identifier, each.enabled)
        for name, each in settings.connectors.items()
    )
    intake = Intake(partitions, router, registry, outside.metrics, delivery)
    configured = tuple(
        ListStatus(
            connector=name,
            account=each.account,
            list_id=each.list_id,
            list_name=None,
            source=str(each.source),
            enabled=each.enabled,
            waiting=0,
        )
        for name, each in settings.connectors.items()
    )
    bounds = Bounds(settings.limits.max_pending_contacts, settings.shutdown.timeout)
    return Loop(outside, delivery, intake, partitions, fence, bounds, configured)


def make_metrics() -> Metrics:
    """Give the metrics of one process, with everything at 0 that is known from the start."""
    of_lists = [
        reason for reason in DEAD_LETTER_REASONS if reason != "UNDECODABLE"
    ]  # whose that was to be, nobody knows
    metrics = Metrics(CollectorRegistry(), DEAD_LETTER_REASONS, of_lists)
    metrics.build_info(__version__, platform.python_version(), confluent_kafka.libversion()[0])
    return metrics


class Service(NamedTuple):
    """A service that is built and not running yet: `loop.run(source)` runs it."""

    loop: Loop
    source: KafkaSource
    admin: AdminServer
    metrics: Metrics


@contextmanager
def service(
    settings: Settings, redactor: Redactor, registry_client: SchemaRegistryClient | None = None
) -> Iterator[Service]:
    """Build the whole service on Kafka, the registry and HubSpot; close it all at the end.

    `registry_client` takes the place of one made from the settings: a registry in memory is known to its client alone.
    """
    clock = SystemClock()
    metrics = make_metrics()
    with ExitStack() as stack:
        registry = SchemaRegistry(registry_client or new_client(settings.schema_registry))
        stack.callback(registry.close)
        sink = KafkaSink(settings.kafka, registry, settings.topics.results, settings.topics.dead_letters)
        stack.callback(sink.close)
        workers = Workers(_clients(settings, redactor), MOST_IN_FLIGHT)
        stack.callback(workers.close)
        outside = Outside(workers, sink, clock, metrics, random.random, lambda: str(uuid.uuid4()))
        loop = assemble(settings, outside, registry)
        admin = AdminServer(settings.admin.host, settings.admin.port, metrics.registry, loop.status)
        stack.enter_context(admin)
        yield Service(loop, KafkaSource(settings.kafka, settings.topics.changes, loop), admin, metrics)


def run(settings: Settings, redactor: Redactor) -> int:
    """Run the service until SIGTERM or SIGINT; give the exit code."""
    with service(settings, redactor) as built:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda caught, _frame: built.loop.stop(signal.Signals(caught).name))
        _log.info("started", version=__version__, connectors=len(settings.connectors), admin=built.admin.url)
        built.loop.run(built.source)
    return 0


def _clients(settings: Settings, redactor: Redactor) -> dict[str, HubSpotClient]:
    base_url = settings.hubspot.base_url
    return {
        name: HubSpotClient(
            base_url,
            settings.hubspot.timeout,
            OAuth(
                name,
                base_url + TOKEN_PATH,
                account.client_id,
                account.client_secret,
                account.refresh_token,
                redactor,
                time.monotonic,
            ),
            connections=MOST_IN_FLIGHT,
            ca=settings.hubspot.ca,
        )
        for name, account in settings.accounts.items()
    }
