"""Every command of the runbook is run, in its order, on real parts, or says that it is not and why."""

import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from consumer.simulator.faults import Fault
from tests.house.tree import ROOT
from tests.real import kafka_broker, parts
from tests.real.authority import Authority
from tests.real.kafka import Event, Kafka
from tests.real.kafka_broker import Broker
from tests.real.processes import free_port, run, until
from tests.real.registry_server import RegistryServer
from tests.real.service import VIP, Service, World, world

pytestmark = pytest.mark.process

RUNBOOK = (ROOT / "deploy" / "runbook.md").read_text("utf-8")
HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]+))?\)")
NOT_RUN = re.compile(r"not run: \w.+")
TO_THE_PIPE = "run up to the pipe: the rest needs a cluster"

KAFKA = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}
"""What Kafka's commands start."""

DRIFT = {("Audit and rebuild", "hubspot-list-sync audit --connector vip")}
"""Under which heading an audit finds somebody, which is exit code 1."""

GUARD = {"max_removed_share": "50%", "above": 10}


@dataclass(frozen=True)
class Command:
    """One line of the runbook, and the heading it stands under. `remark` is what its comment says."""

    heading: str
    text: str
    remark: str


def commands() -> Iterator[Command]:
    """Yield every command in the runbook's order."""
    places = [(match.start(), match[1]) for match in HEADING.finditer(RUNBOOK)]
    for block in BLOCK.finditer(RUNBOOK):
        heading = [name for start, name in places if start < block.start()][-1]
        for line in re.sub(r" \\\n\s*", " ", block[1]).splitlines():
            text, _, remark = line.strip().partition("  # ")
            yield Command(heading, text, remark)


COMMANDS = list(commands())


class Shell:
    """Types commands as the runbook has them, beside a running service; addresses and names are those of the test.

    Service and commands come to Kafka as a user who may do what the runbook's access control lists say, and no more.
    """

    def __init__(self, here: World, folder: Path, authority: Authority) -> None:
        self._here = here
        self._folder = folder
        self._sections: dict[str, dict[str, Any]] = {
            "guard": GUARD,
            "kafka": {
                "bootstrap.servers": here.broker.sasl_ssl,
                "topic.metadata.refresh.interval.ms": 1000,
                "security.protocol": "SASL_SSL",
                "sasl.mechanisms": "SCRAM-SHA-512",
                "sasl.username": kafka_broker.USER,
                "sasl.password": {"env": "KAFKA_PASSWORD"},
                "ssl.ca.location": str(authority.ca_file),
            },
            "admin": {"address": f"127.0.0.1:{free_port()}"},
            "connectors": {"vip": {"account": "acme", "list_id": VIP, "source": "audience:vip"}},
        }
        here.environ["KAFKA_PASSWORD"] = kafka_broker.PASSWORD
        (folder / "secrets").mkdir()
        for name in ("client-secret", "refresh-token"):
            (folder / "secrets" / f"acme-{name}").write_text((here.folder / name).read_text())
        self._names = {
            "kafka:9092": here.broker.bootstrap,
            "journey.membership": here.changes,
            "hubspot.membership.results": here.results,
            "hubspot.membership.dead-letters": here.dead_letters,
            "--group hubspot-list-sync": f"--group {here.group}",
            "User:hubspot-list-sync": f"User:{kafka_broker.USER}",
            "--replication-factor 3": "--replication-factor 1",
        }
        self.service: Service

    def type(self, command: Command) -> str:
        """Run one command; give what it prints. AssertionError with all it said if it fails."""
        text = command.text
        if command.remark == TO_THE_PIPE:
            text, _, rest = text.partition(" | ")
            assert rest == "kubectl apply -f -"
        for name, ours in self._names.items():
            text = text.replace(name, ours)
        name, *words = shlex.split(text)
        if name == "hubspot-list-sync":
            code = 1 if (command.heading, command.text) in DRIFT else 0
            return self._here.run(*words, code=code, **self._sections)
        if name == "kubectl":
            return run(["env", "-C", self._folder, Path(sys.executable).with_name("kubectl"), *words]).decode()
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
        java = [*parts.JAVA, quiet, "-cp", f"{parts.resolve()}/*", KAFKA[name]]
        return run([*java, *words]).decode()

    def start(self) -> None:
        """Start the service."""
        self.service = self._here.start(**self._sections)
        self.service.until_said("partitions assigned")

    def stop(self) -> None:
        """Stop it, as a scale to 0 does."""
        self.service.process.signal(signal.SIGTERM)
        assert self.service.process.wait(30) == 0

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until it is so, while the service runs."""
        until(condition, self.service.process, within=60)

    # What comes before the commands of a heading.

    def an_audience_with_a_history(self) -> None:
        """Write who is in the audience, and start the service."""
        self._here.tell(*[Event(contact) for contact in range(1, 151)])
        self.start()
        self.until(lambda: len(self._here.members()) == 150)

    def dead_letters(self) -> None:
        """Let HubSpot forbid the list for a while."""
        self._here.inject(Fault("forbidden", method="PUT"))
        self._here.tell(*[Event(contact) for contact in range(201, 206)])
        self.until(lambda: self.service.total("dead_letters_total", reason="FORBIDDEN") > 0)
        self._here.heal()

    def changed_by_hand(self) -> None:
        """Put somebody on the list who never entered the audience; what was replayed is there."""
        assert set(range(201, 206)) <= self._here.members()
        self._here.hubspot.call(lambda portal: portal.accounts["acme"].lists[VIP].join(999, 0.0))

    def a_mass_exit(self) -> None:
        """Let nearly everybody leave, which the guard holds; who was put there by hand is gone."""
        assert 999 not in self._here.members()
        self.restart()  # the list was parked; a fresh service looks at it at once
        self._here.tell(*[Event(contact, "EXIT") for contact in range(1, 141)])
        self.until(lambda: self.service.total("needs_attention", reason="HELD") == 1)

    def released(self) -> None:
        """Wait until what was held has left."""
        self.until(lambda: not set(range(1, 141)) & self._here.members())

    def nothing_waits(self) -> None:
        """Wait until all is committed."""
        self.until(lambda: self._here.committed() == self._here.kafka.end(self._here.changes))

    def retention_passed(self) -> None:
        """Let retention take what the service, while it is away, has not read; new partitions are read before."""
        here = self._here
        fresh = Kafka(here.broker.bootstrap, here.registry.client())  # who knows the topic hears of partitions late
        fresh.tell(here.changes, Event(301), partition=20)
        fresh.close()
        self.until(lambda: 301 in here.members())
        self.stop()
        end = here.kafka.end(here.changes)
        here.tell(Event(302), Event(303))
        here.kafka.delete_records(here.changes, before=end + 1)
        self.start()
        self.until(lambda: self.service.total("needs_attention", reason="OFFSET_OUT_OF_RANGE") == 1)
        self.stop()

    def going_on(self) -> None:
        """Start again: what retention left is applied, what it took is not."""
        self.start()
        self.nothing_waits()
        assert {302, 303} & self._here.members() == {303}
        assert self.service.total("needs_attention") == 0


BEFORE: dict[str, Callable[[Shell], None]] = {
    "Fill the list": Shell.an_audience_with_a_history,
    "Replay dead letters": Shell.dead_letters,
    "Audit and rebuild": Shell.changed_by_hand,
    "Release what the guard holds": Shell.a_mass_exit,
    "Move or delete a connector": Shell.released,
    "Change the number of partitions": Shell.nothing_waits,
    "When retention has passed the committed offset": Shell.retention_passed,
    "HubSpotListSyncDown": Shell.going_on,
}
"""What is made so before the commands of a heading are typed; and what must have become of those before."""


def test_every_command_does_what_the_runbook_says(
    secure_broker: Broker, registry: RegistryServer, authority: Authority, tmp_path: Path
) -> None:
    """From the first topic to the last alert, each command that is not marked as not run ends well."""
    to_come = dict(BEFORE)
    said: dict[str, str] = {}
    with world(secure_broker, registry, tmp_path) as here:
        shell = Shell(here, tmp_path, authority)
        for command in COMMANDS:
            if prepare := to_come.pop(command.heading, None):
                prepare(shell)
            again = command.text in said and command.heading.startswith("HubSpotListSync")  # as it was above
            if not again and not NOT_RUN.fullmatch(command.remark):
                said[command.text] = shell.type(command)
    assert to_come == {}
    [secret] = {text for line, text in said.items() if line.startswith("kubectl create secret")}
    assert YAML(typ="safe").load(secret)["kind"] == "Secret"
    assert "PartitionCount: 24" in said[next(line for line in said if "--describe --topic journey" in line)]


def test_every_command_is_run_or_says_why_not() -> None:
    """A remark behind a command is one that the test knows, and only commands of clusters and browsers are left out."""
    for command in COMMANDS:
        assert not command.remark or command.remark == TO_THE_PIPE or NOT_RUN.fullmatch(command.remark), command
        if NOT_RUN.fullmatch(command.remark):
            assert command.text.startswith(("kubectl ", "hubspot-list-sync setup")), command
    assert len([command for command in COMMANDS if not command.remark]) > 30


def test_every_link_of_the_runbook_leads_somewhere() -> None:
    """A section or file that the runbook refers to is there."""
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in HEADING.findall(RUNBOOK)}
    for file, anchor in LINK.findall(RUNBOOK):
        assert file or anchor in anchors, anchor
        assert not file or (ROOT / "deploy" / file).resolve().exists(), file
    for file, anchor in re.findall(
        r"\]\(([^)#]*deploy/runbook\.md)(?:#([^)]+))?\)", (ROOT / "README.md").read_text("utf-8")
    ):
        assert (ROOT / file).exists()
        assert not anchor or anchor in anchors


def test_the_scaling_table_adds_up() -> None:
    """In every row the requests that the lists need fit into HubSpot's limit, and the shares are that limit's."""
    start = RUNBOOK.index("| lists that change |")
    rows = [line.strip("| ").split(" | ") for line in RUNBOOK[start:].partition("\n\n")[0].splitlines()[2:]]
    assert len(rows) >= 5
    for row in rows:
        lists, changes, limit, partitions, replicas = (
            int(re.sub(r"\D.*", "", cell.replace(",", ""))) for cell in row[:5]
        )
        [(number, unit)] = re.findall(r"(\d+)([sm])", row[5])
        max_age = int(number) * {"s": 1, "m": 60}[unit]
        most = int(found[0]) if (found := re.findall(r"max_contacts: (\d+)", row[2])) else 1000
        assert lists * replicas * 10 / max_age <= limit, row
        assert changes <= limit / 10 * most, row
        assert limit - replicas < int(row[6].strip("| ")) * replicas <= limit, row
        assert replicas <= partitions, row


def test_what_runs_kubectl_is_there() -> None:
    """The client that types the commands of a cluster is among what the tests bring."""
    assert os.access(Path(sys.executable).with_name("kubectl"), os.X_OK)
