"""Named faults: what goes wrong at HubSpot or on the way to it, for whom, how often and when."""

import math
import random
from dataclasses import dataclass
from typing import Literal

from consumer.simulator.calls import Call
from consumer.simulator.messages import Answer, error, rate_limit
from consumer.simulator.oauth import BAD_REFRESH_TOKEN, missing_scopes


@dataclass(frozen=True)
class Kind:
    """What a fault does. No answer and no cut: the request is served, and something is wrong with how.

    `seconds` says what a fault's seconds mean. `on_token` faults hit the token endpoint, the others the APIs of lists
    and contacts.
    """

    answer: Answer | None = None
    cut: bool = False
    seconds: Literal["delay", "retry_after", "applied_after"] = "delay"
    on_token: bool = False


def _gateway(title: str) -> Answer:
    # What stands before HubSpot answers with a page, not with HubSpot's JSON.
    return Answer(502 if title == "Bad Gateway" else 504, f"<html><head><title>{title}</title></head></html>")


KINDS: dict[str, Kind] = {
    "rate_limited": Kind(rate_limit("TEN_SECONDLY_ROLLING"), seconds="retry_after"),
    "daily_limit": Kind(rate_limit("DAILY"), seconds="retry_after"),
    "unavailable": Kind(error(503, "SERVICE_UNAVAILABLE", "The service is unavailable.")),
    "request_timeout": Kind(error(408, "REQUEST_TIMEOUT", "The request took too long.")),
    "locked": Kind(error(423, "LOCKED", "The resource is locked.")),
    "migrating": Kind(error(477, "MIGRATION_IN_PROGRESS", "The account is being moved."), seconds="retry_after"),
    "server_error": Kind(error(500, "INTERNAL_ERROR", "Internal error.")),
    "bad_gateway": Kind(_gateway("Bad Gateway")),
    "gateway_timeout": Kind(_gateway("Gateway Timeout")),
    "bad_request": Kind(error(400, "VALIDATION_ERROR", "Invalid input.")),
    "token_expired": Kind(error(401, "EXPIRED_AUTHENTICATION", "The access token has expired.")),
    "token_invalid": Kind(error(401, "INVALID_AUTHENTICATION", "The access token is missing or unknown.")),
    "forbidden": Kind(missing_scopes(["crm.lists.read", "crm.lists.write"])),
    "not_found": Kind(error(404, "OBJECT_NOT_FOUND", "The list does not exist.")),
    "slow": Kind(),
    "unreadable": Kind(),
    "cut_before": Kind(cut=True),
    "cut_after": Kind(cut=True),
    "late": Kind(cut=True, seconds="applied_after"),
    "refresh_unavailable": Kind(error(503, "SERVICE_UNAVAILABLE", "The service is unavailable."), on_token=True),
    "refresh_refused": Kind(BAD_REFRESH_TOKEN, on_token=True),
}


@dataclass(frozen=True)
class Fault:
    """One fault. It hits requests that would otherwise be served; what is None in its scope is any.

    `seconds` is the delay before the answer or the cut. Of `rate_limited`, `daily_limit` and `migrating` it is the
    Retry-After, of `late` the time until the change takes effect. `times` is how many requests it hits, None for ever.
    It is active from `since` until before `until` (seconds of the portal's clock), for each request with probability
    `share`. `applied_after` lets the change of a refused or cut request take effect all the same, so many seconds after
    it arrived: nobody who gets a 504 knows.
    """

    name: str
    seconds: float = 0.0
    account: str | None = None
    list_id: int | None = None
    method: str | None = None
    times: int | None = None
    since: float = -math.inf
    until: float = math.inf
    share: float = 1.0
    applied_after: float | None = None

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise ValueError(f"Fault {self.name!r} is unknown: take one of {', '.join(KINDS)}.")
        if self.seconds < 0 or not 0 <= self.share <= 1 or (self.times is not None and self.times < 1):
            raise ValueError(f"Fault {self.name}: seconds must be 0 or more, share 0 to 1, times 1 or more.")
        if self.applied_after is not None and not (self.kind.answer or self.kind.cut):
            raise ValueError(f"Fault {self.name}: the request is served at once, so leave applied_after away.")

    @property
    def kind(self) -> Kind:
        """What it does."""
        return KINDS[self.name]

    @property
    def delay(self) -> float:
        """Seconds before the answer or the cut."""
        return self.seconds if self.kind.seconds == "delay" else 0.0

    @property
    def retry_after(self) -> int | None:
        """Whole seconds that the answer asks to wait; None if it does not say."""
        return math.ceil(self.seconds) if self.kind.seconds == "retry_after" and self.seconds else None

    @property
    def effect_after(self) -> float | None:
        """Seconds from arrival until the change of a refused or cut request takes effect; None: never."""
        if self.name == "cut_after":
            return 0.0
        return self.seconds if self.kind.seconds == "applied_after" else self.applied_after

    def hits(self, call: Call) -> bool:
        """Whether `call` is in its scope; `times` and `share` are left to the schedule."""
        if call.endpoint is None or call.endpoint.family not in (
            ("token",) if self.kind.on_token else ("lists", "search", "contacts")
        ):
            return False
        account = call.account.name if call.account else None
        return (
            self.account in (None, account)
            and self.list_id in (None, call.list_id)
            and self.method in (None, call.request.method)
            and self.since <= call.now < self.until
        )


class Schedule:
    """The faults that are active. The first injected that hits is the one that happens."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - faults must repeat themselves, secrets are not made here
        self._active: dict[int, Fault] = {}
        self._hits: dict[int, int] = {}

    def inject(self, fault: Fault) -> int:
        """Make a fault active; the handle is for `heal`."""
        handle = len(self._hits) + 1
        self._hits[handle] = 0
        self._active[handle] = fault
        return handle

    def heal(self, handle: int) -> None:
        """End a fault; one that has spent its `times` has ended already, which is no error."""
        self._active.pop(handle, None)

    def heal_all(self) -> None:
        """End all faults."""
        self._active.clear()

    def pick(self, call: Call) -> Fault | None:
        """Return the fault that hits `call`, and count it."""
        for handle, fault in list(self._active.items()):
            if fault.hits(call) and (fault.share == 1 or self._random.random() < fault.share):
                self._hits[handle] += 1
                if self._hits[handle] == fault.times:
                    self.heal(handle)
                return fault
        return None
