"""A real Apache Kafka broker: the first that is there of KAFKA_BOOTSTRAP_SERVERS, Docker, and Java with Maven."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from tests.real import parts
from tests.real.authority import Authority
from tests.real.processes import Process, Restartable, free_port, run, until

IMAGE = "apache/kafka:4.3.1"
USER = "sync"
PASSWORD = "open-sesame"
CLUSTER_ID = "dGVzdHMvcmVhbC9rYWZrYQ"  # any 16 bytes, in base64

_INSIDE = 9092  # the container's port

_COMMON = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
}
"""Properties of one node with both roles, apart from where it listens."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is. `sasl_ssl` is its listener with SASL_SSL and SCRAM-SHA-512, for USER with PASSWORD."""

    bootstrap: str
    sasl_ssl: str | None = None

    @property
    def port(self) -> int:
        """Port of the first address."""
        return int(self.bootstrap.partition(",")[0].rpartition(":")[2])


class JavaBroker(Restartable):
    """Context manager: the broker that Maven brings, with its data in `folder`.

    Who comes without a name may do all; others what the topic's access control lists say, and all where it has none.
    It has as many more SASL_SSL listeners as there are `ways`: each is the port of a proxy, which clients are told, and
    the proxy's target.
    """

    def __init__(self, folder: Path, authority: Authority, *, ways: int = 0) -> None:
        super().__init__()
        port, secure_port, controller_port = free_port(), free_port(), free_port()
        self.broker = Broker(f"127.0.0.1:{port}", f"127.0.0.1:{secure_port}")
        self.ways = tuple((free_port(), free_port()) for _ in range(ways))
        self._folder = folder
        self._file = folder / "server.properties"
        self._write_properties(controller_port, authority)
        self._java: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        jars = parts.resolve()
        self._java = (*parts.JAVA, "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{jars}/*")
        format_it = [*self._java, "kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID]
        scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
        run([*format_it, "-c", self._file, "--add-scram", scram])
        return super().__enter__()

    def _start(self) -> None:
        command: list[str | Path] = [*self._java, "kafka.Kafka", self._file]
        process = self._run(command, self._folder / "broker.log")
        wait_for(self.broker.bootstrap, process)

    def _write_properties(self, controller_port: int, authority: Authority) -> None:
        plain, secure = self.broker.bootstrap, self.broker.sasl_ssl
        usual = f"PLAINTEXT://{plain},SASL_SSL://{secure},CONTROLLER://127.0.0.1:{controller_port}"
        names = ["SASL_SSL", *(f"WAY{number}" for number in range(len(self.ways)))]
        told, listening = (
            "".join(f",WAY{number}://127.0.0.1:{way[end]}" for number, way in enumerate(self.ways)) for end in (0, 1)
        )
        properties = {
            **_COMMON,
            "listener.security.protocol.map": ",".join(
                (_COMMON["listener.security.protocol.map"], *(f"{name}:SASL_SSL" for name in names[1:]))
            ),
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
            "listeners": usual + listening,
            "advertised.listeners": usual + told,
            "log.dirs": str(self._folder / "data"),
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            **{
                f"listener.name.{name.lower()}.scram-sha-512.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                )
                for name in names
            },
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(authority.server_file),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
            "super.users": "User:ANONYMOUS",
        }
        self._file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))


@contextmanager
def any_broker(folder: Path, authority: Authority) -> Iterator[Broker]:
    """Give the first broker that is there. Ends the whole run with a message if there is none."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield Broker(given)
    elif _docker_answers():
        with _docker_broker() as broker:
            yield broker
    else:
        with JavaBroker(folder, authority) as java:
            yield java.broker


def wait_for(bootstrap: str, process: Process) -> None:
    """Wait until the broker answers, and has made the topic that groups commit to."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nobody", "log_level": 0})

    def answers() -> bool:
        try:
            consumer.committed([TopicPartition("none", 0)], timeout=0.5)
        except KafkaException:
            return False
        return True

    try:
        until(answers, process, within=60)
    finally:
        consumer.close()


def _docker_answers() -> bool:
    try:
        return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0  # noqa: S607 - docker, wherever it is
    except FileNotFoundError:
        return False


@contextmanager
def _docker_broker() -> Iterator[Broker]:
    port = free_port()
    properties = {
        **_COMMON,
        "controller.quorum.voters": "1@127.0.0.1:9093",
        "listeners": f"PLAINTEXT://:{_INSIDE},CONTROLLER://127.0.0.1:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:9093",
    }
    container = DockerContainer(IMAGE).with_bind_ports(_INSIDE, port).with_env("CLUSTER_ID", CLUSTER_ID)
    for name, value in properties.items():
        container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
    with container.waiting_for(LogMessageWaitStrategy("Kafka Server started")):
        yield Broker(f"127.0.0.1:{port}")
