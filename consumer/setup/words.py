"""What the setup and those who lead through it tell each other: frozen values, no behaviour.

Nothing in here is secret but what an `AccountForm` carries in `secret`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from consumer.checks import Finding
from consumer.errors import ConsumerError
from consumer.settings import Source
from consumer.settings.values import RECORD_ID_SLOT


class SetupProblem(ConsumerError):  # noqa: N818 - the name says what is the case
    """A step did not succeed. `told` says what is the case, `remedy` what to do; `field`: of the form, if it is one's.

    `kind` names the case for pages and tests: `consent_denied`, `wrong_state`, `missing_scope`, `wrong_client_secret`,
    `redirect_not_registered`, `code_used`, `no_lists_tool`, `other_portal`, `token_revoked`,
    `hubspot_down`, `kafka_down`, `name_taken`, `older_id`, `file_changed`, `not_authorized`, `invalid`,
    `not_found`, `failed`.
    """

    def __init__(self, kind: str, told: str, remedy: str, *, field: str | None = None) -> None:
        super().__init__(f"{told}. {remedy}.")
        self.kind = kind
        self.told = told
        self.remedy = remedy
        self.field = field


@dataclass(frozen=True, slots=True)
class AccountForm:
    """An account as a person typed it. `secret` is a path, the name of a variable, or the client secret itself."""

    name: str
    client_id: str
    requests_per_10s: str
    secret_from: Literal["file", "env", "pasted"]
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectorView:
    """A connector as the file has it."""

    name: str
    account: str
    list_id: int
    source: Source
    identifier: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account: `authorized` is whether there is a refresh token; `problem` is why it cannot be used as it is.

    `saved`: the file has it; else it waits for its first connector to be saved. `hub_id`: of the portal, once known.
    """

    name: str
    client_id: str
    authorized: bool
    saved: bool
    problem: str | None = None
    hub_id: int | None = None
    connectors: tuple[ConnectorView, ...] = ()
    requests_per_10s: int | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """All there is. `needs_kafka`: there is no file yet, or it does not say where Kafka is."""

    path: str
    needs_kafka: bool
    accounts: tuple[AccountView, ...]


@dataclass(frozen=True, slots=True)
class Granted:
    """What came of an authorization. `again`: the account is in the file.

    `written`: its new refresh token is in its secret file. Else that waits in memory until a connector of the account
    is saved or the commands for Kubernetes are shown: the file names a place that this machine does not have.
    """

    account: str
    hub_id: int | None
    again: bool
    written: bool = False


@dataclass(frozen=True, slots=True)
class ListOption:
    """A contact list that may be chosen, or why not: `unusable` in words; `connector` keeps it already."""

    list_id: int
    name: str
    size: int | None
    unusable: str | None = None
    connector: str | None = None


@dataclass(frozen=True, slots=True)
class SourceOption:
    """A source that was seen in recent events. `slots`: the share (0 to 1) of its events that carry each slot.

    `usable`: the share whose identifier in the slot is a HubSpot record id. `newest`: seconds since 1970.
    """

    source: Source
    events: int
    newest: float
    slots: Mapping[str, float]
    usable: Mapping[str, float]
    connectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """What was seen. `events`: how many were looked at; `oldest`: when the first of them was written, None if none."""

    options: tuple[SourceOption, ...]
    events: int
    oldest: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A connector as it is to be. All of it may stand in a URL."""

    connector: str
    account: str
    list_id: int
    source: Source
    identifier: str = RECORD_ID_SLOT
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Preview:
    """The request that the source's last events would make; it is not sent. `path` is that of the call.

    Of `events` that were looked at, `without` have no identifier in the slot and `invalid` one that is no record id.
    """

    path: str
    adds: tuple[int, ...]
    removes: tuple[int, ...]
    events: int
    without: int
    invalid: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of a choice before it is saved. `diff`: what changes in the file, as a unified diff.

    `good`: no finding is a problem. `preview` is None where Kafka could not be read; the findings say why.
    """

    findings: tuple[Finding, ...]
    preview: Preview | None
    diff: str
    good: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """What was written: the file, and the files of secrets (mode 0600)."""

    path: str
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """What to type where the service runs on Kubernetes, instead of writing the file. No secret is in it.

    `secrets`: the files (mode 0600) that were written for these commands to read.
    """

    text: str
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filling:
    """How far a rebuild of a connector's list is, in contacts. `summary`: what came of how many, and what that is."""

    connector: str
    state: Literal["running", "done", "failed"]
    done: int = 0
    total: int = 0
    summary: tuple[tuple[str, str], ...] = ()
    problem: str | None = None
