"""The setup itself: all that its pages and its terminal do, one method a step.

Steps that a person repeats are safe to repeat: what was chosen so far is an argument, not a state. Kept in here are the
accounts that are not in the file yet, what HubSpot has granted meanwhile, and the states of authorizations under way.
The file is read anew for each step: somebody may be editing it.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from consumer.checks import SCOPES
from consumer.commands import clients
from consumer.errors import ConfigurationError, ConsumerError, SecretUnwritable
from consumer.hubspot.lists_client import CallFailed, ContactList, ListsClient, NameTaken
from consumer.kafka.recent import Looked, RecentEvents
from consumer.outcomes import DEAD_LETTER_REASONS
from consumer.secret import Redactor, Secret, write_secret
from consumer.settings import Account, Connector, Source, Surroundings, load
from consumer.settings.draft import Draft
from consumer.settings.names import free_name
from consumer.setup import kubernetes, problems, proof
from consumer.setup.accounts import Accounts, view
from consumer.setup.consents import Consents
from consumer.setup.filling import Filler, Stopping, Told
from consumer.setup.words import (
    AccountForm,
    Choice,
    Commands,
    ConnectorView,
    Filling,
    Granted,
    ListOption,
    Overview,
    Proof,
    Saved,
    SetupProblem,
    SourceOption,
    Sources,
)
from consumer.sightings import LastRequest
from consumer.summary import Summary

MOST_LISTS = 100  # that a search shows: whoever has more types more of the name

_KAFKA_FIELDS = {
    "kafka.bootstrap.servers": "servers",
    "kafka.group.id": "group_id",
    "schema_registry.url": "registry_url",
}


class Session:
    """One setup of the file `config`; any thread may use it. Each step raises SetupProblem where it does not succeed.

    `redirect_uri` is where HubSpot sends the browser back to.
    """

    def __init__(self, config: Path, environ: Mapping[str, str], redirect_uri: str, redactor: Redactor) -> None:
        self._config = config
        self._environ = environ
        self._redactor = redactor
        self._lock = threading.RLock()  # of what is kept in here; not held while HubSpot or Kafka is asked
        self._accounts = Accounts(config.parent, environ, redactor.add)
        self._kafka: tuple[str, str, str] | None = None
        self._consents = Consents(self._accounts, redirect_uri, redactor)
        self._clients: dict[str, tuple[tuple[str, ...], ListsClient]] = {}
        self._filler = Filler(self._rebuild, redactor.clean)

    # What there is.

    def overview(self) -> Overview:
        """Give accounts and connectors, as the file has them now, and accounts that wait to be saved."""
        draft = self._draft()
        with self._lock:
            return Overview(str(self._config), draft.surroundings is None, self._accounts.views(draft))

    def connector(self, name: str) -> ConnectorView:
        """Give one connector of the file."""
        return view(name, _connector(self._draft(), name))

    def connect_kafka(self, servers: str, group_id: str, registry_url: str) -> None:
        """Say where Kafka and the registry are, where the file does not; written when something is saved."""
        said = (servers.strip(), group_id.strip(), registry_url.strip())
        self._kafka = None
        try:
            self._draft().with_kafka(*said)
        except ConfigurationError as error:
            raise problems.of_configuration(error, _KAFKA_FIELDS) from error
        self._kafka = said

    # Accounts.

    def add_account(self, form: AccountForm, *, new: bool) -> None:
        """Take a new account, or other credentials for one that is there; written with its first connector.

        Other credentials of an account of the file are written when it is authorized again.
        """
        draft = self._draft()
        with self._lock:
            self._accounts.take(form, draft, new=new)

    def consent_url(self, account: str) -> str:
        """Give the address of HubSpot's consent page for an account, with a fresh state that is good once."""
        draft = self._draft()
        with self._lock:
            return self._consents.address(draft, _around(draft), account)

    def finish(self, answer: Mapping[str, str]) -> Granted:
        """Take the parameters (`code`, `state`, `error`…) with which HubSpot sent the browser back.

        The refresh token of an account of the file is written into its secret file at once.
        """
        with self._lock:
            account = self._consents.account(answer)
        draft = self._draft()
        grant = self._consents.grant(draft, _around(draft), account, answer)
        again = account in draft.names("accounts")
        with self._lock:
            self._accounts.grant(draft, account, grant.refresh_token)
            self._accounts.belongs_to(account, grant.hub_id)
            written = again and not self._accounts.is_elsewhere(draft, account)
            if written:
                self._write_account(draft, account)
        return Granted(account, grant.hub_id, again, written)

    # The list.

    def find_lists(self, account: str, text: str = "") -> list[ListOption]:
        """Give contact lists whose name contains `text`, active ones as well, at most 100, by name."""
        draft = self._draft()
        with self._asking(draft, account) as client:
            found = list(client.search(text.strip(), active=True, at_most=MOST_LISTS))
        found.sort(key=lambda each: (each.name.casefold(), each.list_id))
        return [_option(draft, account, each) for each in found]

    def look_up(self, account: str, list_id: int) -> ListOption:
        """Give one list by its id. An id of an older API: SetupProblem `older_id`, which names the present one."""
        draft = self._draft()
        with self._asking(draft, account) as client:
            try:
                return _option(draft, account, client.get(list_id))
            except CallFailed as failed:
                if failed.reason != "LIST_NOT_FOUND":
                    raise
            present = client.present_id(list_id)
            if present is None:
                told, remedy = f"account {account} has no list {list_id}", "Search for it by its name"
                raise SetupProblem("not_found", told, remedy, field="list_id")
            name = client.get(present).name
        told = f"{list_id} is the id of list {name} in an older API of HubSpot, whose pages show both"
        raise SetupProblem("older_id", told, f"Take {present}", field="list_id")

    def create_list(self, account: str, name: str) -> ListOption:
        """Make an empty manual contact list; `name_taken` (field `name`) where the name is taken."""
        draft = self._draft()
        if not name.strip():
            raise SetupProblem("invalid", "the list has no name", "Write one", field="name")
        with self._asking(draft, account) as client:
            return _option(draft, account, client.create(name.strip()))

    # The source.

    def sources(self) -> Sources:
        """Give the audiences and journeys of the topics' recent events, the busiest first."""
        draft = self._draft()
        try:
            with self._recent(_around(draft)) as recent:
                seen = recent.sources().found
        except ConsumerError as error:
            raise problems.of_kafka(self._redactor.clean(str(error))) from error
        takers: dict[Source, list[str]] = {}
        for name, each in draft.connectors.items():
            takers.setdefault(each.source, []).append(name)
        options = []
        for found in seen.sources:
            source = Source("AUDIENCE" if found.source_type == "AUDIENCE" else "JOURNEY", found.source_id)
            connectors = tuple(takers.get(source, ()))
            options.append(SourceOption(source, found.events, found.newest, found.slots, found.usable, connectors))
        return Sources(tuple(options), seen.events, seen.oldest)

    # Proof and saving. `replacing`: the name of the connector that is edited, None for a new one.

    def free_name(self, wanted: str) -> str:
        """Give a connector's name like `wanted` (a list's name) that is not taken."""
        return free_name(wanted, self._draft().names("connectors"))

    def prove(self, choice: Choice, replacing: str | None = None) -> Proof:
        """Check all that can be checked, and show the request that the source's last events would make."""
        draft = self._draft()
        around = _around(draft)
        with self._lock:
            changed, files = self._changed(draft, choice, replacing)
            credentials = self._accounts.credentials(draft, choice.account)
            client = self._client(around, choice.account, credentials)
        asked = proof.Asked(
            lambda: proof.of_account(client, credentials, choice),
            lambda: proof.of_kafka(around),
            lambda: self._last_request(around, choice),
        )
        return proof.prove(choice, changed, files, asked, self._redactor.clean)

    def save(self, choice: Choice, replacing: str | None = None) -> Saved:
        """Write the connector, and its account if that is new, into the file, and new secrets into theirs."""
        with self._lock:
            draft = self._draft()
            changed, files = self._changed(draft, choice, replacing)
            self._require_no_worse(draft, changed, choice.account)
            saved = self._write(changed, files)
            self._accounts.written(choice.account)
            return saved

    def commands(self, choice: Choice, replacing: str | None = None) -> Commands:
        """Give what to type for Kubernetes instead; new secrets are written into their files."""
        with self._lock:
            draft = self._draft()
            changed, files = self._changed(draft, choice, replacing, pod=True)
            of_account = self._accounts.files(draft, choice.account)
            written = self._write_secrets(files)
        return Commands(kubernetes.commands(changed.text, () if of_account is None else (of_account,)), written)

    # What is there already.

    def enable(self, connector: str, *, enabled: bool) -> Saved:
        """Switch a connector of the file on or off."""
        draft = self._draft()
        _connector(draft, connector)
        return self._write(draft.with_enabled(connector, enabled=enabled), {})

    def remove(self, connector: str) -> Saved:
        """Take a connector out of the file; its list stays as it is."""
        draft = self._draft()
        _connector(draft, connector)
        return self._write(draft.without_connector(connector), {})

    def fill(self, connector: str) -> Filling:
        """Begin to rebuild the connector's list from the log, in the background; one at a time."""
        _connector(self._draft(), connector)
        return self._filler.begin(connector)

    def filling(self, connector: str) -> Filling | None:
        """Say how far that is; None if none was begun."""
        return self._filler.state(connector)

    def close(self) -> None:
        """Stop what runs in the background, and close connections."""
        self._filler.close()
        with self._lock:
            for _, client in self._clients.values():
                client.close()
            self._clients.clear()

    # The file.

    def _draft(self) -> Draft:
        """Read the file. Raises SetupProblem for what is wrong in it outside of accounts and connectors."""
        try:
            draft = Draft.read(self._config, self._environ)
            if draft.surroundings is None and self._kafka is not None:
                draft = draft.with_kafka(*self._kafka)
        except ConfigurationError as error:
            raise problems.of_configuration(error, {}) from error
        if draft.surroundings is not None:
            for value in (*draft.surroundings.kafka.secrets(), *draft.surroundings.schema_registry.secrets()):
                self._redactor.add(value)
        return draft

    def _changed(
        self, draft: Draft, choice: Choice, replacing: str | None, *, pod: bool = False
    ) -> tuple[Draft, Mapping[Path, Secret]]:
        """Give the file as it is to be, and the files of secrets that belong to it."""
        try:
            written = self._accounts.write_into(draft, choice.account, pod=pod)
            connector = Connector(
                account=choice.account,
                list_id=choice.list_id,
                source=choice.source,
                identifier=choice.identifier,
                enabled=choice.enabled,
            )
            return written.draft.with_connector(choice.connector, connector, replacing), written.files
        except ConfigurationError as error:
            raise problems.of_configuration(error, {f"connectors.{choice.connector}": "connector"}) from error

    def _require_no_worse(self, draft: Draft, changed: Draft, account: str) -> None:
        """See that a file that is good stays good; what was wrong in it before does not hinder a person."""
        given = changed.unreadable | {(account, "client_secret"), (account, "refresh_token")}  # about to be written
        found = changed.check(given)
        known = {(each.place, each.rule) for each in draft.check(draft.unreadable)} if found else set()
        worse = tuple(each for each in found if (each.place, each.rule) not in known)
        if worse:
            raise problems.of_configuration(ConfigurationError(str(self._config), worse), {})

    def _write_account(self, draft: Draft, account: str) -> None:
        """Write an account of the file."""
        written = self._accounts.write_into(draft, account)
        self._write(written.draft, written.files)
        self._accounts.written(account)

    def _write(self, changed: Draft, files: Mapping[Path, Secret]) -> Saved:
        """Write secrets first: a file that names a secret which is not there is of no use."""
        written = self._write_secrets(files)
        try:
            changed.save()
        except ConfigurationError as error:
            raise problems.of_configuration(error, {}) from error
        return Saved(str(self._config), written)

    def _write_secrets(self, files: Mapping[Path, Secret]) -> tuple[str, ...]:
        for file, secret in files.items():
            try:
                write_secret(file, secret.read_again())
            except SecretUnwritable as error:
                raise SetupProblem("failed", error.rule, error.remedy) from error
        return tuple(map(str, files))

    # HubSpot, Kafka and the log.

    @contextmanager
    def _asking(self, draft: Draft, account: str) -> Iterator[ListsClient]:
        with self._lock:
            credentials = self._accounts.credentials(draft, account)
            client = self._client(_around(draft), account, credentials)
        try:
            yield client
        except NameTaken as error:
            raise problems.of_name(error) from error
        except CallFailed as failed:
            missing = _missing_scopes(client, credentials) if failed.reason == "FORBIDDEN" else ()
            problem = problems.of_call(failed, account, missing)
            if problem.kind == "token_revoked":
                with self._lock:
                    self._accounts.refuse(account)
            raise problem from failed

    def _client(self, around: Surroundings, name: str, account: Account) -> ListsClient:
        """Give the account's client, which keeps its access token as long as the credentials are the same."""
        key = (account.client_id, account.client_secret.reveal(), account.refresh_token.read_again())
        known = self._clients.get(name)
        if known is not None and known[0] == key:
            return known[1]
        if known is not None:
            known[1].close()
        for value in key[1:]:
            self._redactor.add(value)
        client = clients.lists_client_of(around, name, account, self._redactor)
        self._clients[name] = (key, client)
        return client

    def _last_request(self, around: Surroundings, choice: Choice) -> Looked[LastRequest]:
        with self._recent(around) as recent:
            source = choice.source
            return recent.last_request(source.type, source.id, choice.identifier, around.window.max_contacts)

    @contextmanager
    def _recent(self, around: Surroundings) -> Iterator[RecentEvents]:
        with clients.topic_reader(around) as reader:
            yield RecentEvents(reader, around.topics.changes)

    def _rebuild(self, connector: str, told: Told, stopping: Stopping) -> Summary:
        from consumer import app  # noqa: PLC0415 - it loads slowly

        settings = load(self._config, self._environ)
        for value in settings.secrets():
            self._redactor.add(value)
        with clients.topic_reader(settings) as reader:
            extents = {topic: reader.extents(topic) for topic in settings.topics.changes}
        summary = Summary()
        summary.add(
            app.rebuild(
                settings,
                self._redactor,
                connector,
                extents,
                lambda progress: told(progress.done, progress.contacts),
                stopping=stopping,
            )
        )
        return summary


def _around(draft: Draft) -> Surroundings:
    if draft.surroundings is None:
        told = "nobody has said where Kafka and the registry are"
        raise SetupProblem("invalid", told, "Say it on the first page", field="servers")
    return draft.surroundings


def _connector(draft: Draft, name: str) -> Connector:
    found = draft.connectors.get(name)
    if found is None:
        wrong = "; ".join(each.rule for each in draft.problems_with("connectors", name))
        if wrong:
            raise SetupProblem("invalid", f"connector {name} cannot be used: {wrong}", "Mend it in the file")
        raise SetupProblem("not_found", f"there is no connector {name}", "Choose one of the first page")
    return found


def _option(draft: Draft, account: str, found: ContactList) -> ListOption:
    keeps = (
        name for name, each in draft.connectors.items() if (each.account, each.list_id) == (account, found.list_id)
    )
    unusable = None if found.unusable is None else DEAD_LETTER_REASONS[found.unusable]
    return ListOption(found.list_id, found.name, found.size, unusable, next(keeps, None))


def _missing_scopes(client: ListsClient, credentials: Account) -> list[str]:
    """Ask which of the four scopes the token lacks; none where HubSpot does not tell."""
    try:
        granted = client.scopes(credentials.client_id, credentials.client_secret)
    except CallFailed:
        return []
    return [each for each in SCOPES if each not in granted]
