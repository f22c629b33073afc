"""What HubSpot's answers mean. Pure; its quirks end here.

Sources: HubSpot's API reference of version 2026-03, its error-handling guide, and what other connectors measured. Which
statuses are recoverable is the mission's table (408, 429, 503) and HubSpot's guide (423, 477, 502, 504, 521, 523, 524).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from consumer.outcomes import (
    TOKEN_EXPIRED,
    UNREADABLE,
    Applied,
    Details,
    ListFacts,
    Recoverable,
    Request,
    Scope,
    Terminal,
    Verdict,
)
from consumer.reads import Contacts, Page

INTERVAL = 10.0  # seconds of HubSpot's rolling limit, where a 429 names no interval
DAILY_PROBE = 900.0  # a daily limit names no end: one request every 15 minutes looks whether it is over
LONGEST_WAIT = 86_400.0  # a migration (477) may ask for up to about a day; nothing asks for more
LONGEST_TEXT = 1_000
MERGED = "hs_merged_object_ids"  # the property that holds the record ids merged into a contact, between semicolons
OUT_OF_ORDER = "OUT_OF_ORDER"
"""Reason why a list cannot be read: its pages contradict each other."""


@dataclass(frozen=True, slots=True)
class _Passing:
    """How to go on after a status that passes: wait at least so long; it may take effect late; it took too long."""

    wait: float = 0.0
    late: bool = False
    halve: bool = False


_PASSING: Mapping[int, _Passing] = {
    408: _Passing(late=True, halve=True),
    423: _Passing(wait=2.0),
    477: _Passing(wait=2.0),
    502: _Passing(wait=2.0, late=True),
    503: _Passing(wait=2.0),
    504: _Passing(wait=2.0, late=True, halve=True),
    521: _Passing(wait=2.0),
    523: _Passing(wait=2.0),
    524: _Passing(wait=2.0, late=True, halve=True),
}

_REFUSALS: Mapping[int, tuple[str, Scope]] = {
    400: ("BAD_REQUEST", Scope.BATCH),
    401: ("UNAUTHORIZED", Scope.ACCOUNT),
    403: ("FORBIDDEN", Scope.LIST),
    404: ("LIST_NOT_FOUND", Scope.LIST),
    500: ("SERVER_ERROR", Scope.BATCH),
}


def membership_answer(request: Request, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    """Say what the answer to add-and-remove means for the ids that were sent. `headers` have lower-case names."""
    if not _is_success(status):
        return refusal(status, headers, body)
    details = _details(status, headers, {})
    if not body.strip():
        return Applied(details)
    answer = _json(body)
    if not isinstance(answer, dict):
        return Recoverable(details, UNREADABLE)
    adds, removes = frozenset(request.adds), frozenset(request.removes)
    missing_said = _Ids(answer, "recordIdsMissing")
    added_said = _Ids(answer, "recordsIdsAdded", "recordIdsAdded")
    removed_said = _Ids(answer, "recordIdsRemoved")
    if not (missing_said.readable and added_said.readable and removed_said.readable):
        return Recoverable(details, UNREADABLE)
    missing = missing_said.known & (adds | removes)
    added = (added_said.known & adds) - missing
    removed = (removed_said.known & removes) - missing
    merged_adds, new_added = _merged(adds - added - missing, added_said.known - adds, adds | removes)
    merged_removes, new_removed = _merged(removes - removed - missing, removed_said.known - removes, adds | removes)
    unexpected = (missing_said.known - adds - removes) | new_added | new_removed
    strange = missing_said.strange + added_said.strange + removed_said.strange
    return Applied(
        details,
        frozenset(added),
        frozenset(removed),
        frozenset(missing),
        len(unexpected) + strange,
        merged_adds | merged_removes,
    )


def _merged(silent: frozenset[int], new: set[int], sent: frozenset[int]) -> tuple[frozenset[int], set[int]]:
    """Give the ids that were merged into others, and the ids of the answer that this does not explain.

    Each id that was not sent and yet was changed (`new`) is the survivor of one that was sent and that the answer does
    not name (`silent`). So where they are as many, each of those was merged; where they are fewer, nobody knows which.
    """
    if silent and len(silent) == len(new) and not new & sent:
        return silent, set()
    return frozenset(), new


def list_answer(status: int, headers: Mapping[str, str], body: bytes) -> ListFacts | Verdict:
    """Say what the answer to a look at a list means: its facts, or what any failing answer means."""
    if not _is_success(status):
        return refusal(status, headers, body)
    answer = _json(body)
    described = answer.get("list", answer) if isinstance(answer, dict) else None
    if not isinstance(described, dict) or "processingType" not in described:
        return Recoverable(_details(status, headers, {}), UNREADABLE)
    unusable = None
    if described.get("deletedAt"):  # a deleted list still answers 200
        unusable = "LIST_DELETED"
    elif described.get("objectTypeId", "0-1") != "0-1":
        unusable = "LIST_NOT_OF_CONTACTS"
    elif described["processingType"] not in ("MANUAL", "SNAPSHOT"):  # not a set: the value may be unhashable
        unusable = "LIST_DYNAMIC"
    return ListFacts(_text(described.get("name")) or "", unusable, _size(described))


def page_answer(
    list_id: int, above: int, status: int, headers: Mapping[str, str], body: bytes
) -> Page | Recoverable | Terminal:
    """Say what the answer to a request for members above a record id means."""
    if not _is_success(status):
        return refusal(status, headers, body)
    answer = _json(body)
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(results, list):
        return Recoverable(_details(status, headers, {}), UNREADABLE)
    members = [record_number(each.get("recordId")) if isinstance(each, dict) else None for each in results]
    known = tuple(each for each in members if each is not None)
    if len(known) < len(members):
        return Recoverable(_details(status, headers, {}), UNREADABLE)
    cursor = _cursor(answer)
    if any(first >= second for first, second in pairwise((above, *known))) or (cursor is not None and not known):
        told = (
            f"the members of list {list_id} do not come in the order of their record ids (after {above}), "
            "so they cannot be compared"
        )
        return Terminal(replace(_details(status, headers, {}), message=told), OUT_OF_ORDER, Scope.LIST)
    total = str(answer.get("total"))
    return Page(known, cursor, int(total) if total.isascii() and total.isdecimal() and len(total) < 20 else None)  # noqa: PLR2004 - sane sizes


def contacts_answer(status: int, headers: Mapping[str, str], body: bytes) -> Contacts | Recoverable | Terminal:
    """Say what the answer to a request for contacts means: which exist, and which were merged into them."""
    if not _is_success(status):
        return refusal(status, headers, body)
    answer = _json(body)
    results = answer.get("results") if isinstance(answer, dict) else None
    merged: dict[int, frozenset[int]] = {}
    for each in results if isinstance(results, list) else ():
        contact = record_number(each.get("id")) if isinstance(each, dict) else None
        if contact is None:
            return Recoverable(_details(status, headers, {}), UNREADABLE)
        merged[contact] = _merged_into(each.get("properties"))
    if not isinstance(results, list):
        return Recoverable(_details(status, headers, {}), UNREADABLE)
    return Contacts(merged)


def unusable_list(facts: ListFacts) -> Terminal:
    """Say what a list that cannot be kept aligned means for a request."""
    told = {
        "LIST_DELETED": "the list was deleted in HubSpot: restore it, or attach the connector to another list",
        "LIST_NOT_OF_CONTACTS": "the list does not hold contacts: attach the connector to a contact list",
        "LIST_DYNAMIC": "the list is an active list, which HubSpot fills by itself: attach a manual one",
    }
    reason = facts.unusable or "LIST_DYNAMIC"
    return Terminal(Details(message=told[reason]), reason, Scope.LIST)


def no_answer(reason: str, *, sent: bool, message: str) -> Recoverable:
    """Say what a `timeout` or a `connection_error` means; `sent`: the call may have left."""
    return Recoverable(Details(message=message), reason, late=sent, halve=sent and reason == "timeout")


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Recoverable | Terminal:
    """Say what an answer other than 2xx means."""
    answer = _json(body)
    said: dict[str, Any] = answer if isinstance(answer, dict) else {}
    details = _details(status, headers, said)
    if status == 429:  # noqa: PLR2004 - a status is clearer as its number
        return _rate_limited(details, headers, said)
    if status == 401 and details.category == "EXPIRED_AUTHENTICATION":  # noqa: PLR2004 - as above
        return Recoverable(details, TOKEN_EXPIRED)
    passing = _PASSING.get(status)
    if passing is not None:
        wait = min(LONGEST_WAIT, max(passing.wait, _positive(headers.get("retry-after")) or 0.0))
        return Recoverable(details, str(status), wait=wait, late=passing.late, halve=passing.halve)
    reason, scope = _REFUSALS.get(status, ("UNEXPECTED_STATUS", Scope.BATCH))
    if details.category == "MISSING_SCOPES":  # what the account's credentials may not do, they may do on no list
        scope = Scope.ACCOUNT
        details = replace(details, message=_with_scopes(details.message, said))
    return Terminal(details, reason, scope)


def remaining(headers: Mapping[str, str]) -> int | None:
    """How many requests HubSpot says are left in its present interval."""
    value = headers.get("x-hubspot-ratelimit-remaining", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None  # noqa: PLR2004 - sane sizes


def _cursor(answer: Mapping[str, Any]) -> str | None:
    """Read where the next page begins, wherever something is missing: nowhere."""
    paging = answer.get("paging")
    following = paging.get("next") if isinstance(paging, dict) else None
    cursor = following.get("after") if isinstance(following, dict) else None
    return str(cursor) if isinstance(cursor, str | int) and cursor != "" else None


def _merged_into(properties: object) -> frozenset[int]:
    said = properties.get(MERGED) if isinstance(properties, dict) else None
    numbers = map(record_number, said.split(";")) if isinstance(said, str) else ()
    return frozenset(each for each in numbers if each is not None)


def _rate_limited(details: Details, headers: Mapping[str, str], said: Mapping[str, Any]) -> Recoverable:
    asked = _positive(headers.get("retry-after"))
    interval = _positive(headers.get("x-hubspot-ratelimit-interval-milliseconds"))
    daily = said.get("policyName") == "DAILY"
    usual = DAILY_PROBE if daily else interval / 1000 if interval else INTERVAL
    rolling = asked is None and said.get("policyName") == "TEN_SECONDLY_ROLLING"
    wait = min(LONGEST_WAIT, asked or usual)
    return Recoverable(details, "429", wait=wait, account_wide=True, probe=daily, rolling=rolling)


def _size(described: Mapping[str, Any]) -> int | None:
    """Read a list's size, which a search tells among the list's other properties, as text; it may not be told."""
    others = described.get("additionalProperties")
    size = str(described.get("size", others.get("hs_list_size") if isinstance(others, dict) else None))
    return int(size) if size.isascii() and size.isdecimal() and len(size) <= _MOST_DIGITS else None


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - HTTP's own bounds


def _json(body: bytes) -> Any:  # noqa: ANN401 - whatever HubSpot sends
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _details(status: int, headers: Mapping[str, str], said: Mapping[str, Any]) -> Details:
    return Details(
        status=status,
        category=_text(said.get("category") or said.get("errorType")),
        message=_text(said.get("message")),
        correlation_id=_text(said.get("correlationId")) or _text(headers.get("x-hubspot-correlation-id")),
    )


def _with_scopes(message: str | None, said: Mapping[str, Any]) -> str | None:
    """Add the scopes that the call needs, which HubSpot names in the context of its errors alone."""
    errors = said.get("errors")
    contexts = [each.get("context") for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    named = [each.get("requiredGranularScopes") for each in contexts if isinstance(each, dict)]
    scopes = dict.fromkeys(str(scope) for each in named if isinstance(each, list) for scope in each)
    needs = f"the call needs {', '.join(scopes)}" if scopes else None
    return _text(" ".join(filter(None, (message, needs and f"({needs})"))))


def _text(value: object) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    return value[:LONGEST_TEXT].encode(errors="replace").decode()  # JSON may spell half a surrogate pair


def _positive(value: str | None) -> float | None:
    """Read a header's number; None when it is missing, not finite or not positive."""
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


class _Ids:
    """One array of record ids, under the first of its names that is there. Missing means empty."""

    def __init__(self, answer: Mapping[str, object], *names: str) -> None:
        value = next((answer[name] for name in names if answer.get(name) is not None), [])
        self.readable = isinstance(value, list)
        items = value if isinstance(value, list) else []
        self.known = _as_usual(items)
        self.strange = 0
        if len(self.known) < len(items):
            numbers = [record_number(item) for item in items]
            self.known = {number for number in numbers if number is not None}
            self.strange = numbers.count(None)


def _as_usual(items: list[object]) -> set[int]:
    """Read record ids, all written as text; empty if there is anything else. There may be thousands."""
    try:
        text = "".join(items)  # type: ignore[arg-type]  # it raises if any is something else
        numbers = {int(item) for item in items} if text.isascii() and text.isdecimal() else set()  # type: ignore[call-overload]  # as above
    except (TypeError, ValueError):
        return set()
    return numbers if numbers and min(numbers) > 0 and max(numbers) <= LARGEST_RECORD_ID else set()


LARGEST_RECORD_ID = 2**63 - 1
_MOST_DIGITS = 100  # more leading zeros than this are nonsense, and long numbers are slow to read


def record_number(value: object) -> int | None:
    """Read a record id, written as text or number; None unless it is a positive 64-bit decimal number.

    `007` is 7: HubSpot takes both for one record.
    """
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS:
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        return None
    return number if 0 < number <= LARGEST_RECORD_ID else None
