"""PUT …/memberships/add-and-remove: what changes, what comes back and what is refused."""

from collections.abc import Callable, Container
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.simulator import ContactList, Portal, Quirks
from tests.simulator.caller import LISTS, caller

PUT = f"{LISTS}/10/memberships/add-and-remove"


def test_answer_tells_added_removed_and_missing() -> None:
    """Ids that changed the list and ids that do not exist come back as strings, each in its array."""
    hubspot = caller()
    hubspot.vip.join(2, 0.0)

    reply = hubspot.put(["1", "5000"], ["2", "6000"])

    assert reply.status == 200
    assert reply.json() == {
        "recordsIdsAdded": ["1"],
        "recordIdsRemoved": ["2"],
        "recordIdsMissing": ["5000", "6000"],
    }
    assert hubspot.vip.members == {1}


def test_ids_already_in_the_state_asked_for_are_in_no_array() -> None:
    """Adding a member and removing a stranger is not mentioned, and empty arrays are left out."""
    hubspot = caller()
    hubspot.put(["1"])

    assert hubspot.put(["1", "2"], ["3"]).json() == {"recordsIdsAdded": ["2"]}


@pytest.mark.parametrize(("noop_body", "expected"), [("", b""), ("{}", b"{}")])
def test_a_change_without_effect_has_an_empty_answer(noop_body: Literal["", "{}"], expected: bytes) -> None:
    """A pure no-op is answered 200 with no body, or with an empty object where so set."""
    hubspot = caller(Portal(quirks=Quirks(noop_body=noop_body)))

    reply = hubspot.put([], ["1"])

    assert (reply.status, reply.body) == (200, expected)


def test_the_older_name_of_the_added_array_can_be_set() -> None:
    """The answer can use recordIdsAdded instead of recordsIdsAdded."""
    hubspot = caller(Portal(quirks=Quirks(added_key="recordIdsAdded")))

    assert hubspot.put(["1"]).json() == {"recordIdsAdded": ["1"]}


def test_leading_zeros_and_repeats_do_not_count() -> None:
    """`007` is contact 7, and an id given twice is one contact."""
    hubspot = caller()

    assert hubspot.put(["007", "7"]).json() == {"recordsIdsAdded": ["7"]}


def test_a_merged_contact_changes_and_returns_as_its_survivor() -> None:
    """The id of a contact that was merged away stands for the one that survived, over several merges too."""
    hubspot = caller(merged={5: 6, 6: 7})

    assert hubspot.put(["5"]).json() == {"recordsIdsAdded": ["7"]}
    assert hubspot.vip.members == {7}
    assert hubspot.put([], ["6"]).json() == {"recordIdsRemoved": ["7"]}


def test_a_merge_moves_the_membership() -> None:
    """When a member is merged into another contact, the survivor takes its place on the list."""
    hubspot = caller()
    hubspot.put(["5"])

    hubspot.portal.accounts["acme"].merge(5, 9)

    assert hubspot.vip.members == {9}


@pytest.mark.parametrize("circle", [{5: 5}, {5: 6, 6: 5}])
def test_a_circle_of_merges_is_an_error(circle: dict[int, int]) -> None:
    """Contacts that would be merged into themselves are refused by the simulator itself."""
    with pytest.raises(ValueError, match="another survivor"):
        caller(merged=circle)


@pytest.mark.parametrize("contacts", [range(1, 4), {1, 2, 3}, lambda record_id: record_id < 4])
def test_contacts_are_a_container_or_a_function(contacts: Container[int] | Callable[[int], bool]) -> None:
    """Existing contacts may be given as a range, a set or a function."""
    hubspot = caller(contacts=contacts)

    assert hubspot.put(["3", "4"]).json() == {"recordsIdsAdded": ["3"], "recordIdsMissing": ["4"]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b'{"recordIdsToAdd": ["1"], "recordIdsToRemove": []',
        [],
        {"recordIdsToAdd": ["1"]},
        {"recordIdsToRemove": ["1"]},
        {"recordIdsToAdd": "1", "recordIdsToRemove": []},
        {"recordIdsToAdd": None, "recordIdsToRemove": []},
        {"recordIdsToAdd": [1], "recordIdsToRemove": []},
        {"recordIdsToAdd": [], "recordIdsToRemove": [None]},
        {"recordIdsToAdd": ["1.0"], "recordIdsToRemove": []},
        {"recordIdsToAdd": ["-1"], "recordIdsToRemove": []},
        {"recordIdsToAdd": [""], "recordIdsToRemove": []},
        {"recordIdsToAdd": ["1\n"], "recordIdsToRemove": []},
        {"recordIdsToAdd": ["\u0661"], "recordIdsToRemove": []},
        {"recordIdsToAdd": ["anna@example.com"], "recordIdsToRemove": []},
        {"recordIdsToAdd": [str(2**63)], "recordIdsToRemove": []},
    ],
)
def test_wrong_bodies_are_refused(body: object) -> None:
    """A body that is not JSON, lacks an array or holds anything but strings of digits gets 400 and changes nothing."""
    hubspot = caller()
    hubspot.vip.join(3, 0.0)

    reply = hubspot.send("PUT", PUT, body)

    assert (reply.status, reply.json()["category"]) == (400, "VALIDATION_ERROR")
    assert hubspot.vip.members == {3}


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("", 400),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded", 400),
    ],
)
def test_the_content_type_must_be_json(content_type: str, status: int) -> None:
    """JSON that does not say that it is JSON is refused."""
    body = {"recordIdsToAdd": ["1"], "recordIdsToRemove": []}

    assert caller().send("PUT", PUT, body, content_type=content_type).status == status


@pytest.mark.parametrize(
    ("target", "status", "category"),
    [
        (ContactList(11, "snapshot", processing_type="SNAPSHOT"), 200, None),
        (ContactList(11, "dynamic", processing_type="DYNAMIC"), 400, "VALIDATION_ERROR"),
        (ContactList(11, "deleted", deleted_at=0.0), 404, "OBJECT_NOT_FOUND"),
    ],
    ids=lambda value: value.name if isinstance(value, ContactList) else None,
)
def test_only_lists_that_are_there_and_not_dynamic_change(
    target: ContactList, status: int, category: str | None
) -> None:
    """Members of a dynamic list cannot be set, and a deleted list is not found."""
    hubspot = caller()
    hubspot.portal.accounts["acme"].add_list(target)

    reply = hubspot.put(["1"], list_id=11)

    assert (reply.status, reply.json().get("category")) == (status, category)
    assert target.members == ({1} if status == 200 else set())


@pytest.mark.parametrize(("list_id", "status"), [("999", 404), ("vip", 400), ("9" * 5000, 400)])
def test_lists_that_do_not_exist(list_id: str, status: int) -> None:
    """An unknown list is 404, an id that cannot be one is 400."""
    assert caller().put(["1"], list_id=list_id).status == status


def test_a_list_of_companies_takes_no_contacts() -> None:
    """Contacts are missing records to a list of another object type."""
    hubspot = caller()
    hubspot.portal.accounts["acme"].add_list(ContactList(11, "firms", object_type_id="0-2"))

    assert hubspot.put(["1"], list_id=11).json() == {"recordIdsMissing": ["1"]}


ids = st.sets(st.integers(min_value=1, max_value=30))


@given(st.lists(st.tuples(ids, ids)))
def test_membership_equals_a_set(changes: list[tuple[set[int], set[int]]]) -> None:
    """After any changes the list holds what a plain set would, and every id sent is accounted for."""
    hubspot = caller(contacts=range(1, 21))
    expected: set[int] = set()
    for adds, wanted in changes:
        removes = wanted - adds
        reply = hubspot.put([str(i) for i in adds], [str(i) for i in removes])
        answer = reply.json() if reply.body else {}
        before = set(expected)
        expected = (expected | {i for i in adds if i <= 20}) - removes
        assert {int(i) for i in answer.get("recordsIdsAdded", [])} == expected - before
        assert {int(i) for i in answer.get("recordIdsRemoved", [])} == before - expected
        assert {int(i) for i in answer.get("recordIdsMissing", [])} == {i for i in adds | removes if i > 20}
    assert hubspot.vip.members == expected
    hubspot.portal.assert_clean()
