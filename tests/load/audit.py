"""A list of a million members is held against a log of a million contacts, on a scripted clock.

`python -m tests.load.audit` prints what was seen, as one JSON object; with `--emptied` somebody has emptied the list by
hand, so that everybody differs. It is meant for a process of its own, whose memory is then the command's: events,
results and the pages of the simulated HubSpot are made as they are read. `--most 300000` holds as many contacts at once
as an audit beside the service does.
"""

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, MutableSequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from confluent_kafka import Message

from consumer import avro
from consumer.app import make_router
from consumer.audit import Audit, Budget, Turns, Walk
from consumer.changes import TopicPartition
from consumer.commands.audit import MOST_AT_ONCE, go_through
from consumer.drift import Listed, Report
from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.oauth import TOKEN_PATH, OAuth
from consumer.secret import Redactor
from consumer.simulator.accounts import ContactList
from consumer.simulator.transport import PortalTransport
from tests.fakes.kafka import TOPIC, MemoryBroker
from tests.fakes.service import FIRST_LIST, SCHEMA_ID, World, make_settings
from tests.fakes.topics import audited_log

MEMBERS = 1_000_000
FIRST_ID = 50_000_000_000  # record ids have eleven digits by now
BLANK = b"@" * len(str(FIRST_ID))
PARTITIONS = 8
DRIFTED = 10  # of the members so many are unknown to the log, and so many of the log's contacts are missing
A_RESULT = 1_000  # contacts
MB = 1024.0  # kB


class Seen(NamedTuple):
    """What a run saw: of the list, and of this process. `scripted_seconds` is what it takes with HubSpot's rate."""

    members: int
    in_log: int
    missing: int
    unknown: int
    drift: int
    requests: int
    statuses: list[int | None]
    scripted_seconds: float
    cpu_seconds: float
    peak_mb: float


class Members(ContactList):
    """A list with consecutive members, which take no memory."""

    def __init__(self, first: int, number: int) -> None:
        super().__init__(FIRST_LIST, "a million")
        self._range = range(first, first + number)

    def page_by_id(self, after: int, limit: int) -> tuple[list[int], int | None]:
        """Give a page of them."""
        start = max(0, after + 1 - self._range.start)
        page = list(self._range[start : start + limit])
        self.joined = dict.fromkeys(page, 0.0)
        return page, page[-1] if start + limit < len(self._range) else None


class Log:
    """One partition, made as it is read: its share of the contacts enters."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        event = {
            "event_id": "00000000-0000-0000-0000-000000000001",
            "source_type": "AUDIENCE",
            "source_id": "0",
            "profile_id": BLANK.decode(),
            "transition": "ENTER",
            "occurred_at": 1_780_000_000_000,
            "identifiers": {"2006": BLANK.decode()},
        }
        self._template = avro.frame(SCHEMA_ID, avro.encode(avro.CHANGE_SCHEMA, event))

    def __len__(self) -> int:
        return MEMBERS // PARTITIONS

    def __getitem__(self, part: slice) -> list[Message]:
        return [self._message(offset) for offset in range(*part.indices(len(self)))]

    def _message(self, offset: int) -> Message:
        key = b"%d" % (FIRST_ID + offset * PARTITIONS + self._partition)
        return Message(
            topic=TOPIC, partition=self._partition, offset=offset, key=key, value=self._template.replace(BLANK, key)
        )


def results() -> Iterator[dict[str, Any]]:
    """Give the results of all that was told, a day ago."""
    for start in range(0, MEMBERS, A_RESULT):
        contacts = [
            {
                "record_id": FIRST_ID + each,
                "outcome": "ADDED",
                "topic": TOPIC,
                "partition": each % PARTITIONS,
                "offset": each // PARTITIONS,
            }
            for each in range(start, start + A_RESULT)
        ]
        listed = {"connector": "c0", "account": "acme", "list_id": FIRST_LIST}
        yield {**listed, "answered_at": 1_700_000_000_000, "contacts": contacts}


class Made:
    """Iterates over the results without holding them."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return results()


def run(*, emptied: bool, most: int = MOST_AT_ONCE) -> Seen:
    """Audit the list, with so many contacts in memory at most."""
    w = World(make_settings(1), MemoryBroker(PARTITIONS))
    w.portal.keep_log = False
    w.account.contacts = range(FIRST_ID, FIRST_ID + 2 * MEMBERS)
    w.account.lists[FIRST_LIST] = Members(FIRST_ID + DRIFTED, 0 if emptied else MEMBERS)
    for partition in range(PARTITIONS):
        key = TopicPartition(TOPIC, partition)
        each = Log(partition)
        w.broker.log[key] = cast("MutableSequence[Message]", each)  # nobody writes to it
        w.broker.committed[key] = len(each)
    its = w.settings.accounts["acme"]
    base_url = w.settings.hubspot.base_url
    clock = w.clock.monotonic
    auth = OAuth("acme", base_url + TOKEN_PATH, its.client_id, its.client_secret, its.refresh_token, Redactor(), clock)
    client = HubSpotClient(base_url, 30.0, auth, transport=PortalTransport(w.portal, clock), wall=w.clock.time)
    topics = w.settings.topics
    records = {topics.results: Made, topics.dead_letters: list[dict[str, Any]]}
    log = audited_log(w.settings, w.broker, records, make_router(w.settings))
    reports: list[Report] = []
    budget = Budget()
    began, cpu = clock(), time.process_time()
    walk = Walk(Audit(Turns([Listed("c0", "acme", FIRST_LIST)]), log, budget, most, reports.append).steps(), budget)
    go_through(walk, {"acme": client}, {"acme": its.requests_per_10s}, clock, w.clock.advance)
    [report] = reports
    found = report.findings
    assert found is not None, report
    counts = {kind.value: number for kind, number in found.counts.items()}
    return Seen(
        members=found.members,
        in_log=found.in_log,
        missing=counts["missing"],
        unknown=counts["unknown"],
        drift=found.drift,
        requests=budget.spent,
        statuses=sorted(w.portal.statuses, key=str),
        scripted_seconds=round(clock() - began, 1),
        cpu_seconds=round(time.process_time() - cpu, 1),
        peak_mb=_peak(),
    )


def _peak() -> float:
    """Give the most memory that this process ever had resident, in MB; getrusage would count the parent's as well."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / MB


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--emptied", action="store_true")
    parser.add_argument("--most", type=int, default=MOST_AT_ONCE)
    sys.stdout.write(json.dumps(run(**vars(parser.parse_args()))._asdict()) + "\n")
