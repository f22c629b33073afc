"""`release`, typed beside a member whose loop is played by the test."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry

from consumer.admin import AdminServer
from consumer.cli import main
from consumer.status import ListStatus, ServiceStatus
from tests.commands.registry import served
from tests.real.processes import free_port

pytestmark = pytest.mark.process

STATUS = ServiceStatus(
    lists=(ListStatus("vip", "acme", 10, "VIP", "audience:vip", enabled=True, waiting=8_000),),
    partitions=(),
    paused=False,
    draining=False,
    ready=True,
    last_turn=0.0,
    started_at=0.0,
    version="0",
)


@contextmanager
def member(contacts: int | None, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Let a member run that holds so many contacts; give the port of its admin server."""

    def release(_connector: str, told: Callable[[int | None], None]) -> None:
        told(contacts)

    with AdminServer(host, port, CollectorRegistry(), lambda: STATUS, release) as server:
        yield int(server.url.rpartition(":")[2])


@pytest.fixture
def typed(tmp_path: Path) -> Callable[..., Result]:
    """Give what types the command, with a configuration that has this address."""

    def call(*words: str, address: str = "127.0.0.1:1") -> Result:
        tree: dict[str, Any] = {
            "kafka": {"bootstrap.servers": "nowhere:1", "group.id": "g"},
            "accounts": {
                "acme": {
                    "client_id": "a",
                    "client_secret": {"env": "SECRET"},
                    "refresh_token": {"env": "SECRET"},
                    "requests_per_10s": 9,
                }
            },
            "connectors": {"vip": {"account": "acme", "list_id": 10, "source": "audience:vip"}},
            "admin": {"address": address},
        }
        file = tmp_path / "config.yaml"
        file.write_text(json.dumps(tree))
        return CliRunner().invoke(main, ["release", *words, "--config", str(file)], env={"SECRET": "hunter2"})

    return call


@pytest.mark.parametrize(("listens", "host"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("::", "[::]")])  # noqa: S104 - the default of admin.address is a case to test
def test_a_release_at_the_address_of_the_file(typed: Callable[..., Result], listens: str, host: str) -> None:
    """Who types it on the member's machine names nothing but the connector, and hears how many contacts go."""
    with member(8_000, listens) as port:
        result = typed("vip", address=f"{host}:{port}")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "8,000 contacts of connector vip are let go\n", "")


def test_a_release_for_programs_at_another_address(typed: Callable[..., Result]) -> None:
    """Where the server is elsewhere on the machine its address is named; a program gets one object."""
    with member(3) as port:
        result = typed("vip", "--address", f"localhost:{port}", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"connector": "vip", "contacts": 3})


def test_what_the_member_says_is_passed_on(typed: Callable[..., Result]) -> None:
    """A connector that is not held, or does not exist, is a failure that says which."""
    with member(None) as port:
        idle, unknown = (typed(name, address=f"127.0.0.1:{port}") for name in ("vip", "wip"))
    assert (idle.exit_code, idle.stderr) == (1, "nothing of connector vip is held by this member.\n")
    assert (unknown.exit_code, unknown.stderr) == (1, "there is no connector wip. Name one of: vip.\n")


def test_a_member_that_is_not_there(typed: Callable[..., Result]) -> None:
    """Where nobody listens, the address is named and what to do about it."""
    port = free_port()
    result = typed("vip", address=f"127.0.0.1:{port}")
    assert result.exit_code == 1
    assert f"no answer from 127.0.0.1 port {port}" in result.stderr
    assert "--address" in result.stderr


def test_something_else_that_listens_there(typed: Callable[..., Result]) -> None:
    """What is no member is not taken for one, whatever it answers."""
    with served() as registry:
        result = typed("vip", address=registry.url.removeprefix("http://"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is no member of this service (it answered 403)" in result.stderr


@pytest.mark.parametrize("words", [["--address", "nowhere"], ["--address", "a:b"], ["--address", "127.0.0.1:0"], []])
def test_an_address_that_cannot_be_asked(typed: Callable[..., Result], words: list[str]) -> None:
    """An address without a port to ask is a mistake in typing, told before anybody is asked."""
    result = typed("vip", *words, address="127.0.0.1:0")
    assert result.exit_code == 2
    assert "address" in result.stderr
