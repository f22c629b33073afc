"""`hubspot-list-sync demo`: the whole service on one machine, with real customer events.

An embedded Kafka, an in-memory registry, a simulated HubSpot behind HTTP, and in between the service just as `run`
builds it. At the end each list in HubSpot is held against the audience computed straight from the purchases.
"""

import json
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from consumer import app, avro
from consumer.demo import cdnow
from consumer.demo.cdnow import AudienceEvent, Purchase
from consumer.errors import ConsumerError
from consumer.kafka.embedded import EmbeddedKafka
from consumer.kafka.registry import new_client
from consumer.metrics import PREFIX
from consumer.secret import Redactor, Secret
from consumer.settings import Settings
from consumer.simulator.accounts import Account, ContactList
from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from consumer.simulator.server import SimulatorServer

LISTS = {"active-60d": 101, "big-spender-180d": 102, "second-purchase": 103}
KINDS = ("added", "removed", "unchanged", "not_found")
TOPIC = "journey.membership"
SUBJECT = f"{TOPIC}-value"
SLOT = "2006"
MISSING_EVERY = 50  # one record id in so many does not exist in HubSpot
SECONDS = 8.0  # in which eighteen months of events are told
PATIENCE = 60.0  # seconds for the service to finish then
CLIENT_ID = "demo-client"
SECRETS = {"client_secret": "demo-client-secret", "refresh_token": "demo-refresh-token"}  # of the simulated account
FAULTS = (
    Fault("unavailable", times=2, method="PUT"),
    Fault("rate_limited", seconds=1, times=1, method="PUT"),
    Fault("cut_after", times=1, method="PUT"),
)
"""What HubSpot does wrong on the way: 503 twice, one 429, one connection cut after the change was applied."""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one list."""

    source_id: str
    list_id: int
    events: int
    requests: int
    added: int
    removed: int
    unchanged: int
    not_found: int
    members: int
    matches: bool


class DemoError(ConsumerError):
    """The demo did not come to its end."""


def run(console: Console) -> int:
    """Do the whole job and print a table and, as the last line, one JSON object. 0 only if every list matches."""
    began = time.monotonic()
    bought = cdnow.purchases()
    events = list(cdnow.events(bought))
    with ExitStack() as stack:
        server = stack.enter_context(SimulatorServer(portal()))
        kafka = stack.enter_context(EmbeddedKafka())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = _settings(kafka.bootstrap, server.url, folder)
        registry = new_client(settings.schema_registry)
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 2})
        producer.list_topics(TOPIC, timeout=10)  # which makes it
        service = stack.enter_context(app.service(settings, Redactor(settings.secrets()), registry))
        console.print(f"Kafka, embedded:     {kafka.bootstrap}\nHubSpot, simulated:  {server.url}")
        console.print(f"Status and metrics:  {service.admin.url}\n")
        with _running(service):
            schema_id = registry.register_schema(SUBJECT, Schema(avro.CHANGE_SCHEMA.text, "AVRO"))
            _play(console, messages(schema_id, events), producer, service)
        requests = Counter(each.list_id for each in server.call(lambda portal: portal.log) if each.method == "PUT")
        members = server.call(lambda portal: {key: held.members for key, held in portal.accounts["demo"].lists.items()})
    told = Counter(event.source_id for event in events)
    rows = [
        Row(
            source_id=source_id,
            list_id=list_id,
            events=told[source_id],
            requests=requests[list_id],
            **{kind: _total(service, f"contacts_{kind}", connector=source_id) for kind in KINDS},
            members=len(members[list_id]),
            matches=members[list_id] == expected(bought, source_id),
        )
        for source_id, list_id in LISTS.items()
    ]
    console.print(_table(rows))
    summary = {
        "events": len(events),
        "requests": sum(row.requests for row in rows),
        **{kind: sum(getattr(row, kind) for row in rows) for kind in KINDS},
        "dead_lettered": _total(service, "dead_letters"),
        "lists": len(rows),
        "lists_match": all(row.matches for row in rows),
        "seconds": round(time.monotonic() - began, 1),
    }
    console.print(json.dumps(summary), soft_wrap=True, highlight=False)
    return 0 if summary["lists_match"] else 1


def _exists(record_id: int) -> bool:
    return record_id % MISSING_EVERY != 0


def expected(bought: list[Purchase], source_id: str) -> frozenset[int]:
    """Give who must be on the list: computed from the purchases, not from the events."""
    customers = cdnow.audience(bought, source_id, cdnow.LAST_DAY)
    return frozenset(filter(_exists, map(cdnow.record_id, customers)))


def portal() -> Portal:
    """Make a HubSpot that lacks some of the contacts and has a bad day."""
    account = Account(
        name="demo",
        client_id=CLIENT_ID,
        client_secret=SECRETS["client_secret"],
        refresh_token=SECRETS["refresh_token"],
        contacts=_exists,
    )
    for source_id, list_id in LISTS.items():
        account.add_list(ContactList(list_id, f"Demo {source_id}"))
    made = Portal([account])
    for fault in FAULTS:
        made.inject(fault)
    return made


def _settings(bootstrap: str, hubspot: str, folder: Path) -> Settings:
    secrets = {}
    for name, value in SECRETS.items():
        file = folder / name
        file.write_text(value)
        secrets[name] = Secret.from_file(file)
    return Settings.model_validate(
        {
            "kafka": {"bootstrap.servers": bootstrap, "group.id": "demo", "fetch.wait.max.ms": 100, "log_level": 2},
            "schema_registry": {"url": "mock://demo"},
            "topics": {"changes": [TOPIC]},
            "window": {"max_age": "500ms", "max_contacts": 500},
            "hubspot": {"base_url": hubspot, "app_url": hubspot, "timeout": "5s", "settle": "2s"},
            "accounts": {"demo": {"client_id": CLIENT_ID, "requests_per_10s": 100, **secrets}},
            "connectors": {
                source_id: {
                    "account": "demo",
                    "list_id": list_id,
                    "source": f"{cdnow.SOURCES[source_id].lower()}:{source_id}",
                }
                for source_id, list_id in LISTS.items()
            },
            "admin": {"address": "127.0.0.1:0"},
        }
    )


@contextmanager
def _running(service: app.Service) -> Iterator[None]:
    """Run the loop in a thread of its own; stop it at the end, and raise what it raised."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loop") as pool:
        ran = pool.submit(service.loop.run, service.source)
        try:
            yield
        finally:
            service.loop.stop("the demo is over")
            ran.result()


def _play(console: Console, messages: list[tuple[str, bytes]], producer: Producer, service: app.Service) -> None:
    """Tell the events at an even pace, and wait until the service has committed the last one."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    total = len(messages)
    began = time.monotonic()
    with Progress(*columns, console=console) as progress:
        told = progress.add_task("events told", total=total)
        done = progress.add_task("events done", total=total)
        sent = 0
        while time.monotonic() < began + SECONDS + PATIENCE:
            due = min(total, int(total * (time.monotonic() - began) / SECONDS))
            for key, value in messages[sent:due]:
                producer.produce(TOPIC, value, key)
            sent = due
            producer.poll(0.1)
            finished = sum(each.committed or 0 for each in service.loop.status().partitions)
            progress.update(told, completed=sent)
            progress.update(done, completed=finished)
            if finished == total:
                return
    raise DemoError(f"the service did not finish within {PATIENCE:.0f} s: look at its log with --log-level info")


def messages(schema_id: int, events: list[AudienceEvent]) -> list[tuple[str, bytes]]:
    """Make keys and values for Kafka, as a Data Activation platform would; `schema_id` is that of the change schema."""
    return [
        (
            str(event.customer),
            avro.frame(
                schema_id,
                avro.encode(
                    avro.CHANGE_SCHEMA,
                    {
                        "event_id": str(uuid.UUID(int=number)),
                        "source_type": event.source_type,
                        "source_id": event.source_id,
                        "profile_id": str(event.customer),
                        "transition": event.transition,
                        "occurred_at": event.occurred_at,
                        "identifiers": {SLOT: str(cdnow.record_id(event.customer))},
                    },
                ),
            ),
        )
        for number, event in enumerate(events)
    ]


def _total(service: app.Service, name: str, **labels: str) -> int:
    """Add up a counter's series with these labels."""
    return int(
        sum(
            sample.value
            for family in service.metrics.registry.collect()
            if family.name == PREFIX + name
            for sample in family.samples
            if labels.items() <= sample.labels.items()
        )
    )


def _table(rows: list[Row]) -> Table:
    table = Table("list", title="What became of the lists", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for heading in ("events", "requests", *(kind.replace("_", " ") for kind in KINDS), "members", "ok"):
        table.add_column(heading, justify="right")
    for row in rows:
        numbers = [row.events, row.requests, *(getattr(row, kind) for kind in KINDS), row.members]
        verdict = "[green]yes[/]" if row.matches else "[red]NO[/]"
        table.add_row(row.source_id, *(f"{number:,}" for number in numbers), verdict)
    return table
