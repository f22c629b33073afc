"""The assembly: the only place that knows how the parts are made and which belongs to which."""

import gc
import platform
import random
import signal
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import confluent_kafka
from confluent_kafka.schema_registry import SchemaRegistryClient
from prometheus_client import CollectorRegistry

from consumer import __version__, log
from consumer.accounts import MOST_IN_FLIGHT, Account
from consumer.admin import AdminServer
from consumer.auditor import Auditor
from consumer.changes import Action, TopicPartition
from consumer.delivery import Delivery
from consumer.drift import Listed
from consumer.guard import Limit
from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.oauth import TOKEN_PATH, OAuth
from consumer.hubspot.workers import Workers
from consumer.intake import Intake, Registry
from consumer.kafka.audited import AuditedLog
from consumer.kafka.reader import Extent, TopicReader
from consumer.kafka.registry import SchemaRegistry, new_client
from consumer.kafka.replay import ReplaySource
from consumer.kafka.sink import KafkaSink
from consumer.kafka.source import KafkaSource
from consumer.lane import Lane
from consumer.lender import Lender
from consumer.lending import Lending
from consumer.list_sync import ListSync, Rules
from consumer.loop import Bounds, Loop
from consumer.metrics import Metrics
from consumer.not_found import Tries
from consumer.offsets import Offsets
from consumer.outcomes import DEAD_LETTER_REASONS
from consumer.partitions import Partitions
from consumer.permit import Fence
from consumer.ports import Outside
from consumer.pursuit import Pursuit
from consumer.replay import NOWHERE, Chosen, Ledger, Progress, Replay
from consumer.router import Route, Router
from consumer.secret import Redactor
from consumer.settings import Guard, Settings
from consumer.status import ListStatus
from consumer.targets import Key, Plan

NOT_FOUND_SHARE = 0.1  # of max_pending_contacts: so many more contacts, of all lists, may wait to be tried again
REPLAY_MAX_AGE = 0.5  # seconds
REPLAY_ROOM = 4  # requests' worth of contacts that wait in a list's window: enough to send without a pause
REPLAY_GIVE_UP_AFTER = 900.0  # seconds: as long as a daily limit is waited for between two probes
SESSION_TIMEOUT_MS = 45_000  # librdkafka's default for session.timeout.ms

_log = log.get(__name__)


Stopping = Callable[[Callable[[str], None]], None]
"""Is given what stops a replay: a function of the reason, for any thread."""


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)


class _Core(NamedTuple):
    """What a loop owns besides its intake."""

    partitions: Partitions
    delivery: Delivery
    fence: Fence
    bounds: Bounds
    configured: tuple[ListStatus, ...]


def assemble(settings: Settings, outside: Outside, registry: Registry) -> Loop:
    """Build the loop and all that it owns, on whatever outside there is."""
    core = _core(settings, outside)
    intake = Intake(core.partitions, make_router(settings), registry, outside.metrics, core.delivery)
    return _loop(core, outside, intake)


def assemble_replay(settings: Settings, outside: Outside, registry: Registry, plan: Plan) -> Replay:
    """Build a replay of dead letters on whatever outside there is. `settings` are those of `for_replay`."""
    wanted: dict[str, list[int]] = {name: [] for name in settings.connectors}
    for key in plan.targets:
        wanted[key.connector].append(key.contact)
    pursuits = {name: Pursuit(contacts) for name, contacts in wanted.items()}
    for key, target in plan.recalled.items():  # older than all that will be read
        pursuits[key.connector].told(key.contact, target.action, key.place, target.offset, target.occurred_at)
    return _replay(settings, outside, registry, pursuits, plan.takes)


def assemble_rebuild(settings: Settings, outside: Outside, registry: Registry, unknown: Iterable[int] = ()) -> Replay:
    """Build a rebuild of every connector of `settings`, those of `for_replay`, on whatever outside there is.

    `unknown`: members to be taken off the list of the only connector unless the log, read to its end, tells of them.
    """
    pursuits = {name: Pursuit(everyone=True) for name in settings.connectors}
    for pursuit in pursuits.values():
        for contact in unknown:
            pursuit.told(contact, Action.REMOVE, NOWHERE, -1, 0)
    return _replay(settings, outside, registry, pursuits, lambda _key, _offset: True)


def _replay(
    settings: Settings,
    outside: Outside,
    registry: Registry,
    pursuits: Mapping[str, Pursuit],
    takes: Callable[[Key, int], bool],
) -> Replay:
    outside = replace(outside, sink=Ledger(outside.sink, pursuits))
    core = _core(settings, outside)
    intake = Intake(core.partitions, make_router(settings), registry, outside.metrics, Chosen(pursuits, takes))
    loop = _loop(core, outside, intake)
    room = REPLAY_ROOM * settings.window.max_contacts
    timeout = settings.shutdown.timeout
    return Replay(loop, core.delivery, core.partitions, pursuits, room, outside.clock, timeout)


def for_replay(settings: Settings, connectors: Collection[str], max_contacts: int | None = None) -> Settings:
    """Give the settings of a replay: these connectors alone, enabled, and little patience, for a person waits.

    What has caught up with the log need not wait for more of it: windows leave at once. Nor does anybody wait for a
    contact that was not found. Nor is anything held: a person has started this, and knows what it sends.
    """
    window = {"max_age": REPLAY_MAX_AGE, **({} if max_contacts is None else {"max_contacts": max_contacts})}
    retry = {"give_up_after": min(settings.retry.give_up_after, REPLAY_GIVE_UP_AFTER)}
    chosen = {name: each for name, each in settings.connectors.items() if name in connectors}
    return settings.model_copy(
        update={
            "connectors": {name: each.model_copy(update={"enabled": True}) for name, each in chosen.items()},
            "window": settings.window.model_copy(update=window),
            "retry": settings.retry.model_copy(update=retry),
            "not_found": settings.not_found.model_copy(update={"retries": 0}),
            "guard": Guard(),
        }
    )


def make_router(settings: Settings) -> Router:
    """Give the router of all connectors."""
    return Router(
        Route(name, each.source.type, each.source.id, each.identifier, each.enabled)
        for name, each in settings.connectors.items()
    )


def _loop(core: _Core, outside: Outside, intake: Intake) -> Loop:
    lender = None
    if outside.lending is not None:
        delivery = core.delivery
        series = delivery.account_series
        lender = Lender(outside.lending, delivery.accounts, series, delivery.lanes, outside.workers, outside.chance)
    return Loop(outside, core.delivery, intake, core.partitions, core.fence, core.bounds, core.configured, lender)


def _core(settings: Settings, outside: Outside) -> _Core:
    offsets = Offsets()
    partitions = Partitions(offsets)
    rules = Rules(
        max_age=settings.window.max_age,
        max_contacts=settings.window.max_contacts,
        settle=settings.hubspot.settle,
        give_up_after=settings.retry.give_up_after,
        not_found=Tries(
            retries=settings.not_found.retries,
            over=settings.not_found.over,
            most=max(1, int(settings.limits.max_pending_contacts * NOT_FOUND_SHARE) // len(settings.connectors)),
            give_up_after=settings.retry.give_up_after,
        ),
        guard=_limit(settings.guard),
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
    configured = tuple(
        ListStatus(
            connector=name,
            account=each.account,
            list_id=each.list_id,
            list_name=None,
            source=str(each.source),
            enabled=each.enabled,
            waiting=0,
            app_url=settings.hubspot.app_url,
        )
        for name, each in settings.connectors.items()
    )
    bounds = Bounds(settings.limits.max_pending_contacts, settings.shutdown.timeout)
    return _Core(partitions, delivery, fence, bounds, configured)


def _limit(guard: Guard) -> Limit | None:
    share = guard.max_removed_share
    return None if share is None else Limit(share, guard.above, guard.within)


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
    metrics = make_metrics()
    with ExitStack() as stack:
        client = registry_client or new_client(settings.schema_registry)
        clients = _clients(settings, redactor)
        registry, outside = _outside(settings, stack, client, metrics, clients)
        lending = None if settings.audit.every is None else Lending()
        loop = assemble(settings, replace(outside, lending=lending), registry)
        if lending is not None and settings.audit.every is not None:
            auditor = _auditor(settings, settings.audit.every, lending, clients, loop)
            stack.callback(auditor.close)
            auditor.start()
        admin = AdminServer(settings.admin.host, settings.admin.port, metrics.registry, loop.status, loop.release)
        stack.enter_context(admin)
        yield Service(loop, KafkaSource(settings.kafka, settings.topics.changes, loop), admin, metrics)


def replay(
    settings: Settings,
    redactor: Redactor,
    assembled: Callable[[Settings, Outside, Registry], Replay],
    starts: Mapping[TopicPartition, int],
    told: Callable[[Progress], None],
    stopping: Stopping | None = None,
) -> Replay:
    """Do what is assembled until all is done or it is stopped; give what came of it.

    `settings` are those of `for_replay`; the log is read from `starts` on. `stopping` takes what stops it, in place of
    SIGTERM and SIGINT, which the main thread alone may wait for.
    """
    with ExitStack() as stack:
        client, clients = new_client(settings.schema_registry), _clients(settings, redactor)
        registry, outside = _outside(settings, stack, client, make_metrics(), clients)
        built = assembled(settings, outside, registry)
        log_of_changes = ReplaySource(settings.kafka, starts, built.loop)
        (stopping or _stop_on_signals)(built.stop)
        built.run(log_of_changes, told)
    return built


def rebuild(
    settings: Settings,
    redactor: Redactor,
    connector: str,
    extents: Mapping[str, Sequence[Extent]],
    told: Callable[[Progress], None],
    *,
    unknown: Iterable[int] = (),
    stopping: Stopping | None = None,
) -> Replay:
    """Rebuild one connector's list from what there is of each topic; give what came of it. See `replay`."""
    starts = {TopicPartition(topic, each.partition): each.begin for topic in extents for each in extents[topic]}
    assembled = partial(assemble_rebuild, unknown=unknown)
    return replay(for_replay(settings, {connector}), redactor, assembled, starts, told, stopping)


def run(settings: Settings, redactor: Redactor) -> int:
    """Run the service until SIGTERM or SIGINT; give the exit code."""
    with service(settings, redactor) as built:
        _stop_on_signals(built.loop.stop)
        # What was made until here lives as long as the process: with 10,000 lists there are millions of objects, and
        # the collector would look at all of them again and again.
        gc.collect()
        gc.freeze()
        _log.info("started", version=__version__, connectors=len(settings.connectors), admin=built.admin.url)
        built.loop.run(built.source)
    return 0


def _stop_on_signals(stop: Callable[[str], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: stop(signal.Signals(caught).name))


def _outside(
    settings: Settings,
    stack: ExitStack,
    registry_client: SchemaRegistryClient,
    metrics: Metrics,
    clients: Mapping[str, HubSpotClient],
) -> tuple[SchemaRegistry, Outside]:
    """Make what reaches Kafka, the registry and HubSpot; `stack` closes it."""
    registry = SchemaRegistry(registry_client)
    stack.callback(registry.close)
    sink = KafkaSink(settings.kafka, registry, settings.topics.results, settings.topics.dead_letters)
    stack.callback(sink.close)
    workers = Workers(clients, MOST_IN_FLIGHT)
    stack.callback(workers.close)
    return registry, Outside(workers, sink, SystemClock(), metrics, random.random, lambda: str(uuid.uuid4()))


def _auditor(
    settings: Settings, every: float, lending: Lending, clients: Mapping[str, HubSpotClient], loop: Loop
) -> Auditor:
    lists = [Listed(name, each.account, each.list_id) for name, each in settings.connectors.items() if each.enabled]
    first = settings.topics.changes[0]

    def owns() -> bool:
        status = loop.status()
        return not status.draining and any((each.topic, each.partition) == (first, 0) for each in status.partitions)

    @contextmanager
    def open_log(told: Callable[[int, int], None]) -> Iterator[AuditedLog]:
        topics = settings.topics
        with (
            closing(SchemaRegistry(new_client(settings.schema_registry))) as registry,
            closing(TopicReader({**settings.kafka, "log_level": 2}, registry)) as reader,
        ):
            router = make_router(settings)
            yield AuditedLog(reader, topics.changes, topics.results, topics.dead_letters, router, lambda _topic: told)

    most, tried_for = settings.audit.at_most_requests, settings.not_found.tried_for
    return Auditor(lists, every, most, tried_for, lending, clients, owns, open_log)


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
            ca=settings.hubspot.ca,
        )
        for name, account in settings.accounts.items()
    }
