"""What a person finds who sets up: Kafka, a registry, a HubSpot, and the setup, in a process of its own."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException
from playwright.sync_api import Route
from ruamel.yaml import YAML

from consumer.simulator.accounts import Account, ContactList
from consumer.simulator.portal import Portal
from tests.browser.visitor import Visitor
from tests.real.processes import Process, free_port, running, until
from tests.real.service import CHURN, VIP, World

HUBSPOT: Final = "https://app.hubspot.com"
ACTIVE: Final = 4800  # a list that HubSpot fills by itself
GLOBEX: Final = 4900  # the list of another account
COMMENT: Final = "# Whoever changes this file tells the people on call.\n"


class Scene:
    """A setup of `file`, which runs from `open` on until the scene ends. `here` is the world around it."""

    def __init__(self, here: World, *, port: int | None = None) -> None:
        self.here = here
        self.file: Path = here.folder / "hubspot-list-sync.yaml"
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}/"
        self.redirect_uri = f"{self.url}oauth/callback"
        self.process: Process
        here.hubspot.call(self._prepare)

    def write(
        self,
        *,
        accounts: Mapping[str, Any] | None = None,
        connectors: Mapping[str, Any] | None = None,
        kafka: str | None = None,
    ) -> None:
        """Write the file by hand: where Kafka is, that nothing takes long, and accounts and connectors if there are."""
        settings = self.here.settings(hubspot={"app_url": self.here.hubspot.url})
        if kafka:
            settings["kafka"]["bootstrap.servers"] = kafka
        for name, section in (("accounts", accounts), ("connectors", connectors)):
            settings.pop(name)
            if section:
                settings[name] = dict(section)
        with self.file.open("w") as file:
            file.write(COMMENT)
            YAML().dump(settings, file)

    def read(self) -> Any:  # noqa: ANN401 - a YAML document
        """Give what the file holds now."""
        return YAML(typ="safe").load(self.file)

    def secret(self, name: str) -> Path:
        """Give a file of secrets that the setup has written."""
        return self.here.folder / "secrets" / name

    def open(self) -> None:
        """Start the setup; it is stopped with the world."""
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "consumer",
            "setup",
            "--port",
            str(self.port),
            "--config",
            self.file,
        ]
        log = self.here.folder / "setup.log"
        environ = {**self.here.process_environ, "DISPLAY": "", "WAYLAND_DISPLAY": ""}
        self.process = self.here.stack.enter_context(running(command, log, environ, grace=5.0))
        until(lambda: self.url in self.log(), self.process)

    def log(self) -> str:
        """Give all that the setup has said in its shell."""
        return self.process.log_file.read_text()

    def use_default_topics(self) -> None:
        """Let the service's topics be those that it takes without a word in the file."""
        self.here.changes = "journey.membership"
        self.here.results = "hubspot.membership.results"
        self.here.dead_letters = "hubspot.membership.dead-letters"
        for name in (self.here.changes, self.here.results, self.here.dead_letters):
            try:
                self.here.kafka.create(name)
            except KafkaException as error:  # a broker that was there before the tests may have it
                assert "already exists" in str(error)  # noqa: PT017 - which error it is, is told by its text

    def lead_to_the_simulator(self, visitor: Visitor) -> None:
        """Lead who goes to HubSpot's own address, and a setup without a file, to the simulated HubSpot."""
        simulator = self.here.hubspot.url
        self.here.environ["HUBSPOT_BASE_URL"] = simulator

        def lead(route: Route) -> None:
            answer = route.fetch(max_redirects=0)
            headers = {**answer.headers, "location": answer.headers["location"].replace(HUBSPOT, simulator)}
            route.fulfill(response=answer, headers=headers)

        visitor.context.route(f"{self.url}accounts/*/consent", lead)

    def add_globex(self) -> None:
        """Let HubSpot have a second account, which another app is for."""
        (self.here.folder / "globex-secret").write_text("globex-client-secret")

        def add(portal: Portal) -> None:
            made = Account(
                name="globex",
                client_id="globex-app",
                client_secret="globex-client-secret",
                refresh_token=None,
                hub_id=2002,
                redirect_uris={self.redirect_uri},
            )
            made.add_list(ContactList(GLOBEX, "Customers of Globex"))
            portal.add_account(made)

        self.here.hubspot.call(add)

    def globex(self) -> frozenset[int]:
        """Give who is on the list of the second account."""
        return self.here.hubspot.call(lambda portal: portal.accounts["globex"].lists[GLOBEX].members)

    def _prepare(self, portal: Portal) -> None:
        account = portal.accounts["acme"]
        account.redirect_uris = {self.redirect_uri}
        account.add_list(ContactList(ACTIVE, "Active buyers", processing_type="DYNAMIC"))


def acme() -> dict[str, Any]:
    """Give an account as a file has it that is authorized."""
    return {
        "client_id": "acme-app",
        "client_secret": {"file": "client-secret"},
        "refresh_token": {"file": "refresh-token"},
        "requests_per_10s": 100,
    }


def vip() -> dict[str, Any]:
    """Give a connector as a file has it."""
    return {"account": "acme", "list_id": VIP, "source": "audience:vip"}


def churn() -> dict[str, Any]:
    """Give another one."""
    return {"account": "acme", "list_id": CHURN, "source": "audience:churn"}
