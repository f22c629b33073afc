"""Named faults: what each does, whom it hits, when it ends."""

import json

import pytest

from consumer.simulator import KINDS, ContactList, Fault, Portal
from tests.simulator.caller import LISTS, caller

ANSWERS = {
    "rate_limited": (429, {"errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"}),
    "daily_limit": (429, {"errorType": "RATE_LIMIT", "policyName": "DAILY"}),
    "unavailable": (503, {"status": "error"}),
    "request_timeout": (408, {"status": "error"}),
    "locked": (423, {"status": "error"}),
    "migrating": (477, {"status": "error"}),
    "server_error": (500, {"status": "error"}),
    "bad_gateway": (502, None),
    "gateway_timeout": (504, None),
    "bad_request": (400, {"category": "VALIDATION_ERROR"}),
    "token_expired": (401, {"category": "EXPIRED_AUTHENTICATION"}),
    "token_invalid": (401, {"category": "INVALID_AUTHENTICATION"}),
    "forbidden": (403, {"category": "MISSING_SCOPES"}),
    "not_found": (404, {"category": "OBJECT_NOT_FOUND"}),
}
SERVED = {"slow", "unreadable"}
CUTS = {"cut_before", "cut_after", "late"}
TOKEN_FAULTS = {"refresh_unavailable", "refresh_refused"}


def test_every_fault_is_tested_here() -> None:
    """The tables of this file name every fault there is."""
    assert ANSWERS.keys() | SERVED | CUTS | TOKEN_FAULTS == KINDS.keys()


@pytest.mark.parametrize("name", ANSWERS)
def test_a_failing_answer(name: str) -> None:
    """The answer has the fault's status and body, nothing is applied, and the next request is served."""
    hubspot = caller()
    hubspot.portal.inject(Fault(name, times=1))
    status, expected = ANSWERS[name]

    reply = hubspot.put(["1"])

    assert (reply.status, reply.cut, reply.delay) == (status, False, 0.0)
    correlation_id = reply.header("X-HubSpot-Correlation-Id")
    assert correlation_id
    if expected is None:
        with pytest.raises(json.JSONDecodeError):
            reply.json()
    else:
        assert (expected | {"correlationId": correlation_id}).items() <= reply.json().items()
    assert hubspot.vip.members == set()
    assert hubspot.portal.log[0].fault == name
    assert hubspot.put(["1"]).status == (401 if name == "token_expired" else 200)


@pytest.mark.parametrize(("name", "status"), [("rate_limited", 429), ("daily_limit", 429), ("migrating", 477)])
@pytest.mark.parametrize(("seconds", "header"), [(2.5, "3"), (0.0, None)])
def test_seconds_as_retry_after(name: str, status: int, seconds: float, header: str | None) -> None:
    """Where HubSpot asks to wait, the fault's seconds are the Retry-After, and the answer comes at once."""
    hubspot = caller()
    hubspot.portal.inject(Fault(name, seconds))

    reply = hubspot.put(["1"])

    assert (reply.status, reply.header("Retry-After"), reply.delay) == (status, header, 0.0)


@pytest.mark.parametrize("name", ["slow", "unavailable", "cut_before", "cut_after", "gateway_timeout"])
def test_seconds_as_delay(name: str) -> None:
    """Other answers and cuts come so many seconds later."""
    hubspot = caller()
    hubspot.portal.inject(Fault(name, 30.0))

    assert hubspot.put(["1"]).delay == 30.0


def test_token_expired_expires_the_token() -> None:
    """The token stays expired, and a refreshed one works."""
    hubspot = caller()
    hubspot.portal.inject(Fault("token_expired", times=1))
    hubspot.put(["1"])

    assert hubspot.put(["1"]).json()["category"] == "EXPIRED_AUTHENTICATION"
    hubspot.token = hubspot.refresh().json()["access_token"]
    assert hubspot.put(["1"]).status == 200


def test_forbidden_names_the_scopes() -> None:
    """The 403 says which scopes are required."""
    hubspot = caller()
    hubspot.portal.inject(Fault("forbidden"))

    context = hubspot.put(["1"]).json()["errors"][0]["context"]

    assert context == {"requiredGranularScopes": ["crm.lists.read", "crm.lists.write"]}


def test_slow_is_applied_at_arrival() -> None:
    """A slow request takes effect when it arrives, and its good answer comes late."""
    hubspot = caller()
    hubspot.portal.inject(Fault("slow", 60.0))

    reply = hubspot.put(["1"])

    assert (reply.status, reply.json()) == (200, {"recordsIdsAdded": ["1"]})
    assert hubspot.portal.log[0].applied_at == 0.0
    assert hubspot.vip.members == {1}


def test_slow_refusals_are_slow_too() -> None:
    """A request that is refused is delayed like any other."""
    hubspot = caller()
    hubspot.portal.inject(Fault("slow", 60.0))

    reply = hubspot.put(["1"], list_id=99)

    assert (reply.status, reply.delay) == (404, 60.0)


def test_unreadable_is_applied() -> None:
    """The change takes effect, and the 200 has a body that is not JSON."""
    hubspot = caller()
    hubspot.portal.inject(Fault("unreadable"))

    reply = hubspot.put(["1"])

    assert reply.status == 200
    with pytest.raises(json.JSONDecodeError):
        reply.json()
    assert hubspot.vip.members == {1}


@pytest.mark.parametrize(
    ("fault", "applied_at"),
    [
        (Fault("cut_before"), None),
        (Fault("cut_after"), 5.0),
        (Fault("late", 30.0), 35.0),
        (Fault("cut_before", applied_after=7.0), 12.0),
        (Fault("gateway_timeout", applied_after=0.0), 5.0),
        (Fault("request_timeout", applied_after=60.0), 65.0),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else None,
)
def test_when_an_unanswered_request_takes_effect(fault: Fault, applied_at: float | None) -> None:
    """A request that got no good answer takes effect never, at once or later, as the fault says; the log knows when."""
    hubspot = caller()
    hubspot.now = 5.0
    hubspot.portal.inject(fault)

    reply = hubspot.put(["1"])

    assert reply.cut == (fault.name in CUTS)
    assert hubspot.portal.log[0].status == (None if reply.cut else reply.status)
    assert hubspot.portal.next_due() == (applied_at if applied_at != 5.0 else None)
    if applied_at is not None and applied_at > 5.0:
        hubspot.portal.advance(applied_at - 0.001)
        assert hubspot.vip.members == set()
        hubspot.portal.advance(applied_at + 100)
    assert hubspot.vip.members == (set() if applied_at is None else {1})
    assert hubspot.portal.log[0].applied_at == applied_at


def test_a_late_change_overtakes_a_newer_one() -> None:
    """What arrives late undoes what was sent after it: the reason why a connector must send doubtful ids again."""
    hubspot = caller()
    hubspot.portal.inject(Fault("late", 30.0, times=1))
    hubspot.put(["1"])
    hubspot.now = 10.0
    hubspot.put([], ["1"])
    hubspot.now = 30.0

    assert hubspot.send("GET", f"{LISTS}/10").json()["list"]["size"] == 1


def test_late_changes_come_in_the_order_in_which_they_are_due() -> None:
    """Two late changes of one contact take effect by their times, not by their arrival."""
    hubspot = caller()
    hubspot.portal.inject(Fault("late", 50.0, times=1))
    hubspot.portal.inject(Fault("late", 20.0, times=1))
    hubspot.put(["1"])
    hubspot.put([], ["1"])

    hubspot.portal.advance(100.0)

    assert hubspot.vip.members == {1}
    assert [handled.applied_at for handled in hubspot.portal.log] == [50.0, 20.0]


def test_a_late_change_of_a_list_that_is_gone_is_lost() -> None:
    """A change that arrives after its list was deleted does nothing."""
    hubspot = caller()
    hubspot.portal.inject(Fault("late", 30.0))
    hubspot.put(["1"])
    hubspot.vip.deleted_at = 10.0

    hubspot.portal.advance(60.0)

    assert hubspot.vip.members == set()
    assert hubspot.portal.log[0].applied_at is None


def test_a_late_change_survives_an_emptied_log() -> None:
    """A test may empty the log between phases; what is under way still arrives."""
    hubspot = caller()
    hubspot.portal.inject(Fault("late", 30.0, times=1))
    hubspot.put(["1"])
    hubspot.portal.log.clear()
    hubspot.put(["2"])

    hubspot.portal.advance(60.0)

    assert hubspot.vip.members == {1, 2}
    assert [handled.applied_at for handled in hubspot.portal.log] == [0.0]


@pytest.mark.parametrize(
    ("name", "status", "error"), [("refresh_unavailable", 503, None), ("refresh_refused", 400, "invalid_grant")]
)
def test_faults_of_the_token_endpoint(name: str, status: int, error: str | None) -> None:
    """They hit refreshes and nothing else."""
    hubspot = caller()
    hubspot.portal.inject(Fault(name, times=1))

    assert hubspot.put(["1"]).status == 200
    reply = hubspot.refresh()
    assert (reply.status, reply.json().get("error")) == (status, error)
    assert hubspot.refresh().status == 200


def test_other_faults_leave_the_token_endpoint_alone() -> None:
    """HubSpot's lists may be down while its OAuth works."""
    hubspot = caller()
    hubspot.portal.inject(Fault("unavailable"))

    assert hubspot.refresh().status == 200


def shape(fault: Fault) -> list[int]:
    """Statuses of: PUT list 10, GET list 10, PUT list 11, PUT of another account."""
    hubspot = caller()
    hubspot.portal.accounts["acme"].add_list(ContactList(11, "second"))
    other = caller(hubspot.portal, name="other")
    hubspot.portal.inject(fault)
    replies = [
        hubspot.put(["1"]),
        hubspot.send("GET", f"{LISTS}/10"),
        hubspot.put(["1"], list_id=11),
        other.put(["1"]),
    ]
    return [reply.status for reply in replies]


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (Fault("unavailable"), [503, 503, 503, 503]),
        (Fault("unavailable", account="acme"), [503, 503, 503, 200]),
        (Fault("unavailable", account="acme", list_id=10), [503, 503, 200, 200]),
        (Fault("unavailable", list_id=10), [503, 503, 200, 503]),
        (Fault("unavailable", method="PUT"), [503, 200, 503, 503]),
        (Fault("unavailable", times=2), [503, 503, 200, 200]),
        (Fault("unavailable", since=1.0), [200, 200, 200, 200]),
        (Fault("unavailable", until=0.0), [200, 200, 200, 200]),
        (Fault("unavailable", share=0.0), [200, 200, 200, 200]),
    ],
)
def test_a_fault_hits_its_scope(fault: Fault, statuses: list[int]) -> None:
    """A fault is for an account, a list, a method, so many requests, a span of time."""
    # Account `other` calls its own list 10.
    assert shape(fault) == statuses


@pytest.mark.parametrize(("now", "status"), [(9.9, 200), (10.0, 503), (19.9, 503), (20.0, 200)])
def test_a_fault_has_its_time(now: float, status: int) -> None:
    """It begins at `since` and is over at `until`."""
    hubspot = caller()
    hubspot.portal.inject(Fault("unavailable", since=10.0, until=20.0))
    hubspot.now = now

    assert hubspot.put(["1"]).status == status


def test_a_share_of_requests() -> None:
    """About the share asked for is hit, the same ones at every run with one seed, others with another."""

    def statuses(seed: int) -> list[int]:
        hubspot = caller(Portal(seed=seed))
        hubspot.portal.inject(Fault("unavailable", share=0.3))
        return [hubspot.put(["1"]).status for _ in range(400)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)
    assert 80 <= statuses(1).count(503) <= 160


def test_the_first_injected_wins() -> None:
    """Of two faults that fit, the older one happens and the other keeps its times."""
    hubspot = caller()
    hubspot.portal.inject(Fault("unavailable", times=1))
    hubspot.portal.inject(Fault("locked", times=1))

    assert [hubspot.put(["1"]).status for _ in range(3)] == [503, 423, 200]


def test_healing() -> None:
    """One fault or all can be ended; ending one twice is no error."""
    hubspot = caller()
    first = hubspot.portal.inject(Fault("unavailable"))
    hubspot.portal.inject(Fault("locked"))

    hubspot.portal.heal(first)
    hubspot.portal.heal(first)
    assert hubspot.put(["1"]).status == 423
    hubspot.portal.heal_all()
    assert hubspot.put(["1"]).status == 200


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("nonsense", {}),
        ("slow", {"seconds": -1.0}),
        ("slow", {"share": 1.5}),
        ("slow", {"times": 0}),
        ("slow", {"applied_after": 1.0}),
    ],
)
def test_impossible_faults(name: str, wrong: dict[str, float]) -> None:
    """A fault that is unknown or makes no sense is an error of the test that makes it, and says why."""
    with pytest.raises(ValueError, match=f"{name}"):
        Fault(name, **wrong)  # type: ignore[arg-type]  # wrong on purpose
