"""`setup`, as it is typed: against a simulated HubSpot with its consent page, an embedded Kafka and a registry."""

import io
import json
import re
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from consumer.cli import main
from consumer.settings import Settings, load
from consumer.simulator import ContactList
from tests.commands.world import CHANGES, DEAD_LETTERS, RESULTS, SECRETS, World, account, cells, world
from tests.real.processes import PATIENCE, free_port, running, until

pytestmark = pytest.mark.process

CALLBACK = "http://localhost:8765/oauth/callback"
NOWHERE = "127.0.0.1:1"
COMMENT = "# ours"
TOKEN = SECRETS["refresh_token"]

Answer = str | Callable[[str], str]
"""What somebody types: a line, or what they make of all that was told so far."""


class Person(io.RawIOBase):
    """Answers each question when it is asked."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self._answers = list(answers)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - the base's signature
        """Give the next line; nothing when there is none."""
        if not len(buffer) or not self._answers:
            return 0
        answer = self._answers.pop(0)
        if callable(answer):
            captured: Any = sys.stderr  # CliRunner's
            captured.flush()
            answer = answer(captured.buffer.getvalue().decode())
        line = f"{answer}\n".encode()
        buffer[: len(line)] = line
        return len(line)


def consent_address(told: str) -> str:
    """Give the last address of a consent page that was printed."""
    addresses: list[str] = re.findall(r"^http\S+/oauth/authorize\?\S+$", told, re.MULTILINE)
    return addresses[-1]


def decides(decision: str) -> Callable[[str], str]:
    """Open the consent page, press a button, and copy the address of the page that the browser ends at."""

    def visit(told: str) -> str:
        address = consent_address(told)
        assert httpx.get(address).status_code == 200
        answer = httpx.post(address, data={"account": "acme", "decision": decision})
        assert answer.headers["Location"].startswith(CALLBACK)
        return str(answer.headers["Location"])

    return visit


connects, cancels = decides("connect"), decides("cancel")


class Desk:
    """A machine with a shell: a folder with a client secret and a file that knows where HubSpot is."""

    def __init__(self, folder: Path, at: World) -> None:
        self.world = at
        self.folder = folder
        self.file = folder / "sync.yaml"
        self.kafka = str(at.tree["kafka"]["bootstrap.servers"])
        self.write()
        (folder / "client-secret").write_text(f"{SECRETS['client_secret']}-acme\n")

    def write(self, base_url: str = "") -> None:
        """Begin with a file that says nothing but where HubSpot is."""
        app_url = self.world.server.url
        self.file.write_text(f"{COMMENT}\nhubspot:\n  base_url: {base_url or app_url}\n  app_url: {app_url}\n")

    def type(self, *arguments: str, person: Person | None = None) -> Result:
        """Type `setup --no-browser` and more; no secret may be told."""
        result = CliRunner().invoke(
            main,
            ["setup", "--no-browser", *arguments, "--config", str(self.file)],
            input=io.BufferedReader(person or Person()),
            env={"COLUMNS": "250", "HUBSPOT_BASE_URL": None},
        )
        for secret in self.secrets():
            assert secret not in result.output
        return result

    def configure(self, **connectors: dict[str, Any]) -> None:
        """Write a file by hand that has an authorized account, with more connectors than `vip`."""
        self.world.at_hubspot(lambda portal: setattr(portal.accounts["acme"], "refresh_token", TOKEN))
        self.token_file.parent.mkdir()
        self.token_file.write_text(TOKEN)
        token = {"refresh_token": {"file": "secrets/acme-refresh-token"}}
        credentials = {"client_secret": {"file": "client-secret"}, **token}
        vip = {"account": "acme", "list_id": 10, "source": "audience:vip"}
        tree = {
            **self.world.tree,
            "hubspot": {"base_url": self.world.server.url, "app_url": self.world.server.url},
            "accounts": {"acme": {"client_id": "app-acme", **credentials, "requests_per_10s": 90}},
            "connectors": {"vip": vip, **connectors},
        }
        with self.file.open("w") as file:
            YAML(typ="safe").dump(tree, file)

    @property
    def token_file(self) -> Path:
        """Where the setup writes the refresh token."""
        return self.folder / "secrets" / "acme-refresh-token"

    def secrets(self) -> Iterator[str]:
        """Yield what nobody may see."""
        yield from (SECRETS["client_secret"], TOKEN)
        if self.token_file.exists():
            yield self.token_file.read_text()

    def unattended(self, *arguments: str, person: Person | None = None, **instead: str | None) -> Result:
        """Type all that there is to say."""
        said: dict[str, str | None] = {
            "account": "acme",
            "client-id": "app-acme",
            "client-secret-file": str(self.folder / "client-secret"),
            "bootstrap-servers": self.kafka,
            "registry-url": self.world.registry.url,
            "list": "10",
            "source": "audience:vip",
            "connector": "vip",
            **{key.replace("_", "-"): value for key, value in instead.items()},
        }
        options = [part for key, value in said.items() if value is not None for part in (f"--{key}", value)]
        return self.type(*options, "--yes", *arguments, person=person or Person(connects))

    def members(self) -> frozenset[int]:
        """Give who is on the list at HubSpot."""
        found: frozenset[int] = self.world.at_hubspot(lambda portal: portal.accounts["acme"].lists[10].members)
        return found

    def settings(self) -> Settings:
        """Give what the file says now."""
        return load(self.file, {})

    def is_untouched(self) -> bool:
        """Tell whether there is nothing in the file that was not there in the beginning."""
        return "connectors" not in self.file.read_text()


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Iterator[Desk]:
    """Yield a desk; the account has not been authorized, and its topics have events."""
    lists = (ContactList(10, "VIP", members=[1, 2, 3]), ContactList(16, "Old", legacy_id=3))
    app = account("acme", *lists, redirect_uris={CALLBACK})
    app.refresh_token = None
    with world(tmp_path, app) as at:
        at.create_topics(CHANGES, RESULTS, DEAD_LETTERS)
        at.registry.registers = True
        for contact in (1, 4):
            tell(at, contact)
        (tmp_path / "desk").mkdir()
        yield Desk(tmp_path / "desk", at)


def tell(at: World, contact: int, source: str = "vip") -> None:
    """Write an event."""
    at.write(
        CHANGES,
        {
            "event_id": "00000000-0000-0000-0000-000000000001",
            "source_type": "AUDIENCE",
            "source_id": source,
            "profile_id": str(contact),
            "transition": "ENTER",
            "occurred_at": at.now_ms(),
            "identifiers": {"2006": str(contact)},
        },
    )


def test_from_nothing_without_a_question(desk: Desk) -> None:
    """One command line and one pasted address make a configuration that is complete and safe; no request is sent."""
    done = desk.unattended()
    assert (done.exit_code, done.stdout) == (0, f"vip was saved in {desk.file}\n"), done.output
    assert "The last 2 events of audience:vip make this request; it is not sent:" in done.stderr
    assert 'recordIdsToAdd: ["1", "4"]' in done.stderr
    assert ["scopes", "accounts.acme", "✓ all four are granted", ""] in cells(done.stderr)
    assert desk.members() == {1, 2, 3}
    settings = desk.settings()
    vip = settings.connectors["vip"]
    assert (vip.account, vip.list_id, str(vip.source), vip.identifier) == ("acme", 10, "audience:vip", "2006")
    assert vip.enabled
    assert settings.accounts["acme"].requests_per_10s == 100
    assert settings.kafka["group.id"] == "hubspot-list-sync"
    assert desk.file.read_text().startswith(COMMENT)
    assert stat.S_IMODE(desk.token_file.stat().st_mode) == 0o600


def test_the_same_again_changes_nothing(desk: Desk) -> None:
    """A script may be run again: nobody is asked for anything, and the file stays as it is."""
    desk.configure()
    before = desk.file.read_text()
    again = desk.unattended(person=Person())
    assert again.exit_code == 0, again.output
    assert "Nothing changes in the file." in again.stderr
    assert desk.file.read_text() == before


def test_a_second_list_of_the_same_account(desk: Desk) -> None:
    """Of an account of the file nothing more has to be said; a new list is made on the way."""
    desk.configure()
    second = desk.type("--account", "acme", "--create-list", "Winback", "--source", "journey:w", "--yes", "--json")
    told = json.loads(second.stdout)
    assert (second.exit_code, told["saved"], told["connector"], told["list_name"]) == (0, True, "winback", "Winback")
    assert list(desk.settings().connectors) == ["vip", "winback"]


def test_a_connector_is_disabled(desk: Desk) -> None:
    """The rest of it stays."""
    desk.configure()
    assert desk.type("--connector", "vip", "--disabled", "--yes").exit_code == 0
    vip = desk.settings().connectors["vip"]
    assert (vip.enabled, vip.list_id) == (False, 10)


def test_the_list_is_filled(desk: Desk) -> None:
    """With --fill the list has all whom the log has in it."""
    desk.configure()
    done = desk.type("--connector", "vip", "--fill", "--yes")
    assert done.exit_code == 0, done.output
    assert ["1", "applied, added to the list"] in [row[:2] for row in cells(done.stdout)]
    assert desk.members() == {1, 2, 3, 4}


def test_a_conversation(desk: Desk) -> None:
    """Without options every step is asked for, with what there is to choose from."""
    secret = str(desk.folder / "client-secret")
    answers = (desk.kafka, "", desk.world.registry.url, "acme", "app-acme", secret, "", connects)
    done = desk.type(person=Person(*answers, "ol", "16", "1", "", "", "y", "n"))
    assert done.exit_code == 0, done.output
    assert ["16", "Old", "0", ""] in cells(done.stderr)
    assert any(row[:3] == ["1", "audience:vip", "2"] for row in cells(done.stderr))
    old = desk.settings().connectors["old"]
    assert (old.list_id, str(old.source)) == (16, "audience:vip")


def test_for_kubernetes(desk: Desk) -> None:
    """The file stays as it is; stdout can be given to a shell, and names files instead of holding secrets."""
    done = desk.unattended("--kubernetes")
    assert done.exit_code == 0, done.output
    assert desk.is_untouched()
    assert "kubectl create secret generic hubspot-list-sync-acme" in done.stdout
    assert (desk.folder / "secrets" / "acme-refresh-token").exists()


# What goes wrong.


def failed(result: Result, *told: str) -> str:
    """Give the last line that a failure told."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert "Traceback" not in result.stderr
    last = result.stderr.splitlines()[-1]
    assert all(part in last for part in told), result.stderr
    return last


def test_a_wrong_client_secret(desk: Desk) -> None:
    """HubSpot's word for it is told with what to do."""
    (desk.folder / "client-secret").write_text("of-another-app")
    failed(desk.unattended(), "does not take the client secret of acme", "Copy it anew")
    assert desk.is_untouched()


def test_a_client_secret_that_is_not_there(desk: Desk) -> None:
    """Before HubSpot is asked it is said which file is missing."""
    failed(desk.unattended(client_secret_file="nowhere/secret"), "nowhere/secret is not there")
    assert desk.world.at_hubspot(lambda portal: portal.log) == []


def test_a_denied_consent(desk: Desk) -> None:
    """Whoever pressed Cancel is told what to press."""
    failed(desk.unattended(person=Person(cancels)), "was not given the permission for acme", "Authorize again")
    assert desk.is_untouched()


def test_a_wrong_state(desk: Desk) -> None:
    """An address of another setup is refused, whoever pasted it."""
    foreign = f"{CALLBACK}?code=some-code&state=of-another-setup"
    failed(desk.unattended(person=Person(foreign)), "belongs to no authorization that was begun here")
    assert desk.is_untouched()


def test_a_code_that_was_used(desk: Desk) -> None:
    """HubSpot takes a code once; that is told."""

    def pastes_too_late(told: str) -> str:
        answer = connects(told)
        [code] = parse_qs(urlsplit(answer).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": "app-acme"}
        form["client_secret"] = f"{SECRETS['client_secret']}-acme"
        assert httpx.post(f"{desk.world.server.url}/oauth/2026-03/token", data=form).status_code == 200
        return answer

    failed(desk.unattended(person=Person(pastes_too_late)), "code", "once", "uthorize")


def test_a_missing_scope(desk: Desk) -> None:
    """A scope that was not granted is named."""
    desk.world.at_hubspot(lambda portal: portal.accounts["acme"].withheld_scopes.add("crm.lists.write"))
    failed(desk.unattended(), "without crm.lists.write", "Add that to the app's scopes")


def test_an_id_of_an_older_api(desk: Desk) -> None:
    """HubSpot's pages show two ids of a list; the right one is told."""
    failed(desk.unattended(list="3"), "3 is the id of list Old in an older API", "Take 16")


def test_a_list_that_is_not_there(desk: Desk) -> None:
    """An id of nothing is told."""
    failed(desk.unattended(list="99"), "account acme has no list 99")


def test_a_taken_name(desk: Desk) -> None:
    """No second list is made; the one that has the name is told."""
    failed(desk.unattended(list=None, create_list="vip"), "is taken by list 10")
    assert desk.world.at_hubspot(lambda portal: sorted(portal.accounts["acme"].lists)) == [10, 16]


def test_a_list_that_another_connector_has(desk: Desk) -> None:
    """A list has one connector: the proof says so, and nothing is saved."""
    desk.configure()
    before = desk.file.read_text()
    failed(desk.unattended(connector="other", person=Person()), "nothing was saved")
    assert desk.file.read_text() == before


def test_hubspot_is_down(desk: Desk) -> None:
    """When HubSpot does not answer, that is told."""
    desk.write(base_url=f"http://{NOWHERE}")
    failed(desk.unattended(), "Connection refused")


def test_kafka_is_down(desk: Desk) -> None:
    """The proof says that Kafka does not answer; nothing is saved without a person who insists."""
    down = desk.unattended(bootstrap_servers=NOWHERE)
    assert any(f"Kafka at {NOWHERE} cannot be asked" in cell for row in cells(down.stderr) for cell in row)
    failed(down, "nothing was saved: mend the problem")
    assert desk.is_untouched()


def test_a_revoked_token_is_repaired(desk: Desk) -> None:
    """--authorize puts a new token in the place of the old one, and nothing else changes."""
    desk.configure()
    before = desk.file.read_text()
    desk.token_file.write_text("was-revoked")
    repaired = desk.type("--authorize", person=Person("", connects))
    assert (repaired.exit_code, repaired.stdout) == (0, ""), repaired.output
    assert desk.token_file.read_text() == desk.world.at_hubspot(lambda portal: portal.accounts["acme"].refresh_token)
    assert desk.file.read_text() == before


def test_a_revoked_token_is_told_on_the_way(desk: Desk) -> None:
    """Whoever does something else is led to the consent page first."""
    desk.configure()
    desk.token_file.write_text("was-revoked")
    told = desk.type("--connector", "vip", "--disabled", "--yes")
    failed(told, "nobody answers the question: The address that the browser shows then")
    assert "no longer takes the refresh token of acme" in told.stderr


def test_a_file_that_is_wrong(desk: Desk) -> None:
    """What is wrong with the file is told with its place."""
    desk.file.write_text("hubspot: {base_url: nonsense}\n")
    failed(desk.unattended(), "hubspot.base_url", "must be a URL")


# Wrong usage.


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--list", "10"], "--list is for the shell: add --no-browser."),
        (["--json"], "--json is for the shell: add --no-browser."),
        (["--no-browser", "--list", "10", "--create-list", "A"], "--list and --create-list exclude each other."),
        (
            ["--no-browser", "--client-secret-file", "a", "--client-secret-env", "A"],
            "--client-secret-file and --client-secret-env exclude each other.",
        ),
        (["--no-browser", "--fill", "--kubernetes"], "--fill needs the file: leave out --kubernetes."),
        (["--no-browser", "--authorize", "--list", "10"], "--list concerns a connector: leave out --authorize."),
        (["--no-browser", "--source", "vip"], "'vip' is no source: write audience:ID or journey:ID."),
        (["--port", "0"], "0 is not in the range"),
    ],
)
def test_wrong_usage(arguments: list[str], told: str) -> None:
    """What would not be heard, or cannot be meant, is refused before anything is asked."""
    result = CliRunner().invoke(main, ["setup", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in " ".join(result.stderr.split())


# The pages.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_pages_are_served_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """The address is printed and opened in the browser; a signal ends it well."""
    port, opened = free_port(), tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o700)
    command: list[str | Path] = [sys.executable, "-m", "consumer", "setup"]
    command += ["--port", str(port), "--config", tmp_path / "new.yaml"]
    with running(command, tmp_path / "log", {"BROWSER": str(browser)}) as process:
        url = f"http://localhost:{port}/"
        until(opened.exists, process)
        assert opened.read_text() == url
        page = httpx.get(url)
        assert (page.status_code, "HubSpot list sync setup" in page.text) == (200, True)
        process.signal(number)
        assert process.wait(PATIENCE) == 0, process.tail()
        assert f"Open {url} in a browser" in process.tail()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """It is said what is the case, and that another port is another redirect URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        result = CliRunner().invoke(main, ["setup", "--port", port, "--config", str(tmp_path / "new.yaml")])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "name another port with --port" in result.stderr
    assert "must be a redirect URL of the app" in result.stderr
