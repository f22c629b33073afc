"""What a round left behind, held against the log: what was lost, reordered, sent twice. Pure."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from consumer.simulator.messages import Handled
from tests.chaos.log import ADD, REMOVE, Place, Said, Truth, Who
from tests.chaos.plan import LISTS


@dataclass
class Findings:
    """What is wrong, and what is only worth a number.

    Where a list is not as the log has it, the contact's newest change is `lost` if HubSpot never took it, `reordered`
    if HubSpot took it and an older one after it. `unrecorded` are newest changes, or messages that must be dead
    letters, with neither a result nor a dead letter. `excepted` are contacts whose newest change is a dead letter.
    `duplicates` are contacts sent again though HubSpot had taken that very change, `stale` those sent an older change
    after HubSpot had taken a newer one, whether or not that was put right. A request that left no result does not tell
    its changes: it counts as fresh if the log had a newer change of its kind by then.
    """

    lost: list[Who] = field(default_factory=list)
    reordered: list[Who] = field(default_factory=list)
    unrecorded: list[Who | Place] = field(default_factory=list)
    excepted: int = 0
    duplicates: int = 0
    stale: int = 0

    @property
    def promise_broken(self) -> bool:
        """Tell whether anything was lost, reordered or not recorded."""
        return bool(self.lost or self.reordered or self.unrecorded)


@dataclass(slots=True)
class _Taken:
    """What HubSpot has taken for a contact so far: the newest change it surely took, and the action taken last."""

    newest: int = -1
    last: str = ""
    told: bool = False  # the last one left a result


def audit(
    truth: Truth,
    requests: Iterable[Handled],
    results: Iterable[Mapping[str, Any]],
    dead_letters: Iterable[Mapping[str, Any]],
    lists: Mapping[int, frozenset[int]],
    wall: float,
) -> Findings:
    """Compare. `wall` is added to the portal's times to make them seconds since 1970."""
    findings = Findings()
    recorded, by_request = _recorded(results)
    refused, events = _refused(dead_letters)
    taken = _replay(findings, truth, requests, by_request, wall)
    wanted = {list_id: truth.members(list_id) for list_id in lists}
    for who, changes in truth.changes.items():
        newest = changes[-1]
        if newest.place in refused.get(who, ()):
            findings.excepted += 1
            continue
        if newest.place not in recorded.get(who, ()):
            findings.unrecorded.append(who)
        if (who.contact in lists[who.list_id]) != (who.contact in wanted[who.list_id]):
            taken_it = who in taken and taken[who].newest == newest.place.offset
            (findings.reordered if taken_it else findings.lost).append(who)
    findings.unrecorded.extend(place for place in truth.must_be_refused if place not in events)
    return findings


def leaks(secrets: Iterable[str], text: str) -> list[str]:
    """Give the secrets that a text holds: as they are, or as they travel in a form, a header or JSON."""
    return [each for each in secrets if any(form in text for form in _forms(each))]


def _forms(secret: str) -> set[str]:
    return {secret, quote_plus(secret), base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1]}


def _recorded(results: Iterable[Mapping[str, Any]]) -> tuple[dict[Who, set[Place]], dict[int, dict[int, int]]]:
    """Give the places of the changes that have a result, and of each request the offset that each contact had."""
    recorded: dict[Who, set[Place]] = {}
    by_request: dict[int, dict[int, int]] = {}
    for result in results:
        number = int((result["correlation_id"] or "").rpartition("-")[2], 16)
        offsets = by_request.setdefault(number, {})
        for each in result["contacts"]:
            place = Place(each["partition"], each["offset"])
            recorded.setdefault(Who(result["list_id"], each["record_id"]), set()).add(place)
            offsets[each["record_id"]] = place.offset
    return recorded, by_request


def _refused(dead_letters: Iterable[Mapping[str, Any]]) -> tuple[dict[Who, set[Place]], set[Place]]:
    """Give the places of the changes that are dead letters by contact, and all places that dead letters name."""
    refused: dict[Who, set[Place]] = {}
    places: set[Place] = set()
    for record in dead_letters:
        if record["event"] is not None:
            places.add(Place(record["event"]["partition"], record["event"]["offset"]))
        for each in record["contacts"]:
            place = Place(each["partition"], each["offset"])
            places.add(place)
            if each["record_id"].isdecimal():
                refused.setdefault(Who(record["list_id"], int(each["record_id"])), set()).add(place)
    return refused, places


def _replay(
    findings: Findings,
    truth: Truth,
    requests: Iterable[Handled],
    by_request: Mapping[int, Mapping[int, int]],
    wall: float,
) -> dict[Who, _Taken]:
    """Go through what took effect at HubSpot, in the order in which it did."""
    taken: dict[Who, _Taken] = {}
    effects = [each for each in requests if each.applied_at is not None and each.list_id in LISTS]
    for request in sorted(effects, key=lambda each: (each.applied_at, each.number)):
        offsets = by_request.get(request.number, {})
        for action, contacts in ((ADD, request.adds), (REMOVE, request.removes)):
            for contact in contacts:
                who = Who(request.list_id or 0, contact)
                offset = offsets.get(contact)
                seen = taken.setdefault(who, _Taken())
                if offset is None:
                    fresh = _could_be_fresh(truth.changes[who], action, seen.newest, request.at + wall)
                    again = not fresh and seen.last == action
                else:
                    fresh = offset > seen.newest
                    again = offset == seen.newest or (fresh and not seen.told and seen.last == action)
                if again:
                    findings.duplicates += 1
                elif not fresh:
                    findings.stale += 1
                if offset is not None:
                    seen.newest = max(seen.newest, offset)
                seen.last, seen.told = action, offset is not None
    return taken


def _could_be_fresh(changes: list[Said], action: str, newest: int, at: float) -> bool:
    return any(each.action == action and each.place.offset > newest and each.at <= at for each in reversed(changes))
