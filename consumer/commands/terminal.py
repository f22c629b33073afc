"""`setup --no-browser`: the steps of the setup in a shell, one question after the other.

What options give is not asked. Questions, and what leads to them, go to stderr; what came of it goes to stdout.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from consumer.commands import tables
from consumer.commands.questions import ask, ask_redirect, confirm, missing
from consumer.settings import Source
from consumer.settings.values import RECORD_ID_SLOT
from consumer.setup.words import (
    AccountForm,
    AccountView,
    Choice,
    ConnectorView,
    Granted,
    ListOption,
    Proof,
    SetupProblem,
    SourceOption,
)

if TYPE_CHECKING:  # it loads slowly
    from consumer.setup.session import Session

REQUESTS = "100"  # in 10 s: what the smallest of HubSpot's plans allows an app
KAFKA = {"group_id": "hubspot-list-sync", "registry_url": "http://schema-registry:8081"}
ASK_HUBSPOT = "Asking HubSpot …"

# What another visit to the consent page may mend, of what came of one; and of what HubSpot refuses later.
_ANOTHER_VISIT = {"consent_denied", "wrong_state", "code_used", "missing_scope", "no_lists_tool", "other_portal"}
_ANOTHER_VISIT |= {"hubspot_down"}
_ANOTHER_TOKEN = {"token_revoked", "missing_scope", "not_authorized"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What options give. What is None is asked for; with `yes` its default holds or, without one, it is missing.

    `connector`: of one that the file has, what it has already is the default of all that concerns it.
    """

    account: str | None = None
    client_id: str | None = None
    client_secret_file: str | None = None
    client_secret_env: str | None = None
    requests_per_10s: int | None = None
    list_id: int | None = None
    create_list: str | None = None
    source: Source | None = None
    identifier: str | None = None
    connector: str | None = None
    enabled: bool | None = None
    bootstrap_servers: str | None = None
    group_id: str | None = None
    registry_url: str | None = None
    yes: bool = False

    @property
    def credentials(self) -> bool:
        """Whether they say how the account's app is known to HubSpot."""
        return any((self.client_id, self.client_secret_file, self.client_secret_env, self.requests_per_10s))


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice, the name of its list, and of the connector that it takes the place of, None for a new one."""

    choice: Choice
    list_name: str
    replacing: str | None


class Terminal:
    """Asks for what the steps of `session` want. Raises ConsumerError and click's errors."""

    def __init__(self, session: "Session", given: Given, redirect_uri: str, config: Path) -> None:
        self.session = session
        self.given = given
        self.config = config
        self._redirect_uri = redirect_uri

    def choose(self) -> Chosen:
        """Lead to a choice."""
        present = self._present()
        self._connect_kafka()
        account = self._choose_account(present)
        found = self._choose_list(account, present)
        source, option = self._choose_source(present)
        slot = self._choose_slot(option, present)
        name = self._choose_name(found)
        enabled = present is None or present.enabled if self.given.enabled is None else self.given.enabled
        choice = Choice(name, account, found.list_id, source, slot, enabled)
        return Chosen(choice, found.name, None if present is None else present.name)

    def prove(self, chosen: Chosen) -> tuple[Chosen, Proof]:
        """Check a choice, whose connector is given another name where its own is of no use."""
        while True:
            try:
                with tables.waiting("Asking HubSpot, Kafka and the registry …"):
                    return chosen, self.session.prove(chosen.choice, chosen.replacing)
            except SetupProblem as problem:
                if problem.field != "connector" or self.given.connector is not None or self.given.yes:
                    raise
                tables.note(str(problem))
            named = replace(chosen.choice, connector=ask("Name of the connector"))
            chosen = replace(chosen, choice=named)

    def authorize(self) -> tuple[Granted, tuple[ConnectorView, ...]]:
        """Authorize an account of the file anew; give its connectors as well."""
        known = [each.name for each in self.session.overview().accounts if each.saved]
        if self.given.account not in {*known, None}:
            raise click.UsageError(f"the file has no account {self.given.account}: name one of {', '.join(known)}.")
        name = self._answer(self.given.account, "Account", "--account", known[0] if len(known) == 1 else None)
        if self.given.credentials:
            self._take_credentials(name, self._account(name))
        return self._authorize(name), self._account(name).connectors

    def _present(self) -> ConnectorView | None:
        """Give the connector that is changed, None for a new one."""
        connectors = [each for account in self.session.overview().accounts for each in account.connectors]
        present = next((each for each in connectors if each.name == self.given.connector), None)
        if present is not None:
            tables.note(f"connector {present.name} is in the file: it is changed")
        return present

    # Kafka.

    def _connect_kafka(self) -> None:
        given = self.given
        if not self.session.overview().needs_kafka:
            if given.bootstrap_servers or given.group_id or given.registry_url:
                tables.note("the file says already where Kafka is: what options say of it is not used")
            return

        def step() -> None:
            servers = self._answer(given.bootstrap_servers, "Kafka's bootstrap.servers", "--bootstrap-servers")
            group_id = self._answer(given.group_id, "Consumer group", "--group-id", KAFKA["group_id"])
            registry = self._answer(given.registry_url, "Schema Registry", "--registry-url", KAFKA["registry_url"])
            self.session.connect_kafka(servers, group_id, registry)

        self._until_right(step, asks=not (given.bootstrap_servers and given.group_id and given.registry_url))

    # The account.

    def _choose_account(self, present: ConnectorView | None) -> str:
        known = {each.name: each for each in self.session.overview().accounts}
        default = present.account if present else next(iter(known)) if len(known) == 1 else None
        if self.given.account is None and not self.given.yes and known:
            rows = [(each.name, each.client_id, _state(each), len(each.connectors)) for each in known.values()]
            tables.show("account", "client id", "state", "connectors", rows=rows, err=True)
        name = self._answer(self.given.account, "Account (its name; another one is new)", "--account", default)
        view = known.get(name)
        if view is None or self.given.credentials:
            self._take_credentials(name, view)
        elif view.problem is not None:
            tables.note(f"account {name}: {view.problem}")
            if not self.given.yes and confirm("Give its client id and secret anew?", default=view.authorized):
                self._take_credentials(name, view)
        if not self._account(name).authorized:
            self._authorize(name)
        return name

    def _account(self, name: str) -> AccountView:
        [view] = [each for each in self.session.overview().accounts if each.name == name]
        return view

    def _take_credentials(self, name: str, view: AccountView | None) -> None:
        given = self.given

        def step() -> None:
            client_id = self._answer(given.client_id, "Client id", "--client-id", view.client_id if view else None)
            secret_from, secret = self._client_secret()
            told = None if given.requests_per_10s is None else str(given.requests_per_10s)
            before = str(view.requests_per_10s) if view and view.requests_per_10s else REQUESTS
            requests = self._answer(told, "Requests in 10 seconds", "--requests-per-10s", before)
            form = AccountForm(name, client_id, requests, secret_from, secret)
            self.session.add_account(form, new=view is None)

        self._until_right(step, asks=self._is_asked_for_credentials)

    @property
    def _is_asked_for_credentials(self) -> bool:
        given = self.given
        return not (given.yes or (given.client_id and (given.client_secret_file or given.client_secret_env)))

    def _client_secret(self) -> tuple[Literal["file", "env", "pasted"], str]:
        given = self.given
        if given.client_secret_env is not None:
            return "env", given.client_secret_env
        file = given.client_secret_file
        if file is None and given.yes:
            raise missing("--client-secret-file")
        file = ask("File that holds the client secret (none: type it in, unseen)", default="") if file is None else file
        return ("file", self._from_config(file)) if file else ("pasted", ask("Client secret", hide=True))

    def _from_config(self, file: str) -> str:
        """Write a path of who types as the configuration has it, whose paths begin at its own folder."""
        path, folder = Path(file).expanduser().absolute(), self.config.parent.absolute()
        return str(path.relative_to(folder) if path.is_relative_to(folder) else path)

    def _authorize(self, account: str) -> Granted:
        """Send a person to HubSpot's consent page, and take what comes back, until access is granted."""
        while True:
            try:
                return self._visit(account)
            except SetupProblem as problem:
                anew = problem.field in ("client_id", "secret") and self._is_asked_for_credentials
                if self.given.yes or not (anew or problem.kind in _ANOTHER_VISIT):
                    raise
                tables.note(str(problem))
            if anew:
                self._take_credentials(account, self._account(account))

    def _visit(self, account: str) -> Granted:
        address = self.session.consent_url(account)
        tables.note("Open this address in a browser, as an admin of the HubSpot account, and grant access:")
        tables.note(address)
        tables.note(f"HubSpot then sends the browser to {self._redirect_uri}, where nothing listens:")
        tables.note("that it shows an error page is as it should be. Copy the address of that page.")
        answer = ask_redirect()
        with tables.waiting(ASK_HUBSPOT):
            granted = self.session.finish(answer)
        portal = "" if granted.hub_id is None else f", portal {granted.hub_id}"
        tables.note(f"HubSpot has granted access: account {granted.account}{portal}")
        return granted

    # The list.

    def _choose_list(self, account: str, present: ConnectorView | None) -> ListOption:
        given, default = self.given, None
        if given.create_list is not None:
            return self._create_list(account, given.create_list)
        if present is not None and present.account == account:
            default = str(present.list_id)
        if given.list_id is not None or given.yes:
            named = None if given.list_id is None else str(given.list_id)
            list_id = int(self._answer(named, "", "--list", default))
            return self._with_access(account, lambda: self.session.look_up(account, list_id))
        self._show_lists(account, "")
        while True:
            typed = ask("List (its id, a part of its name to search for, or + and a name to make one)", default=default)
            try:
                found = self._read_list(account, typed)
            except SetupProblem as problem:
                tables.note(str(problem))
                continue
            if found is not None and found.unusable is not None:
                tables.note(f"list {found.list_id}, {found.name}: {found.unusable}. Take another one.")
            elif found is not None and found.connector not in (None, present and present.name):
                tables.note(f"list {found.list_id}, {found.name}, is kept by {found.connector}. Take another one.")
            elif found is not None:
                return found

    def _read_list(self, account: str, typed: str) -> ListOption | None:
        """Give the list that is meant; None where lists were looked for, and shown."""
        if typed.startswith("+"):
            return self._create_list(account, typed.removeprefix("+").strip())
        if re.fullmatch(r"[0-9]{1,18}", typed):
            return self._with_access(account, lambda: self.session.look_up(account, int(typed)))
        self._show_lists(account, typed)
        return None

    def _create_list(self, account: str, name: str) -> ListOption:
        made = self._with_access(account, lambda: self.session.create_list(account, name))
        tables.note(f"list {made.list_id} was made: {made.name}")
        return made

    def _show_lists(self, account: str, text: str) -> None:
        try:
            found = self._with_access(account, lambda: self.session.find_lists(account, text))
        except SetupProblem as problem:
            tables.note(str(problem))
            return
        if not found:
            tables.note("there is no such list")
            return
        rows = [(each.list_id, each.name, each.size, each.unusable or each.connector) for each in found]
        tables.show("id", "name", "size", "kept by, or why it cannot be", rows=rows, err=True)

    def _with_access(self, account: str, step: Callable[[], T]) -> T:
        """Do a step; where HubSpot no longer takes the account's token, authorize it anew and do the step again."""
        try:
            with tables.waiting(ASK_HUBSPOT):
                return step()
        except SetupProblem as problem:
            if problem.kind not in _ANOTHER_TOKEN:
                raise
            tables.note(str(problem))
        self._authorize(account)
        with tables.waiting(ASK_HUBSPOT):
            return step()

    # The source.

    def _choose_source(self, present: ConnectorView | None) -> tuple[Source, SourceOption | None]:
        """Give the source and, where it is chosen among those that were seen, what was seen of it."""
        default = None if present is None else str(present.source)
        if self.given.source is not None:
            return self.given.source, None
        if self.given.yes:
            return Source.parse(self._answer(None, "", "--source", default)), None
        seen = self._show_sources()
        while True:
            typed = ask("Source (its number, or audience:ID or journey:ID)", default=default)
            if typed.isdecimal() and 1 <= int(typed) <= len(seen):
                return seen[int(typed) - 1].source, seen[int(typed) - 1]
            try:
                source = Source.parse(typed)
            except ValueError:
                tables.note(f"{typed} is none of the numbers, and no source. Write audience:ID or journey:ID.")
            else:
                return source, next((each for each in seen if each.source == source), None)

    def _show_sources(self) -> tuple[SourceOption, ...]:
        try:
            with tables.waiting("Reading recent events …"):
                seen = self.session.sources()
        except SetupProblem as problem:
            tables.note(str(problem))
            return ()
        if not seen.options:
            tables.note("no audience and no journey was seen in recent events")
            return ()
        rows = [
            (number, each.source, each.events, tables.moment(int(each.newest * 1000)), ", ".join(each.connectors))
            for number, each in enumerate(seen.options, 1)
        ]
        tables.show("number", "source", f"of {seen.events} events", "newest", "connectors", rows=rows, err=True)
        return seen.options

    def _choose_slot(self, option: SourceOption | None, present: ConnectorView | None) -> str:
        if option is not None and self.given.identifier is None:
            rows = [(slot, f"{share:.0%}", f"{option.usable.get(slot, 0):.0%}") for slot, share in option.slots.items()]
            tables.show("slot", "events that carry it", "that hold a record id in it", rows=rows, err=True)
        default = RECORD_ID_SLOT if present is None else present.identifier
        return self._answer(self.given.identifier, "PartnerType slot with the record id", "--identifier", default)

    def _choose_name(self, found: ListOption) -> str:
        return self._answer(
            self.given.connector, "Name of the connector", "--connector", self.session.free_name(found.name)
        )

    # How it is asked.

    def _answer(self, given: str | None, question: str, option: str, default: str | None = None) -> str:
        """Give what an option has given; else ask, but with --yes take the default. Raises click.UsageError."""
        if given is not None:
            return given
        if not self.given.yes:
            return ask(question, default=default)
        if default is None:
            raise missing(option)
        return default

    def _until_right(self, step: Callable[[], None], *, asks: bool) -> None:
        """Do a step; where somebody is asked in it, tell what is wrong and do it again until nothing is."""
        while True:
            try:
                return step()
            except SetupProblem as problem:
                if self.given.yes or not asks or problem.field == "name":  # which is not asked for in the step
                    raise
                tables.note(str(problem))


def choice_of(view: ConnectorView) -> Choice:
    """Give a connector of the file as the choice that it was."""
    return Choice(view.name, view.account, view.list_id, view.source, view.identifier, view.enabled)


def _state(view: AccountView) -> str:
    return view.problem or ("authorized" if view.authorized else "not authorized yet")
