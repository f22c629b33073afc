"""Words for what goes out: requests, what HubSpot's answers mean, and the records written to Kafka. Frozen values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Literal, NamedTuple

from consumer.changes import Action, Change

_CONTACT = 300  # bytes that a waiting contact takes
_RECORD = 10  # a record without contacts takes about as much as so many


@dataclass(frozen=True, slots=True)
class Request:
    """One call for one list, as a worker gets it.

    `adds` and `removes` are record ids and have none in common. With `look` the list itself is asked for first, and the
    memberships are only sent if the list can be kept aligned; a look at the start carries no ids at all. `again` are
    those of `adds` that were not found before.
    """

    request_id: str
    connector: str
    account: str
    list_id: int
    adds: tuple[int, ...] = ()
    removes: tuple[int, ...] = ()
    look: bool = False
    again: tuple[int, ...] = ()

    @property
    def calls(self) -> int:
        """How many HTTP requests it takes, token refreshes aside."""
        return int(self.look) + int(bool(self.adds or self.removes))


@dataclass(frozen=True, slots=True)
class Details:
    """What HubSpot said of a request: quote `correlation_id` to its support. Every part may be missing."""

    status: int | None = None
    category: str | None = None
    message: str | None = None
    correlation_id: str | None = None

    def in_words(self) -> str:
        """Say it in one clause."""
        if self.status is None:
            return self.message or "HubSpot gave no answer"
        said = " ".join(filter(None, (f"HubSpot answered {self.status}", self.category)))
        message = "" if self.message is None else f": {self.message.rstrip('.')}"
        quoted = "" if self.correlation_id is None else f" (correlation id {self.correlation_id})"
        return f"{said}{message}{quoted}"


@dataclass(frozen=True, slots=True)
class ListFacts:
    """What a look at the list showed. `unusable` is why it cannot be kept aligned; `size` (members) may not be told."""

    name: str
    unusable: str | None = None
    size: int | None = None


TOKEN_EXPIRED = "token_expired"  # noqa: S105 - the name of a reason, not a secret
"""Reason of a passing failure: one refreshed token and one more request mend it."""

UNREADABLE = "unreadable"
"""Reason of a passing failure: a 2xx whose body cannot be read."""

UNUSABLE = frozenset({"LIST_DYNAMIC", "LIST_DELETED", "LIST_NOT_OF_CONTACTS"})
"""Reasons why a list, as it is now, cannot be kept aligned."""

GAVE_UP = "GAVE_UP"
"""Reason of a dead letter: passing failures, or refusals of the target, went on for too long."""

HELD = "HELD"
"""Reason of a dead letter, and why a person is needed: the guard did not let go what would empty the list."""


class Scope(Enum):
    """What a terminal answer condemns."""

    BATCH = "batch"
    LIST = "list"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Applied:
    """HubSpot took the request. The sets hold ids that were sent and are disjoint; the rest was UNCHANGED.

    `merged` came back as the ids of the contacts that they were merged into. `unexpected` counts the other ids in the
    answer that were not sent.
    """

    details: Details
    added: frozenset[int] = frozenset()
    removed: frozenset[int] = frozenset()
    missing: frozenset[int] = frozenset()
    unexpected: int = 0
    merged: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Recoverable:
    """It may work later: in `wait` seconds at the earliest.

    `account_wide`: nothing of the account is sent before then; with `probe` only one request at a time until one
    succeeds. `rolling`: a limit was met whose room comes back bit by bit, all of it after `wait`.
    `late`: nobody knows whether HubSpot took the request, nor when it will. `halve`: it took too long, so the
    next one should be smaller.
    """

    details: Details
    reason: str
    wait: float = 0.0
    account_wide: bool = False
    probe: bool = False
    rolling: bool = False
    late: bool = False
    halve: bool = False


@dataclass(frozen=True, slots=True)
class Terminal:
    """It will not work however often it is sent."""

    details: Details
    reason: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing left this process: the partition is no longer ours, or the member was away too long."""

    details: Details = field(default_factory=Details)


Refresh = Literal["ok", "failed", "refused"]
"""How a token refresh ended: `failed` may work later, `refused` may not."""

Verdict = Applied | Recoverable | Terminal | NotSent


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker gives back for a request. Times are seconds since 1970."""

    request: Request
    verdict: Verdict
    sent_at: float
    answered_at: float
    facts: ListFacts | None = None
    statuses: tuple[str, ...] = ()  # one for each call: a code, `timeout` or `connection_error`
    remaining: int | None = None  # requests left in HubSpot's present interval
    refreshes: tuple[Refresh, ...] = ()  # one for each token refresh: `ok`, `failed` or `refused`


class Outcome(StrEnum):
    """What became of a contact in a successful request."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    UNCHANGED = "UNCHANGED"
    NOT_FOUND = "NOT_FOUND"
    MERGED = "MERGED"


class ContactOutcome(NamedTuple):
    """One contact of a successful request, with the change that decided it."""

    contact: int
    outcome: Outcome
    change: Change


@dataclass(frozen=True, slots=True)
class Result:
    """One successful request, for the results topic. Times are seconds since 1970."""

    connector: str
    account: str
    list_id: int
    request_id: str
    status: int
    correlation_id: str | None
    sent_at: float
    answered_at: float
    contacts: Sequence[ContactOutcome]

    @property
    def weight(self) -> int:
        """What it takes to keep it, as many waiting contacts do."""
        return _RECORD + len(self.contacts)


class RefusedContact(NamedTuple):
    """One contact of a dead letter. `record_id` is text, for it may not be a number at all."""

    record_id: str
    action: Action
    change: Change


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event that could not be read, just as Kafka gave it."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        parts = [self.key, self.value, *(content for _, content in self.headers)]
        return sum(len(part) for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Changes that were not applied and will not be retried. `recorded_at` is in seconds since 1970."""

    reason: str
    recorded_at: float
    details: Details = field(default_factory=Details)
    connector: str | None = None
    account: str | None = None
    list_id: int | None = None
    request_id: str | None = None
    contacts: tuple[RefusedContact, ...] = ()
    event: RawEvent | None = None

    @property
    def weight(self) -> int:
        """What it takes to keep it, as many waiting contacts do."""
        return _RECORD + len(self.contacts) + (self.event.size // _CONTACT if self.event is not None else 0)


DEAD_LETTER_REASONS: Mapping[str, str] = {
    "INVALID_RECORD_ID": "the identifier is not a positive 64-bit decimal number",
    "UNDECODABLE": "the event's bytes are not what a schema says",
    "BAD_REQUEST": "HubSpot answered 400",
    "UNAUTHORIZED": "HubSpot answered 401",
    "FORBIDDEN": "HubSpot answered 403",
    "LIST_NOT_FOUND": "HubSpot answered 404",
    "SERVER_ERROR": "HubSpot answered 500",
    "UNEXPECTED_STATUS": "HubSpot answered with a status that nobody documented",
    "UNREADABLE_ANSWER": "HubSpot answered 2xx four times in a row with a body that cannot be read",
    "INVALID_GRANT": "HubSpot no longer accepts the refresh token",
    "LIST_DYNAMIC": "the list is an active list: HubSpot fills it by itself",
    "LIST_DELETED": "the list was deleted in HubSpot",
    "LIST_NOT_OF_CONTACTS": "the list holds something else than contacts",
    GAVE_UP: "recoverable failures went on for longer than retry.give_up_after",
    HELD: "the guard held what would empty the list, and nobody released it in time",
}
"""Every reason a dead letter can bear, and what it means."""
