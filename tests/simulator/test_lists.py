"""Lists: reading, finding, making, and paging through members."""

import math
from typing import Any

import pytest

from consumer.simulator import SCOPES, ContactList, Portal
from tests.simulator.caller import LISTS, Caller, acme, caller


def names(reply_json: dict[str, Any]) -> list[str]:
    """Names of the lists in a search answer."""
    return [found["name"] for found in reply_json["lists"]]


@pytest.fixture
def hubspot() -> Caller:
    """Return a caller of an account with a manual, a dynamic, a deleted and a companies' list."""
    made = caller()
    for contact_list in (
        ContactList(11, "Newsletter readers", processing_type="DYNAMIC", members=[1, 2]),
        ContactList(12, "Old news", deleted_at=60.0, legacy_id=3),
        ContactList(13, "News agencies", object_type_id="0-2"),
    ):
        made.portal.accounts["acme"].add_list(contact_list)
    return made


def test_a_list_shows_type_size_and_name(hubspot: Caller) -> None:
    """GET of a list answers with its properties; ids are strings."""
    assert hubspot.send("GET", f"{LISTS}/11").json() == {
        "list": {
            "listId": "11",
            "name": "Newsletter readers",
            "objectTypeId": "0-1",
            "processingType": "DYNAMIC",
            "processingStatus": "COMPLETE",
            "size": 2,
        }
    }


def test_a_deleted_list_still_answers(hubspot: Caller) -> None:
    """GET of a deleted list is 200 and says when it was deleted."""
    reply = hubspot.send("GET", f"{LISTS}/12")

    assert (reply.status, reply.json()["list"]["deletedAt"]) == (200, "2026-03-01T00:01:00.000Z")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/999", 404),
        ("/vip", 400),
        ("/object-type-id/0-1/name/Nobody", 404),
        ("/object-type-id/0-1/name/Old%20news", 404),
        ("/object-type-id/0-1/name/News%20agencies", 404),
        ("/12/memberships", 404),
        ("/999/memberships/join-order", 404),
        ("/10/memberships?limit=251", 400),
        ("/10/memberships?limit=0", 400),
        ("/10/memberships?limit=many", 400),
        ("/10/memberships?after=x", 400),
        ("/idmapping?legacyListId=4", 404),
        ("/idmapping", 400),
    ],
)
def test_what_is_not_there_or_cannot_be(hubspot: Caller, path: str, status: int) -> None:
    """Unknown lists are 404, impossible ids and parameters 400."""
    assert hubspot.send("GET", LISTS + path).status == status


@pytest.mark.parametrize("name", ["newsletter%20READERS", "Newsletter%20readers"])
def test_a_list_is_found_by_name_whatever_the_case(hubspot: Caller, name: str) -> None:
    """Names of lists are not case-sensitive."""
    reply = hubspot.send("GET", f"{LISTS}/object-type-id/0-1/name/{name}")

    assert reply.json()["list"]["listId"] == "11"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["VIP", "Newsletter readers"]),
        ({"query": "NEWS"}, ["Newsletter readers"]),
        ({"query": "news", "objectTypeId": "0-2"}, ["News agencies"]),
        ({"processingTypes": ["MANUAL", "SNAPSHOT"]}, ["VIP"]),
        ({"query": "nothing"}, []),
    ],
)
def test_search_finds_lists_that_are_there(hubspot: Caller, body: dict[str, Any], expected: list[str]) -> None:
    """Search looks into names, types and object types, and never shows a deleted list."""
    answer = hubspot.send("POST", f"{LISTS}/search", body).json()

    assert names(answer) == expected
    assert (answer["total"], answer["hasMore"]) == (len(expected), False)


def test_search_pages() -> None:
    """Each page names the offset of the next one, until there are no more."""
    hubspot = caller()
    for number in range(11, 15):
        hubspot.portal.accounts["acme"].add_list(ContactList(number, f"list {number}"))
    seen: list[str] = []
    offset, more = 0, True
    while more:
        answer = hubspot.send("POST", f"{LISTS}/search", {"count": 2, "offset": offset}).json()
        seen += names(answer)
        offset, more = answer["offset"], answer["hasMore"]

    assert seen == ["VIP", "list 11", "list 12", "list 13", "list 14"]


@pytest.mark.parametrize("body", [{"count": 501}, {"count": "1"}, {"offset": -1}, {"processingTypes": "MANUAL"}, b""])
def test_search_refuses(body: object) -> None:
    """A page of more than 500 lists, or a wrong type, is refused."""
    assert caller().send("POST", f"{LISTS}/search", body).status == 400


@pytest.mark.parametrize("path", [f"{LISTS}/", LISTS])
def test_a_list_is_made(hubspot: Caller, path: str) -> None:
    """A new list gets an id of its own and takes members at once."""
    body = {"name": "Fresh", "objectTypeId": "0-1", "processingType": "MANUAL"}

    made = hubspot.send("POST", path, body).json()["list"]

    assert (made["listId"], made["name"], made["processingType"]) == ("14", "Fresh", "MANUAL")
    assert hubspot.put(["1"], list_id=14).status == 200


def test_a_taken_name_is_refused(hubspot: Caller) -> None:
    """A name that another list has, in whatever case, is refused with HubSpot's subCategory."""
    reply = hubspot.send("POST", LISTS, {"name": "vip", "objectTypeId": "0-1", "processingType": "MANUAL"})

    assert reply.status == 400
    assert reply.json()["category"] == "VALIDATION_ERROR"
    assert reply.json()["subCategory"] == "ILS.DUPLICATE_LIST_NAMES"


def test_the_name_of_a_deleted_list_is_free(hubspot: Caller) -> None:
    """A deleted list gives its name back."""
    body = {"name": "Old news", "objectTypeId": "0-1", "processingType": "MANUAL"}

    assert hubspot.send("POST", LISTS, body).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "objectTypeId": "0-1"},
        {"name": "", "objectTypeId": "0-1", "processingType": "MANUAL"},
        {"name": "x", "objectTypeId": "0-1", "processingType": "STATIC"},
        {"name": 7, "objectTypeId": "0-1", "processingType": "MANUAL"},
    ],
)
def test_a_list_needs_all_properties(body: dict[str, Any]) -> None:
    """A list without name, object type or processing type is not made."""
    hubspot = caller()

    assert hubspot.send("POST", LISTS, body).status == 400
    assert len(hubspot.portal.accounts["acme"].lists) == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [("memberships", [1, 2, 3, 4, 5]), ("memberships/join-order", [3, 1, 5, 2, 4])],
)
@pytest.mark.parametrize("limit", [1, 2, 5, 250])
def test_members_come_in_pages(path: str, expected: list[int], limit: int) -> None:
    """All members come once, by record id or in the order of joining, and the last page names no next one."""
    hubspot = caller()
    hubspot.put(["3", "1", "5", "4"])
    hubspot.now = 1.5
    hubspot.put(["2"], ["4"])
    hubspot.put(["4"])
    seen: list[dict[str, str]] = []
    after: str | None = ""
    pages = 0
    while after is not None:
        pages += 1
        page = hubspot.send("GET", f"{LISTS}/10/{path}?limit={limit}" + (f"&after={after}" if after else "")).json()
        assert len(page["results"]) <= limit
        assert page["total"] == 5
        seen += page["results"]
        after = page["paging"]["next"]["after"] if "paging" in page else None

    assert [entry["recordId"] for entry in seen] == [str(record_id) for record_id in expected]
    assert pages == math.ceil(5 / limit)
    assert {entry["recordId"]: entry["membershipTimestamp"] for entry in seen}["4"] == "2026-03-01T00:00:01.500Z"


@pytest.mark.parametrize(("path", "joined"), [("memberships", ["1", "2"]), ("memberships/join-order", ["2", "1"])])
def test_pages_show_what_has_changed_since_the_last_one(path: str, joined: list[str]) -> None:
    """A page that is asked for again shows who joined and who left meanwhile."""
    hubspot = caller()

    def record_ids() -> list[str]:
        results = hubspot.send("GET", f"{LISTS}/10/{path}").json()["results"]
        return [entry["recordId"] for entry in results]

    hubspot.put(["2"])
    assert record_ids() == ["2"]
    hubspot.put(["1"])
    assert record_ids() == joined
    hubspot.put([], ["2"])
    assert record_ids() == ["1"]


def test_a_page_holds_a_hundred_members_unless_asked() -> None:
    """Without a limit a page has 100 members."""
    hubspot = caller()
    hubspot.vip.joined.update(dict.fromkeys(range(1, 152), 0.0))

    assert len(hubspot.send("GET", f"{LISTS}/10/memberships").json()["results"]) == 100


def test_an_old_id_is_mapped(hubspot: Caller) -> None:
    """The id of a list in the first API leads to the present one."""
    answer = hubspot.send("GET", f"{LISTS}/idmapping?legacyListId=3").json()

    assert answer == {"legacyListId": "3", "listId": "12"}


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("PUT", "/10/memberships/add-and-remove", ["crm.lists.read", "crm.lists.write"]),
        ("POST", "/", ["crm.lists.read", "crm.lists.write"]),
        ("POST", "/search", ["crm.lists.read"]),
        ("GET", "/10", ["crm.lists.read"]),
        ("GET", "/object-type-id/0-1/name/VIP", ["crm.lists.read"]),
        ("GET", "/10/memberships", ["crm.lists.read"]),
        ("GET", "/10/memberships/join-order", ["crm.lists.read"]),
        ("GET", "/idmapping?legacyListId=3", ["crm.lists.read"]),
    ],
)
def test_every_scope_is_needed(method: str, path: str, needed: list[str]) -> None:
    """Without one of its scopes a call is 403 MISSING_SCOPES, and the answer names what it needs."""
    for missing in needed:
        reply = caller(scopes=set(SCOPES) - {missing}).send(method, LISTS + path)

        assert (reply.status, reply.json()["category"]) == (403, "MISSING_SCOPES")
        assert reply.json()["errors"][0]["context"]["requiredGranularScopes"] == needed


def test_accounts_do_not_share_lists() -> None:
    """A token sees the lists of its own account only."""
    portal = Portal([acme(), acme(name="other")])
    Caller(portal).put(["1"])

    assert Caller(portal, account="other").vip.members == set()


def test_names_are_taken_once() -> None:
    """A second account of one name, or list of one id, is an error of the test that makes it."""
    hubspot = caller()
    with pytest.raises(ValueError, match="account acme already"):
        hubspot.portal.add_account(acme())
    with pytest.raises(ValueError, match="list 10 already"):
        hubspot.portal.accounts["acme"].add_list(ContactList(10, "another"))
