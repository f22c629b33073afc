"""Reads: pages of members, lists and contacts, on a simulated portal with a clock turned by hand."""

import httpx
import pytest

from consumer.hubspot.client import PAGE
from consumer.outcomes import ListFacts, NotSent, Recoverable, Terminal
from consumer.reads import Contacts, ContactsRequest, ListRequest, Page, PageRequest, ReadAnswer, ReadRequest
from consumer.simulator import ContactList, Fault
from tests.hubspot.world import World
from tests.simulator.caller import LISTS, acme

FIRST = PageRequest("acme", 10)
MEMBERS = f"{LISTS}/10/memberships"


def world(members: int = 0, **more: dict[int, int]) -> World:
    """Give a world whose list 10 has so many members, from 1 on."""
    account = acme(merged=more.get("merged", {}))
    account.lists[10] = ContactList(10, "VIP", members=range(1, members + 1))
    return World(account=account)


def test_all_members_page_by_page() -> None:
    """A list is read to its end, each member once and in order, with as few requests as HubSpot allows."""
    made = world(2 * PAGE + 1)
    found: list[int] = []
    request: PageRequest | None = FIRST
    while request is not None:
        page = made.client.read(request).found
        assert isinstance(page, Page)
        assert page.total == 2 * PAGE + 1
        found += page.members
        request = PageRequest("acme", 10, page.cursor, found[-1]) if page.cursor else None
    assert found == [*range(1, 2 * PAGE + 2)]
    assert made.others == ["GET"] * 3


def test_the_list_and_contacts() -> None:
    """A look at the list gives its name; a look at contacts which exist, and who was merged into them."""
    made = world(merged={7: 8})
    assert made.client.read(ListRequest("acme", 10)).found == ListFacts("VIP", size=0)
    contacts = made.client.read(ContactsRequest("acme", (7, 9, 5000))).found
    assert contacts == Contacts({8: frozenset({7}), 9: frozenset()})


def test_what_an_answer_tells_besides() -> None:
    """An answer tells when it was asked for, how many requests that took, and what is left of the quota."""
    made = world()
    made.account.rolling.limit = 10
    answer = made.client.read(FIRST)
    assert answer == ReadAnswer(Page((), total=0), made.clock.time(), ("200",), 8, ("ok",))
    assert (answer.requests, made.client.read(FIRST).requests) == (2, 1)


@pytest.mark.parametrize("request_", [FIRST, ListRequest("acme", 10), ContactsRequest("acme", (7,))])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("rate_limited"), "429"),
        (Fault("unavailable"), "503"),
        (Fault("token_expired"), "token_expired"),
        (Fault("cut_before"), "connection_error"),
        (Fault("slow", seconds=60), "timeout"),
        (Fault("refresh_unavailable"), "refresh_failed"),
    ],
)
def test_failures_that_pass(request_: ReadRequest, fault: Fault, reason: str) -> None:
    """What may work later is told as such, and never as something that may take effect late."""
    made = world()
    made.portal.inject(fault)
    found = made.client.read(request_).found
    assert isinstance(found, Recoverable)
    assert (found.reason, found.late) == (reason, False)


def test_failures_that_stay() -> None:
    """A list that is gone, and a scope that is missing, are told for good."""
    made = world()
    gone = made.client.read(PageRequest("acme", 11)).found
    assert isinstance(gone, Terminal)
    assert gone.reason == "LIST_NOT_FOUND"
    made.account.scopes.clear()
    assert isinstance(made.client.read(FIRST).found, Terminal)


def test_pages_out_of_order() -> None:
    """A page that is not above the one before is not believed."""
    made = world()
    made.wire.instead[MEMBERS] = [httpx.Response(200, json={"results": [{"recordId": "4"}]})]
    found = made.client.read(PageRequest("acme", 10, "5", above=5)).found
    assert isinstance(found, Terminal)
    assert "list 10" in (found.details.message or "")


def test_a_token_refresh_needs_leave() -> None:
    """Who has leave for a single request does not renew the token on the way."""
    made = world()
    assert made.client.read(FIRST, may_refresh=False).found == NotSent()
    assert made.portal.log == []


def test_a_cursor_goes_back_as_it_came() -> None:
    """Where the next page begins is HubSpot's to say: any text goes into the address unharmed."""
    made = world()
    made.client.read(PageRequest("acme", 10, "a&b=/?"))
    assert made.wire.requests[-1].url.params["after"] == "a&b=/?"
