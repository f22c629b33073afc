"""A request that was understood: which endpoint, whose account, what change."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from consumer.simulator.accounts import Account
from consumer.simulator.messages import Answer, RefusedError, Request


@dataclass(frozen=True)
class Quirks:
    """Where HubSpot was seen to behave in more than one way.

    `added_key` names the added ids, `noop_body` is the body of a change without effect, `expires_in` (seconds) the life
    of an access token; `rotate_refresh_tokens` makes every refresh replace the refresh token.
    """

    added_key: Literal["recordsIdsAdded", "recordIdsAdded"] = "recordsIdsAdded"
    noop_body: Literal["", "{}"] = ""
    expires_in: int = 1800
    rotate_refresh_tokens: bool = False


@dataclass(frozen=True)
class Change:
    """Record ids to add and to remove, each once, in the order asked for."""

    adds: tuple[int, ...] = ()
    removes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Call:
    """One request on its way through the portal. `change` is what a membership request asks, or why it is refused."""

    number: int
    now: float
    request: Request
    quirks: Quirks
    endpoint: "Endpoint | None"
    account: Account | None
    arguments: Mapping[str, str]
    change: Change | RefusedError

    @property
    def query(self) -> dict[str, str]:
        """Parameters behind the `?`; the last of a name counts."""
        return dict(parse_qsl(self.request.query, keep_blank_values=True))

    @property
    def list_id(self) -> int | None:
        """List in the path; None if there is none or it is no number."""
        text = self.arguments.get("list_id", "")
        return int(text) if re.fullmatch(r"[0-9]{1,19}", text) else None


@dataclass(frozen=True)
class Endpoint:
    """One method and path. Success `changes` the account or not; the `family` has its own limits and faults."""

    method: str
    path: str  # a regular expression; its groups become the call's arguments
    serve: Callable[[Account, Call], Answer]
    scopes: tuple[str, ...] = ()
    changes: bool = False
    family: Literal["lists", "search", "contacts", "token", "oauth"] = "lists"
