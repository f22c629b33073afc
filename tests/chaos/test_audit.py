"""The audit sees what it is there to see: a run that finds nothing must not be one that looks at nothing."""

from dataclasses import replace
from typing import Any

import pytest

from consumer.simulator.messages import Handled
from tests.chaos import plan
from tests.chaos.audit import Findings, audit, leaks
from tests.chaos.log import ADD, REMOVE, Message, Place, Truth, Who, truth
from tests.chaos.plan import LISTS

WHO = Who(4711, 7)
ENTER = Message(b"+7", "7", 1, WHO, ADD)
EXIT = Message(b"-7", "7", 1, WHO, REMOVE)
POISON = Message(b"", "poison", 0, reason="UNDECODABLE")


def log(*messages: Message) -> Truth:
    """Give the truth of messages, each a second after the one before, in one partition."""
    return truth((message, Place(1, offset), float(offset)) for offset, message in enumerate(messages))


def request(number: int, action: str, at: float) -> Handled:
    """Give a request for the contact that took effect at once."""
    adds, removes = ((7,), ()) if action == ADD else ((), (7,))
    return Handled(number, at, "acme", "PUT", "", 4711, adds, removes, 200, at, None)


def result(number: int, offset: int) -> dict[str, Any]:
    """Give the result of a request that carried the change at an offset."""
    contact = {"record_id": 7, "partition": 1, "offset": offset}
    return {"correlation_id": f"0-0-4-8-{number:012x}", "list_id": 4711, "contacts": [contact]}


def refused(offset: int) -> dict[str, Any]:
    """Give the dead letter of the change at an offset."""
    contact = {"record_id": "7", "partition": 1, "offset": offset}
    return {"list_id": 4711, "contacts": [contact], "event": None}


def found(
    told: Truth, requests: list[Handled], results: list[dict[str, Any]], *members: int, dead: tuple[int, ...] = ()
) -> Findings:
    """Audit, with these on the contact's list."""
    lists = {list_id: frozenset(members if list_id == 4711 else ()) for list_id in LISTS}
    return audit(told, requests, results, [refused(offset) for offset in dead], lists, 0.0)


def test_all_is_well() -> None:
    """What was sent once, in order, and recorded, is no finding."""
    requests = [request(1, ADD, 1.5), request(2, REMOVE, 2.5)]
    assert found(log(ENTER, EXIT), requests, [result(1, 0), result(2, 1)]) == Findings()


def test_a_lost_change_is_seen() -> None:
    """A newest change that was recorded, but that HubSpot never took, is lost."""
    assert found(log(ENTER, EXIT), [request(1, ADD, 1.5)], [result(1, 0), result(2, 1)], 7).lost == [WHO]


def test_a_reordered_change_is_seen() -> None:
    """A newer change that HubSpot took before an older one is reordered, and the older one stale."""
    requests = [request(2, REMOVE, 2.5), request(1, ADD, 3.5)]
    findings = found(log(ENTER, EXIT), requests, [result(1, 0), result(2, 1)], 7)
    assert (findings.reordered, findings.stale, findings.lost) == ([WHO], 1, [])


def test_a_stale_request_that_was_put_right_is_counted() -> None:
    """An older change after a newer one counts even where the newer one was sent again."""
    requests = [request(2, REMOVE, 2.5), replace(request(1, ADD, 1.5), applied_at=3.5), request(3, REMOVE, 4.5)]
    findings = found(log(ENTER, EXIT), requests, [result(2, 1), result(3, 1)])
    assert (findings.promise_broken, findings.stale, findings.duplicates) == (False, 1, 1)


@pytest.mark.parametrize("results", [[result(1, 0)], []], ids=["recorded", "not recorded"])
def test_a_change_that_was_sent_again_is_counted(results: list[dict[str, Any]]) -> None:
    """The same change twice is a duplicate, also where the first request left no result."""
    requests = [request(1, ADD, 1.5), request(2, ADD, 2.5)]
    findings = found(log(ENTER), requests, [*results, result(2, 0)], 7)
    assert (findings.promise_broken, findings.duplicates) == (False, 1)


def test_a_change_without_a_record_is_seen() -> None:
    """A change that HubSpot took must have its result, and a poisonous message its dead letter."""
    assert found(log(ENTER, POISON), [request(1, ADD, 1.5)], [], 7).unrecorded == [WHO, Place(1, 1)]


def test_a_dead_letter_is_excepted() -> None:
    """Of a contact whose newest change is a dead letter nothing is asked; of another the dead letter says nothing."""
    told, requests = log(ENTER, EXIT), [request(1, ADD, 1.5)]
    assert found(told, requests, [result(1, 0)], 7, dead=(1,)) == Findings(excepted=1)
    assert found(told, requests, [result(1, 0)], 7, dead=(0,)).lost == [WHO]


@pytest.mark.parametrize(
    "text", ['{"token": "s/ü"}', r'{"token": "s/\u00fc"}', "client_secret=s%2F%C3%BC", "Authorization: Basic cy/DvA=="]
)
def test_a_secret_is_found_however_it_travels(text: str) -> None:
    """A secret in JSON, a form or a header is seen, and what is no secret is not."""
    assert leaks({"s/ü", "other"}, text) == ["s/ü"]


def test_a_seed_gives_the_same_plan_and_enough_of_everything() -> None:
    """A plan follows from its seed alone, and every plan has its kills, stops, freezes and cuts."""
    assert plan.make(1) == plan.make(1) != plan.make(2)
    kinds = [step.kind for track in plan.make(3).members for step in track]
    assert kinds.count("killed") > 20
    assert {"stopped", "frozen", "cut from Kafka", "silent to Kafka", "cut from HubSpot", "silent to HubSpot"} < {
        *kinds
    }
