"""The accounts of a setup: as the file has them, and what has become known since.

A new account, other credentials and a new refresh token wait in memory until they are written. What waits goes before
what the file says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from consumer.secret import HeldSecret, Secret, SecretUnreadable
from consumer.settings import Account, Connector, typed
from consumer.settings.draft import Draft, DraftAccount
from consumer.settings.references import Reference
from consumer.settings.values import Finding
from consumer.setup import kubernetes
from consumer.setup.words import AccountForm, AccountView, ConnectorView, SetupProblem

FOLDER = "secrets"  # beside the configuration

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is known of an account and not written yet. `reference` is None where the client secret was pasted.

    `refresh_token` is None until HubSpot has granted one, unless that of the file goes on being good.
    """

    client_id: str
    requests_per_10s: int
    client_secret: Secret
    reference: Reference | None
    refresh_token: Secret | None
    granted: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A draft with an account in it, and the files that hold its secrets: those to be written, with what goes in."""

    draft: Draft
    files: Mapping[Path, Secret]


class Accounts:
    """One person's accounts. `folder` is that of the configuration; `learned` is told each new secret."""

    def __init__(self, folder: Path, environ: Mapping[str, str], learned: Callable[[str], None]) -> None:
        self._folder = folder
        self._environ = environ
        self._learned = learned
        self._waiting: dict[str, Waiting] = {}
        self._hubs: dict[str, int] = {}
        self._refused: set[str] = set()

    def views(self, draft: Draft) -> tuple[AccountView, ...]:
        """Give all accounts, those of the file first."""
        names = dict.fromkeys((*draft.names("accounts"), *self._waiting))
        return tuple(self._view(draft, name) for name in names)

    def take(self, form: AccountForm, draft: Draft, *, new: bool) -> None:
        """Take what a person typed. Raises SetupProblem, which names the field."""
        name = _typed(typed.name(form.name), "name")
        if new and (name in self._waiting or name in draft.names("accounts")):
            raise SetupProblem("invalid", f"there is an account {name} already", "Take another name", field="name")
        if not new and name not in self._waiting and name not in draft.names("accounts"):
            raise SetupProblem("not_found", f"there is no account {name}", "Add it as a new one", field="name")
        client_id = form.client_id.strip()
        if not client_id:
            remedy = "Copy it from the app's page in HubSpot"
            raise SetupProblem("invalid", "the client id is missing", remedy, field="client_id")
        requests = _typed(typed.count(form.requests_per_10s), "requests_per_10s")
        secret, reference = self._client_secret(form)
        self._learned(secret.reveal())
        before = self._waiting.get(name)
        if before is not None and before.client_id == client_id:
            self._waiting[name] = replace(before, requests_per_10s=requests, client_secret=secret, reference=reference)
            return
        saved = draft.accounts.get(name)
        kept = saved.refresh_token.value if saved is not None and saved.client_id == client_id else None
        self._waiting[name] = Waiting(client_id, requests, secret, reference, kept)

    def client_id(self, draft: Draft, name: str) -> str:
        """Give the client id. Raises SetupProblem if there is no such account."""
        waiting = self._waiting.get(name)
        return waiting.client_id if waiting is not None else self._saved(draft, name).client_id

    def client_secret(self, draft: Draft, name: str) -> Secret:
        """Give the client secret. Raises SetupProblem where there is none to be read."""
        waiting = self._waiting.get(name)
        if waiting is not None:
            return waiting.client_secret
        secret = self._saved(draft, name).client_secret
        if secret.value is None:
            rule = secret.problem.rule if secret.problem is not None else "there is none"
            told = f"the client secret of {name} cannot be read here: {rule}"
            raise SetupProblem("invalid", told, "Say where it is, under Change credentials", field="secret")
        return secret.value

    def credentials(self, draft: Draft, name: str) -> Account:
        """Give what HubSpot is called with. Raises SetupProblem where something of it is missing."""
        client_secret = self.client_secret(draft, name)
        waiting = self._waiting.get(name)
        if waiting is not None:
            token: Secret | None = waiting.refresh_token
            requests = waiting.requests_per_10s
        else:
            saved = self._saved(draft, name)
            token, requests = saved.refresh_token.value, saved.requests_per_10s
        if token is None:
            raise SetupProblem("not_authorized", f"account {name} is not authorized", "Authorize HubSpot for it")
        return Account(
            client_id=self.client_id(draft, name),
            client_secret=client_secret,
            refresh_token=token,
            requests_per_10s=requests,
        )

    def hub_id(self, name: str) -> int | None:
        """Give the portal, if HubSpot has told it."""
        return self._hubs.get(name)

    def belongs_to(self, name: str, hub_id: int | None) -> None:
        """Note the portal."""
        if hub_id is not None:
            self._hubs[name] = hub_id

    def grant(self, draft: Draft, name: str, token: Secret) -> None:
        """Take a refresh token that HubSpot has granted."""
        self._refused.discard(name)
        waiting = self._waiting.get(name)
        if waiting is None:
            saved = self._saved(draft, name)
            secret, reference = self.client_secret(draft, name), saved.client_secret.reference
            waiting = Waiting(saved.client_id, saved.requests_per_10s, secret, reference, None)
        self._waiting[name] = replace(waiting, refresh_token=HeldSecret(token.reveal()), granted=True)

    def refuse(self, name: str) -> None:
        """Note that HubSpot does not take the refresh token any more: until there is another one, that is told."""
        self._refused.add(name)

    def is_elsewhere(self, draft: Draft, name: str) -> bool:
        """Tell whether the file names a place for the refresh token that this machine does not have, as for a pod."""
        saved = draft.accounts.get(name)
        file = saved.refresh_token.file if saved is not None else None
        return file is not None and not file.parent.is_dir()

    def write_into(self, draft: Draft, name: str, *, pod: bool = False) -> Written:
        """Put what waits of an account into a draft. `pod`: with the places that its secrets have in a pod.

        Raises SetupProblem where the account was not authorized.
        """
        waiting = self._waiting.get(name)
        if waiting is None:
            return Written(draft, {})
        if waiting.refresh_token is None:
            raise SetupProblem("not_authorized", f"account {name} is not authorized", "Authorize HubSpot for it")
        files: dict[Path, Secret] = {}
        client_secret, token = waiting.reference, self._token_place(draft, name)
        saved = draft.accounts.get(name)
        if client_secret is None or (pod and client_secret.kind == "env"):
            client_secret = Reference("file", f"{FOLDER}/{name}-client-secret")
            files[self._folder / client_secret.target] = waiting.client_secret
        if waiting.granted or pod or saved is None or saved.refresh_token.reference is None:
            files[self._folder / token.target] = waiting.refresh_token
        else:
            token = saved.refresh_token.reference
        if pod:
            client_secret = Reference("file", kubernetes.place(name, "client-secret"))
            token = Reference("file", kubernetes.place(name, "refresh-token"))
        changed = draft.with_account(
            name,
            client_id=waiting.client_id,
            requests_per_10s=waiting.requests_per_10s,
            client_secret=client_secret,
            refresh_token=token,
        )
        return Written(changed, files)

    def files(self, draft: Draft, name: str) -> kubernetes.AccountFiles | None:
        """Give the files that an account's Secret is made from in a pod; None where nothing of it waits."""
        waiting = self._waiting.get(name)
        if waiting is None:
            return None
        reference = waiting.reference
        if reference is None or reference.kind == "env":
            reference = Reference("file", f"{FOLDER}/{name}-client-secret")
        token = self._token_place(draft, name)
        return kubernetes.AccountFiles(name, str(self._folder / reference.target), str(self._folder / token.target))

    def written(self, name: str) -> None:
        """Note that nothing of the account waits any more."""
        self._waiting.pop(name, None)

    def _token_place(self, draft: Draft, name: str) -> Reference:
        """Say where the refresh token is to be: where it is, if that is a file of this machine."""
        saved = draft.accounts.get(name)
        reference = saved.refresh_token.reference if saved is not None else None
        if reference is None or reference.kind == "env" or reference.target.startswith(kubernetes.FOLDER):
            return Reference("file", f"{FOLDER}/{name}-refresh-token")
        return reference

    def _view(self, draft: Draft, name: str) -> AccountView:
        waiting, saved = self._waiting.get(name), draft.accounts.get(name)
        problems = [each.rule for each in draft.problems_with("accounts", name)] if waiting is None else []
        if waiting is not None:
            client_id, authorized = waiting.client_id, waiting.refresh_token is not None
        else:
            client_id = saved.client_id if saved is not None else ""
            authorized = saved is not None and saved.refresh_token.value is not None
        known = waiting or saved
        if name in self._refused:
            problems.append("HubSpot no longer takes its refresh token")
        return AccountView(
            name=name,
            client_id=client_id,
            authorized=authorized and name not in self._refused,
            saved=name in draft.names("accounts"),
            problem="; ".join(problems) or None,
            hub_id=self._hubs.get(name),
            connectors=tuple(view(key, each) for key, each in draft.connectors.items() if each.account == name),
            requests_per_10s=known.requests_per_10s if known is not None else None,
        )

    def _saved(self, draft: Draft, name: str) -> DraftAccount:
        saved = draft.accounts.get(name)
        if saved is None:
            wrong = "; ".join(each.rule for each in draft.problems_with("accounts", name))
            if wrong:
                raise SetupProblem("invalid", f"account {name} cannot be used: {wrong}", "Mend it in the file")
            raise SetupProblem("not_found", f"there is no account {name}", "Add it first")
        return saved

    def _client_secret(self, form: AccountForm) -> tuple[Secret, Reference | None]:
        place = form.secret.strip()
        if not place:
            raise SetupProblem(
                "invalid", "the client secret is missing", "Say where it is, or paste it", field="secret"
            )
        try:
            match form.secret_from:
                case "file":
                    return Secret.from_file(self._folder / place), Reference("file", place)
                case "env":
                    return Secret.from_environment(place, self._environ), Reference("env", place)
                case "pasted":
                    return Secret(place), None
        except SecretUnreadable as error:
            raise SetupProblem("invalid", error.rule, error.remedy, field="secret") from error


def view(name: str, connector: Connector) -> ConnectorView:
    """Show a connector of the file."""
    return ConnectorView(
        name, connector.account, connector.list_id, connector.source, connector.identifier, connector.enabled
    )


def _typed(value: T | Finding, field: str) -> T:
    if isinstance(value, Finding):
        raise SetupProblem("invalid", f"{field.replace('_', ' ')}: {value.rule}", value.remedy, field=field)
    return value
