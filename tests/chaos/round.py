"""One round: three members, a plan of faults, events all the while; then quiet, and every list is held to the log."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from threading import Event
from typing import Any, ParamSpec

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from consumer.simulator.accounts import Account, ContactList
from consumer.simulator.calls import Quirks
from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from consumer.simulator.server import SimulatorServer
from tests.chaos import plan
from tests.chaos.audit import Findings, audit, leaks
from tests.chaos.lag import Lag
from tests.chaos.log import Message, Place, Script, exists, truth
from tests.chaos.members import Member, Pause
from tests.chaos.plan import (
    ACCOUNTS,
    EVENTS,
    EVENTS_PER_SECOND,
    LATENCY,
    LISTS,
    MEMBERS,
    PARTITIONS,
    SESSION,
    SETTLE,
    TIMEOUT,
    Plan,
    Step,
)
from tests.real import kafka_broker
from tests.real.authority import Authority
from tests.real.kafka import Event as Change
from tests.real.kafka import record
from tests.real.kafka_broker import JavaBroker
from tests.real.proxy import Proxy
from tests.real.registry_server import RegistryServer
from tests.real.service import World

Given = ParamSpec("Given")

QUOTA = 110  # requests of an account in ten seconds that HubSpot lets through
SHARE = 35  # of each member
QUIET_WITHIN = 240.0  # seconds from the last fault until the lag must be 0
MOST_LAG = 20_000  # events; while more wait, none is written
GO_ON_WITHIN = 15.0  # seconds for which a fault waits until something was committed after the one before
REVOKES = 5  # with a request on the wire, at least
MOST_REVOKES = 30  # tries
_TICK = 0.05  # seconds between two writes to the log


@dataclass(frozen=True)
class Parts:
    """What all rounds share."""

    broker: JavaBroker
    registry: RegistryServer
    authority: Authority
    threads: Executor  # whose threads outlive all processes: the kernel ends a process with the thread that started it


@contextmanager
def parts(folder: Path) -> Iterator[Parts]:
    """Give a broker with a way for each member, and a registry."""
    authority = Authority(folder)
    with (
        ThreadPoolExecutor(MEMBERS + 5) as threads,
        JavaBroker(folder, authority, ways=MEMBERS) as broker,
        RegistryServer(folder) as registry,
    ):
        yield Parts(broker, registry, authority, threads)


def one_round(shared: Parts, seed: int, folder: Path) -> "Outcome":
    """Run the round of a seed, with its files in a folder of its own in `folder`."""
    own = folder / f"seed-{seed}"
    own.mkdir()
    with ExitStack() as stack:
        return Round(shared, plan.make(seed), own, stack).run()


@dataclass(frozen=True)
class Outcome:
    """What a round came to. `said` are the log records of all members, `leaks` the secrets that were found."""

    events: Counter[str]
    faults: Counter[str]
    requests: Counter[int | None]
    said: list[dict[str, Any]]
    findings: Findings
    recoveries: list[float]
    quiet_after: float
    leaks: list[str]
    searched: int
    lag: int


class Round:
    """A world of its own, with topics, group and HubSpot of its own."""

    def __init__(self, parts: Parts, plan: Plan, folder: Path, stack: ExitStack) -> None:
        self._parts = parts
        self._plan = plan
        self._tokens = {account: [f"{account}-refresh-token-0"] for account in ACCOUNTS}
        self._hubspot = stack.enter_context(SimulatorServer(_portal(plan.seed, self._tokens)))
        self._latency = self._hubspot.call(lambda portal: portal.inject(Fault("slow", LATENCY, method="PUT")))
        self._world = World(parts.broker.broker, parts.registry, self._hubspot, folder, stack)
        self._world.environ["HUBSPOT_LIST_SYNC_LOG_LEVEL"] = "debug"
        self._world.environ["KAFKA_PASSWORD"] = kafka_broker.PASSWORD
        self._world.create_topics(PARTITIONS)
        self._folder = folder
        for account in ACCOUNTS:
            (folder / f"{account}-client-secret").write_text(_client_secret(account))
            self._file(account).write_text(self._tokens[account][0])
        self._members = [self._member(way, stack) for way in parts.broker.ways]
        self._lag = Lag(parts.broker.broker.bootstrap, self._world.group, self._world.changes, folder / "diary")
        self._script = Script(self._encode)
        self._over = Event()  # the faults are over, or something is wrong
        self._quiet = Event()  # nobody needs to look any more
        self._faults: Counter[str] = Counter()
        self._started: list[Future[None]] = []

    def run(self) -> Outcome:
        """Do it all. AssertionError if a member fails, or the lag does not come down to 0."""
        watching = self._start(self._lag.watch, self._quiet)
        writing = self._start(self._write)
        try:
            self._finish(*[self._start(member.start) for member in self._members])
            self._finish(
                *[
                    self._start(self._follow, steps, self._befall(member))
                    for steps, member in zip(self._plan.members, self._members, strict=True)
                ],
                self._start(self._follow, self._plan.parts, self._part),
                self._start(self._follow, self._plan.hubspot, self._suffer),
                self._start(self._follow, (self._plan.revocation,), self._revoke),
            )
            self._revoke_more()
            self._over.set()
            self._finish(writing)
            self._until_quiet()
        finally:
            self._over.set()
            self._quiet.set()
            wait(self._started)  # or a member might be started that nobody stops
        self._finish(watching)
        for member in self._members:
            member.stop()
        return self._judge()

    def _start(self, do: Callable[Given, None], *given: Given.args, **named: Given.kwargs) -> Future[None]:
        future = self._parts.threads.submit(do, *given, **named)
        self._started.append(future)
        return future

    def _finish(self, *futures: Future[None]) -> None:
        """Wait for all; the first error ends the round."""
        for future in wait(futures, return_when="FIRST_EXCEPTION").done:
            future.result()

    def _until_quiet(self) -> None:
        deadline = time.monotonic() + QUIET_WITHIN
        began = time.monotonic()
        while (newest := self._lag.newest).lag or newest.at < began:
            assert time.monotonic() < deadline, f"the lag is {newest} after {QUIET_WITHIN:.0f} s"
            for member in self._members:
                member.look()
            self._quiet.wait(1.0)

    # The faults.

    def _follow(self, steps: tuple[Step, ...], do: Callable[[Step, Pause], None]) -> None:
        for step in steps:
            if self._over.wait(step.pause):
                return
            self._lag.fault_began(step.kind)
            do(step, self._over.wait)
            self._faults[step.kind] += 1
            self._lag.fault_ended(step.kind)

    def _befall(self, member: Member) -> Callable[[Step, Pause], None]:
        """Let faults befall a member, each once the group has gone on since: a slow machine gets there too."""

        def suffer(step: Step, go_on: Pause) -> None:
            before, deadline = sum(self._lag.newest.committed), time.monotonic() + GO_ON_WITHIN
            while sum(self._lag.newest.committed) <= before and time.monotonic() < deadline:
                go_on(_TICK)
            member.suffer(step, go_on)

        return suffer

    def _revoke_more(self) -> None:
        """Let a member leave and come back until enough revokes began with a request on the wire."""
        for member in islice(cycle(self._members), MOST_REVOKES):
            if sum(each.revokes_on_the_wire() for each in self._members) >= REVOKES:
                return
            step = Step("stopped", 0, 2)
            self._follow((step,), self._befall(member))

    def _part(self, step: Step, go_on: Pause) -> None:
        with (self._parts.broker if step.kind == "broker away" else self._parts.registry).away():
            go_on(step.seconds)

    def _suffer(self, step: Step, go_on: Pause) -> None:
        assert step.fault is not None
        handle = self._inject(step.fault)
        go_on(step.seconds)
        self._hubspot.call(lambda portal: portal.heal(handle))

    def _inject(self, fault: Fault) -> int:
        """Let HubSpot suffer a fault, before its usual latency: of several that hit, the first happens."""

        def change(portal: Portal) -> int:
            portal.heal(self._latency)
            handle = portal.inject(fault)
            self._latency = portal.inject(Fault("slow", LATENCY, method="PUT"))
            return handle

        return self._hubspot.call(change)

    def _revoke(self, step: Step, go_on: Pause) -> None:
        """Let an admin withdraw the app, and authorize it anew: the operator puts the new token into the file."""
        account = self._plan.account
        self._hubspot.call(lambda portal: setattr(portal.accounts[account], "refresh_token", None))
        self._suffer(Step(step.kind, 0, step.seconds, Fault("token_expired", account=account)), go_on)
        fresh = f"{account}-refresh-token-{len(self._tokens[account])}"
        self._tokens[account].append(fresh)
        self._hubspot.call(lambda portal: setattr(portal.accounts[account], "refresh_token", fresh))
        self._file(account).write_text(fresh)

    # The log.

    def _encode(self, source: str, contact: str, transition: str) -> bytes:
        event = Change(contact, transition, source)
        return self._world.kafka.encode(self._world.changes, record(event))

    def _write(self) -> None:
        """Write events until the faults are over and there are enough of them."""
        problems: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                problems.append(error)

        producer = Producer(
            {"bootstrap.servers": self._parts.broker.broker.bootstrap, "enable.idempotence": True, "log_level": 0}
        )
        messages = self._script.messages(self._plan.seed)
        written = 0
        while not self._over.wait(_TICK) or written < EVENTS:
            # On a slow machine the group may be slower than this: it must not fall behind for ever.
            due = int(_TICK * EVENTS_PER_SECOND) if self._lag.newest.lag < MOST_LAG or self._over.is_set() else 0
            for message in islice(messages, due):
                producer.produce(
                    self._world.changes, message.value, message.key, message.partition, on_delivery=delivered
                )
            written += due
            producer.poll(0)
        assert producer.flush(QUIET_WITHIN) == 0
        assert not problems, problems[0]

    def _read(self) -> Iterator[tuple[Message, Place, float]]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._parts.broker.broker.bootstrap,
                "group.id": "reader",
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(self._world.changes, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
        ended = 0
        while ended < PARTITIONS:
            for message in consumer.consume(10_000, 1.0):
                error = message.error()
                if error is None:
                    place = Place(message.partition() or 0, message.offset() or 0)
                    yield self._script.meanings[message.value()], place, message.timestamp()[1] / 1000
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error.str()
                    ended += 1
        consumer.close()

    # The end.

    def _judge(self) -> Outcome:
        world = self._world
        log = truth(self._read())
        results, dead_letters = world.kafka.read(world.results), world.kafka.read(world.dead_letters)
        requests = self._hubspot.call(lambda portal: [*portal.log])
        lists = self._hubspot.call(_members)
        logs = [service.process.log_file.read_text() for member in self._members for service in member.services]
        pages = [page for member in self._members for page in member.pages]
        written = "\n".join((*logs, *pages, *map(repr, (*results, *dead_letters))))
        return Outcome(
            events=log.events,
            faults=self._faults,
            requests=Counter(each.status for each in requests),
            said=[json.loads(line) for text in logs for line in text.splitlines() if line.startswith("{")],
            findings=audit(log, requests, results, dead_letters, lists, time.time() - time.monotonic()),
            recoveries=self._lag.recoveries(),
            quiet_after=self._lag.quiet_after(),
            leaks=leaks(self._secrets(), written),
            searched=len(written),
            lag=self._lag.newest.lag,
        )

    def _secrets(self) -> set[str]:
        """Give all that nobody may see."""
        return {
            kafka_broker.PASSWORD,
            self._parts.registry.properties["basic.auth.user.info"],
            *map(_client_secret, ACCOUNTS),
            *(token for tokens in self._tokens.values() for token in tokens),
            *self._hubspot.call(lambda portal: [*portal._oauth._access]),
        }

    # The parts.

    def _file(self, account: str) -> Path:
        return self._folder / f"{account}-refresh-token"

    def _member(self, way: tuple[int, int], stack: ExitStack) -> Member:
        told, target = way
        to_kafka = stack.enter_context(Proxy(target, told))
        to_hubspot = stack.enter_context(Proxy(self._hubspot.port))
        settings = self._world.settings(
            kafka={
                "bootstrap.servers": f"127.0.0.1:{told}",
                "session.timeout.ms": SESSION * 1000,
                "heartbeat.interval.ms": 500,
                "reconnect.backoff.max.ms": 1000,
                "security.protocol": "SASL_SSL",
                "sasl.mechanisms": "SCRAM-SHA-512",
                "sasl.username": kafka_broker.USER,
                "sasl.password": {"env": "KAFKA_PASSWORD"},
                "ssl.ca.location": str(self._parts.authority.ca_file),
                "debug": "security",
            },
            window={"max_age": "1s", "max_contacts": 400},
            hubspot={"base_url": to_hubspot.url, "timeout": f"{TIMEOUT}s", "settle": f"{SETTLE}s"},
            shutdown={"timeout": "5s"},
        )
        settings["accounts"] = {
            account: {
                "client_id": f"{account}-app",
                "client_secret": {"file": f"{account}-client-secret"},
                "refresh_token": {"file": f"{account}-refresh-token"},
                "requests_per_10s": SHARE,
            }
            for account in ACCOUNTS
        }
        settings["connectors"] = {
            f"c{list_id}": {"account": account, "list_id": list_id, "source": f"audience:{list_id}"}
            for list_id, account in LISTS.items()
        }
        return Member(self._world, settings, to_kafka, to_hubspot)


def _client_secret(account: str) -> str:
    return f"{account}-client-secret/+ü"


def _members(portal: Portal) -> dict[int, frozenset[int]]:
    return {list_id: portal.accounts[account].lists[list_id].members for list_id, account in LISTS.items()}


def _portal(seed: int, tokens: dict[str, list[str]]) -> Portal:
    portal = Portal(seed=seed, quirks=Quirks(expires_in=60))
    for hub_id, account in enumerate(ACCOUNTS, 1001):
        portal.add_account(
            Account(
                name=account,
                client_id=f"{account}-app",
                client_secret=_client_secret(account),
                refresh_token=tokens[account][0],
                hub_id=hub_id,
                contacts=exists,
                quota=QUOTA,
            )
        )
    for list_id, account in LISTS.items():
        portal.accounts[account].add_list(ContactList(list_id, f"List {list_id}"))
    return portal
