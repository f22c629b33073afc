"""The configuration while a person sets it up: it may be unfinished, and it is changed one entry at a time.

Where something is wrong outside of accounts and connectors, a draft says what `load` says. What is wrong within them
is told, not raised: setting up is how it is mended.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from consumer.errors import ConfigurationError, FileChanged, Problem
from consumer.files import write_whole
from consumer.secret import HIDDEN, Secret
from consumer.settings import document, editing
from consumer.settings.document import Document
from consumer.settings.examination import Examined, examine
from consumer.settings.model import Account, Connector, Surroundings
from consumer.settings.properties import SECRET_PROPERTY
from consumer.settings.references import GIVEN, Reference, reference_in
from consumer.settings.scalars import Value
from consumer.settings.values import Name, Place, place_text

_OURS = ("accounts", "connectors")
_SECRETS = ("client_secret", "refresh_token")
_NEW_FILE = 0o640  # its mode
_WHOLE_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_ACCOUNT: TypeAdapter[dict[str, Account]] = TypeAdapter(dict[Name, Account])
_CONNECTOR: TypeAdapter[dict[str, Connector]] = TypeAdapter(dict[Name, Connector])

Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class DraftSecret:
    """A secret of an account: where the file says that it is, and either itself or the problem with it.

    `reference` is None where the file refers to nothing; `file` is the path that a reference to a file means.
    """

    reference: Reference | None
    file: Path | None
    value: Secret | None
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class DraftAccount:
    """An account of which nothing is amiss but, perhaps, its secrets."""

    client_id: str
    requests_per_10s: int
    client_secret: DraftSecret
    refresh_token: DraftSecret


@dataclass(frozen=True, eq=False)
class Draft:
    """A configuration file as it was read, and as it is to be. Each edit gives another draft, and leaves this one.

    An edit raises NotEditable where a program cannot make it without touching what is around it, and
    ConfigurationError where it makes no sense.
    """

    path: Path
    _read: Document | None = field(repr=False)  # None: there was no file
    _said: Document = field(repr=False)
    _environ: Mapping[str, str] = field(repr=False)

    @classmethod
    def read(cls, path: Path, environ: Mapping[str, str]) -> Self:
        """Read the file `path`, which need not be there.

        Raises ConfigurationError where `load` would, for what is wrong outside of accounts and connectors.
        """
        text = document.text(path)
        said = document.parse(path, text or "")
        return cls(path, None if text is None else said, said, environ).sound()

    @property
    def is_new(self) -> bool:
        """Whether there was no file."""
        return self._read is None

    @property
    def text(self) -> str:
        """The whole text as it is to be."""
        return self._said.text

    @cached_property
    def surroundings(self) -> Surroundings | None:
        """All but accounts and connectors; None as long as nothing is said of Kafka."""
        if "kafka" not in self._said.tree:
            return None
        return Surroundings.model_validate({key: each for key, each in self._found.tree.items() if key not in _OURS})

    @cached_property
    def accounts(self) -> Mapping[str, DraftAccount]:
        """The accounts by name, without those of which more than the secrets is wrong."""
        entries = {name: _with_secrets(entry) for name, entry in self._entries("accounts")}
        return {name: self._account(name, account) for name, account in _valid(_ACCOUNT, entries)}

    @cached_property
    def connectors(self) -> Mapping[str, Connector]:
        """The connectors by name, without those that break a rule by themselves."""
        return dict(_valid(_CONNECTOR, dict(self._entries("connectors"))))

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong within accounts and connectors, by line; that there are none is not wrong yet."""
        return tuple(
            problem
            for place, problem in self._found.problems
            if _is_within(place) and (len(place) > 1 or self._said.tree.get(place[0]))
        )

    def problems_with(self, section: str, name: str) -> tuple[Problem, ...]:
        """Return what is wrong with one entry of the section `accounts` or `connectors`."""
        return self._problems_at((section, name))

    def names(self, section: str) -> tuple[str, ...]:
        """Return the names of all entries of the section `accounts` or `connectors`, of wrong ones as well."""
        return tuple(name for name, _ in self._entries(section))

    def sound(self) -> Self:
        """Return the draft itself; raises ConfigurationError for what is wrong outside of accounts and connectors."""
        wrong = tuple(
            problem
            for place, problem in self._found.problems
            if not _is_within(place) and (place != ("kafka",) or "kafka" in self._said.tree)
        )
        if wrong:
            raise ConfigurationError(str(self.path), wrong)
        return self

    def check(self, given: Collection[tuple[str, str]] = ()) -> tuple[Problem, ...]:
        """Return all that `load` would say of the new text, by line; nothing: it is good.

        `given` are account and key (`client_secret`, `refresh_token`) of secrets that are referred to and taken to be
        there: they are written later, or are to be read elsewhere only.
        """
        found = examine(self._said, self._environ, {("accounts", *secret) for secret in given})
        return tuple(problem for _, problem in found.problems)

    @cached_property
    def unreadable(self) -> frozenset[tuple[str, str]]:
        """Account and key of each secret that is referred to, but is not to be read here and now."""
        return frozenset(
            (name, key)
            for name, account in self.accounts.items()
            for key, secret in zip(_SECRETS, (account.client_secret, account.refresh_token), strict=True)
            if secret.reference is not None and secret.value is None
        )

    # Edits.

    def with_kafka(self, servers: str, group_id: str, registry_url: str) -> Self:
        """Say where Kafka and the registry are, in a file that does not say so yet."""
        if "kafka" in self._said.tree:
            raise self._refusal(("kafka",), "is there already", "Change it by hand")
        kafka: Value = {"bootstrap.servers": servers, "group.id": group_id}
        said = editing.put(self._said, ("kafka",), kafka)
        said = editing.put(said, ("schema_registry", "url"), registry_url)
        return replace(self, _said=said).sound()

    def with_account(
        self, name: str, *, client_id: str, requests_per_10s: int, client_secret: Reference, refresh_token: Reference
    ) -> Self:
        """Add an account, or change the one that is there; what is the same is left as it is written."""
        wanted: dict[str, Value] = {"client_id": client_id, "client_secret": client_secret}
        wanted |= {"refresh_token": refresh_token, "requests_per_10s": requests_per_10s}
        if old := self.accounts.get(name):
            has: dict[str, object] = {"client_id": old.client_id, "client_secret": old.client_secret.reference}
            has |= {"refresh_token": old.refresh_token.reference, "requests_per_10s": old.requests_per_10s}
            wanted = {key: value for key, value in wanted.items() if has[key] != value}
        return self._put(("accounts", name), wanted)

    def with_connector(self, name: str, connector: Connector, replacing: str | None = None) -> Self:
        """Add a connector, or change the one that is called `replacing`, which keeps its place in the file."""
        if replacing is not None:
            self._require(replacing)
        if name != replacing and name in self.names("connectors"):
            raise self._refusal(("connectors", name), "is there already", "Choose another name")
        wanted = _written(connector)
        old = None if replacing is None else self.connectors.get(replacing)
        if old is not None:
            wanted = {key: value for key, value in wanted.items() if getattr(old, key) != getattr(connector, key)}
        if replacing in {None, name}:
            return self._put(("connectors", name), wanted)
        return replace(self, _said=editing.rename(self._said, ("connectors", str(replacing)), name, wanted))

    def with_enabled(self, name: str, *, enabled: bool) -> Self:
        """Switch a connector on or off."""
        self._require(name)
        old = self.connectors.get(name)
        same = old is not None and old.enabled == enabled
        return self._put(("connectors", name), {} if same else {"enabled": enabled})

    def without_connector(self, name: str) -> Self:
        """Take a connector out; the comments above it stay."""
        self._require(name)
        return replace(self, _said=editing.remove(self._said, ("connectors", name)))

    # What comes of it.

    def diff(self) -> str:
        """Return what changes, as a unified diff; a secret that stands in the file itself is `***`."""
        old = [] if self._read is None else _shown(self._read)
        lines = unified_diff(old, _shown(self._said), self.path.name, self.path.name, lineterm="")
        return "".join(f"{line}\n" for line in lines)

    def save(self) -> Self:
        """Write the new text, whole or not at all, and return the draft of what is there now.

        Mode and owner of the file are kept, and a link stays a link; a new file has mode 0640 at most. Raises
        FileChanged where the file is not as it was read, ConfigurationError where it cannot be written.
        """
        before = None if self._read is None else self._read.text
        if document.text(self.path) != before:
            rule = "the file was changed since it was read; nothing was written"
            raise FileChanged(str(self.path), (Problem("", None, rule, "Look at it anew, and make the change again"),))
        if self.text != before:
            self._write()
        return replace(self, _read=self._said)

    def _write(self) -> None:
        try:
            file = self.path.resolve()  # a link stays a link
            like = None if self.is_new else file.stat()
            if like is not None and not os.access(file, os.W_OK):
                raise self._refusal((), "the file is read-only for this user", "Give this user the right to write it")
            write_whole(file, self.text.encode(), _NEW_FILE, like)
        except FileNotFoundError:
            raise self._refusal((), "the folder of the file is not there", "Make the folder") from None
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            reason = error.strerror if isinstance(error, OSError) else "its links lead in a circle"
            raise self._refusal((), f"the file cannot be written ({reason})", "Mend that, and save again") from None

    @cached_property
    def _found(self) -> Examined:
        return examine(self._said, self._environ)

    def _entries(self, section: str) -> Iterator[tuple[str, object]]:
        """Yield name and value of the entries whose name is text, with references resolved."""
        said, resolved = self._said.tree.get(section), self._found.tree.get(section)
        if isinstance(said, dict) and isinstance(resolved, dict):
            yield from ((name, resolved[name]) for name in said if isinstance(name, str))

    def _account(self, name: str, account: Account) -> DraftAccount:
        secrets = {key: self._secret(name, key, getattr(account, key)) for key in _SECRETS}
        return DraftAccount(account.client_id, account.requests_per_10s, **secrets)

    def _secret(self, name: str, key: str, value: Secret) -> DraftSecret:
        reference = reference_in(_at(self._said.tree, ("accounts", name, key)))
        file = self.path.parent / reference.target if reference and reference.kind == "file" else None
        if value is not GIVEN:
            return DraftSecret(reference, file, value, None)
        return DraftSecret(reference, file, None, next(iter(self._problems_at(("accounts", name, key))), None))

    def _problems_at(self, around: Place) -> tuple[Problem, ...]:
        return tuple(problem for place, problem in self._found.problems if place[: len(around)] == around)

    def _put(self, place: Place, values: Mapping[str, Value]) -> Self:
        return replace(self, _said=editing.put(self._said, place, values)) if values else self

    def _require(self, connector: str) -> None:
        if connector not in self.names("connectors"):
            raise self._refusal(("connectors", connector), "is not there any more", "Look at the file anew")

    def _refusal(self, place: Place, rule: str, remedy: str) -> ConfigurationError:
        problem = Problem(place_text(place), self._said.line(place), rule, remedy)
        return ConfigurationError(str(self.path), (problem,))


def _valid(adapter: TypeAdapter[dict[str, Model]], entries: Mapping[str, object]) -> Iterator[tuple[str, Model]]:
    """Yield the entries that break no rule by themselves."""
    for name, entry in entries.items():
        with suppress(ValidationError):
            yield from adapter.validate_python({name: entry}).items()


def _is_within(place: Place) -> bool:
    return bool(place) and place[0] in _OURS


def _with_secrets(account: object) -> object:
    """Return what an account would be if its secrets were there."""
    if not isinstance(account, dict):
        return account
    return account | {key: GIVEN for key in _SECRETS if not isinstance(account.get(key), Secret)}


def _written(connector: Connector) -> dict[str, Value]:
    slot = connector.identifier
    return {
        "account": connector.account,
        "list_id": connector.list_id,
        "source": str(connector.source),
        "identifier": int(slot) if _WHOLE_NUMBER.fullmatch(slot) else slot,
        "enabled": connector.enabled,
    }


def _at(tree: object, place: Place) -> object:
    for key in place:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _shown(said: Document) -> list[str]:
    """Return the lines of the text, with stars instead of secrets that stand in it where only a reference should."""
    text = said.text
    accounts = said.tree.get("accounts")
    secrets = [
        span
        for name, account in (accounts.items() if isinstance(accounts, dict) else ())
        for key, value in (account.items() if isinstance(account, dict) else ())
        if SECRET_PROPERTY.search(str(key)) and reference_in(value) is None
        if (span := editing.span(said, ("accounts", str(name), str(key)))) is not None
    ]
    for start, end in sorted(set(secrets), reverse=True):
        text = text[:start] + HIDDEN + text[end:]
    return text.removeprefix("\ufeff").replace("\r\n", "\n").removesuffix("\n").split("\n")
