"""The portal as a whole: violations, log, determinism."""

import pytest

from consumer.simulator import Fault, Handled, Portal, Request, Violation
from tests.simulator.caller import LISTS, TOKEN, caller


@pytest.mark.parametrize(
    ("add", "remove"), [(["7"], ["7"]), (["7"], ["007"]), (["1", "07"], ["2", "7"]), (["7000"], ["7000"])]
)
def test_one_id_in_both_sets_is_a_violation(add: list[str], remove: list[str]) -> None:
    """A contact to be added and removed at once is refused, recorded, and changes nothing."""
    hubspot = caller()

    reply = hubspot.put(add, remove)

    assert reply.status == 400
    assert hubspot.vip.members == set()
    with pytest.raises(Violation, match="added and removed at once: 7"):
        hubspot.portal.assert_clean()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/crm/v3/objects/contacts"),
        ("PATCH", "/crm/v3/objects/contacts/7"),
        ("DELETE", f"{LISTS}/10"),
        ("PUT", f"{LISTS}/10/memberships/add"),
        ("GET", f"{LISTS}/10/memberships/add-and-remove"),
        ("PUT", "/crm/v3/lists/10/memberships/add-and-remove"),
        ("POST", "/oauth/v1/token"),
        ("GET", TOKEN),
        ("GET", "/"),
    ],
)
def test_calls_outside_lists_and_oauth_are_violations(method: str, path: str) -> None:
    """The connector has no business elsewhere, not even in older versions of the same calls."""
    hubspot = caller()

    assert hubspot.send(method, path).status == 400
    with pytest.raises(Violation, match=path):
        hubspot.portal.assert_clean()


def test_all_violations_are_named() -> None:
    """One error tells them all, with the number of each request."""
    hubspot = caller()
    hubspot.put(["7"], ["7"])
    hubspot.put(["8"])
    hubspot.send("GET", "/crm/v3/objects/contacts")

    with pytest.raises(Violation, match=r"request 1, PUT .*\nrequest 3, GET"):
        hubspot.portal.assert_clean()


def test_a_violation_is_seen_under_a_fault_and_over_the_quota() -> None:
    """An outage or a limit does not hide what must never be sent."""
    hubspot = caller(quota=1)
    hubspot.portal.inject(Fault("cut_before"))
    hubspot.put(["1"])

    hubspot.put(["7"], ["7"])

    assert len(hubspot.portal.violations) == 1


def test_clean() -> None:
    """Refusals of honest mistakes are no violations."""
    hubspot = caller()
    hubspot.put(["x"])
    hubspot.put(["1"], list_id=99)

    hubspot.portal.assert_clean()


def test_the_log_tells_each_request() -> None:
    """Each request is logged with who, what, when and what became of it."""
    hubspot = caller()
    hubspot.put(["3", "001"], ["2"])
    hubspot.now = 4.0
    hubspot.refresh()
    hubspot.portal.inject(Fault("cut_after", times=1))
    hubspot.put([], ["3"])
    hubspot.send("GET", f"{LISTS}/10?includeFilters=false", authorization="")
    hubspot.put(["x"], ["1"])

    put = f"{LISTS}/10/memberships/add-and-remove"
    assert hubspot.portal.log == [
        Handled(1, 0.0, "acme", "PUT", put, 10, (3, 1), (2,), 200, 0.0, None),
        Handled(2, 4.0, "acme", "POST", TOKEN, None, (), (), 200, None, None),
        Handled(3, 4.0, "acme", "PUT", put, 10, (), (3,), None, 4.0, "cut_after"),
        Handled(4, 4.0, None, "GET", f"{LISTS}/10", 10, (), (), 401, None, None),
        Handled(5, 4.0, "acme", "PUT", put, 10, (), (), 400, None, None),
    ]


def test_without_a_log_the_counts_stay() -> None:
    """A long run keeps no log, but counts by status, and late changes still arrive."""
    hubspot = caller(Portal(keep_log=False))
    hubspot.portal.inject(Fault("late", 5.0, times=1))
    hubspot.put(["1"])
    hubspot.put(["2"])
    hubspot.put(["3"])
    hubspot.put(["4"], list_id=99)
    hubspot.portal.advance(10.0)

    assert hubspot.portal.log == []
    assert hubspot.portal.statuses == {None: 1, 200: 2, 404: 1}
    assert hubspot.vip.members == {1, 2, 3}


def test_correlation_ids_differ_and_repeat_themselves() -> None:
    """Every answer has a correlation id of its own, and the same run gives the same ones."""

    def run() -> list[str | None]:
        hubspot = caller(Portal(seed=7))
        hubspot.portal.inject(Fault("bad_gateway", times=1))
        replies = [hubspot.put(["1"]), hubspot.put(["1"]), hubspot.put(["x"]), hubspot.refresh()]
        replies.append(hubspot.send("GET", "/nowhere"))
        return [reply.header("X-HubSpot-Correlation-Id") for reply in replies]

    first = run()
    assert None not in first
    assert len(set(first)) == 5
    assert run() == first


def test_headers_are_found_whatever_their_case() -> None:
    """HTTP/1.1 clients write the names of headers as they like."""
    hubspot = caller()
    headers = {"AUTHORIZATION": f"bearer {hubspot.token}"}

    assert hubspot.portal.handle(Request("GET", f"{LISTS}/10", "", headers), 0.0).status == 200
