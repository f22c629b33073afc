"""HubSpot's calls about lists, on a simulated portal with a clock turned by hand."""

import json
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from consumer.hubspot.lists_client import PAGE, CallFailed, ContactList, ListsClient, NameTaken
from consumer.secret import Secret
from consumer.simulator import SCOPES, Account, Fault, Quirks
from consumer.simulator import ContactList as Held
from tests.hubspot.world import BASE_URL, TIMEOUT, World
from tests.simulator.caller import LISTS, TOKEN, acme

SEARCH = f"{LISTS}/search"
INTROSPECT = f"{TOKEN}/introspect"


class Asked(World):
    """A world with a client of its lists; `slept` holds the pauses it made, in which time passed."""

    def __init__(self, account: Account | None = None, quirks: Quirks | None = None) -> None:
        super().__init__(account=account, quirks=quirks)
        self.slept: list[float] = []
        self.lists = ListsClient(BASE_URL, TIMEOUT, self.oauth, transport=self.wire, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)

    def paths(self) -> list[str]:
        """Paths of all requests but those for a token."""
        return [each.url.path for each in self.wire.requests if each.url.path != TOKEN]


@pytest.fixture
def world() -> Iterator[Asked]:
    """Yield a world."""
    made = Asked()
    with closing(made.lists):
        yield made
    made.portal.assert_clean()


def test_the_lists_whose_members_can_be_set(world: Asked) -> None:
    """Manual contact lists and snapshots are found; active ones, those of companies and deleted ones are not."""
    world.account.add_list(Held(11, "Snapshot", processing_type="SNAPSHOT", members=[1, 2]))
    world.account.add_list(Held(12, "Active", processing_type="DYNAMIC"))
    world.account.add_list(Held(13, "Companies", object_type_id="0-2"))
    world.account.add_list(Held(14, "Gone", deleted_at=0.0))
    assert list(world.lists.search()) == [ContactList(10, "VIP", 0), ContactList(11, "Snapshot", 2)]


def test_lists_by_a_part_of_their_name(world: Asked) -> None:
    """A search finds names that contain the text."""
    world.account.add_list(Held(11, "Winback"))
    assert [each.list_id for each in world.lists.search("winb")] == [11]


def test_active_lists_as_well(world: Asked) -> None:
    """Asked for active lists, a search gives them too, and why they cannot be chosen."""
    world.account.add_list(Held(12, "Active", processing_type="DYNAMIC", members=[1]))
    world.account.add_list(Held(13, "Companies", object_type_id="0-2", processing_type="DYNAMIC"))
    found = list(world.lists.search(active=True))
    assert found == [ContactList(10, "VIP", 0), ContactList(12, "Active", 1, "LIST_DYNAMIC")]


@pytest.mark.parametrize("most", [1, 7, PAGE, PAGE + 1])
def test_no_more_than_so_many(world: Asked, most: int) -> None:
    """A search that is to give so many lists gives no more, and asks for no page that nobody wants."""
    for number in range(2 * PAGE):
        world.account.add_list(Held(100 + number, f"List {number}"))
    assert len(list(world.lists.search(at_most=most))) == most
    asked = [json.loads(each.content)["count"] for each in world.wire.requests if each.url.path == SEARCH]
    assert asked == ([most] if most <= PAGE else [PAGE, PAGE])


def test_all_pages_are_read(world: Asked) -> None:
    """An account with many lists shows all of them, each once."""
    for number in range(2 * PAGE):
        world.account.add_list(Held(100 + number, f"List {number}"))
    found = [each.list_id for each in world.lists.search()]
    assert (len(found), len(set(found)), world.paths()) == (2 * PAGE + 1, 2 * PAGE + 1, [SEARCH] * 3)


def test_a_page_that_leads_nowhere_is_the_last(world: Asked) -> None:
    """An answer that promises more, but not where, does not send the client in circles."""
    world.wire.instead[SEARCH] = [httpx.Response(200, json={"lists": [], "hasMore": True, "offset": 0})]
    assert list(world.lists.search()) == []


@pytest.mark.parametrize(
    ("more", "size"),
    [({"size": 3}, 3), ({"additionalProperties": {"hs_list_size": "4"}}, 4), ({}, None), ({"size": "many"}, None)],
)
def test_the_size_wherever_it_is_told(world: Asked, more: dict[str, object], size: int | None) -> None:
    """A size stands in the list itself or among its other properties, as a number or as text."""
    described = {"listId": "10", "name": "VIP", "objectTypeId": "0-1", "processingType": "MANUAL", **more}
    world.wire.instead[SEARCH] = [httpx.Response(200, json={"lists": [described], "hasMore": False})]
    assert [each.size for each in world.lists.search()] == [size]


def test_one_list_and_whether_it_can_be_kept(world: Asked) -> None:
    """A list tells its name and what stands in the way, also when it was deleted."""
    world.account.add_list(Held(12, "Active", processing_type="DYNAMIC"))
    world.account.add_list(Held(14, "Gone", deleted_at=0.0))
    world.account.add_list(Held(15, "Companies", object_type_id="0-2"))
    assert world.lists.get(10) == ContactList(10, "VIP", 0)
    assert [world.lists.get(each).unusable for each in (12, 14, 15)] == [
        "LIST_DYNAMIC",
        "LIST_DELETED",
        "LIST_NOT_OF_CONTACTS",
    ]


def test_a_list_that_is_not_there(world: Asked) -> None:
    """An unknown id is told with HubSpot's correlation id and what to do, at once."""
    with pytest.raises(
        CallFailed, match=r"HubSpot answered 404 OBJECT_NOT_FOUND: .*correlation id 0.*Check list_id"
    ) as told:
        world.lists.get(99)
    assert (told.value.reason, world.slept) == ("LIST_NOT_FOUND", [])


def test_an_old_id_leads_to_the_present_one(world: Asked) -> None:
    """The id that HubSpot's pages show beside the list's own is recognized."""
    world.account.add_list(Held(16, "Old", legacy_id=3))
    assert (world.lists.present_id(3), world.lists.present_id(4)) == (16, None)


def test_not_found_is_not_the_same_as_not_told(world: Asked) -> None:
    """A list that cannot be asked for is not taken for one that is not there."""
    world.portal.inject(Fault("forbidden"))
    for ask in (world.lists.present_id, world.lists.get):
        with pytest.raises(CallFailed, match=r"MISSING_SCOPES.*Grant the app its four scopes"):
            ask(10)


def test_a_list_is_made(world: Asked) -> None:
    """A new list is manual, of contacts and empty."""
    made = world.lists.create("Winback")
    assert made == ContactList(11, "Winback", 0)
    held = world.account.lists[11]
    assert (held.name, held.processing_type, held.object_type_id) == ("Winback", "MANUAL", "0-1")


def test_a_name_that_is_taken(world: Asked) -> None:
    """No second list is made: the error names the one that has the name, whatever the case."""
    with pytest.raises(
        NameTaken, match=r"the name 'vip' is taken by list 10. Take another name, or attach list 10."
    ) as told:
        world.lists.create("vip")
    assert told.value.holder == ContactList(10, "VIP", 0)
    assert len(world.account.lists) == 1


def test_a_name_that_an_active_list_has(world: Asked) -> None:
    """A list that cannot be kept is not offered."""
    world.account.add_list(Held(12, "Müller/Söhne 100 %", processing_type="DYNAMIC"))
    with pytest.raises(NameTaken, match=r"list 12, which is no manual contact list. Take another name."):
        world.lists.create("Müller/Söhne 100 %")


def test_what_passes_is_tried_again(world: Asked) -> None:
    """A person does not see that HubSpot was away for a moment."""
    world.portal.inject(Fault("unavailable", times=2))
    assert world.lists.get(10).name == "VIP"
    assert world.slept == [2.0, 2.0]


def test_the_third_failure_is_told(world: Asked) -> None:
    """Nobody waits for ever: three attempts, then what HubSpot said."""
    world.portal.inject(Fault("unavailable"))
    with pytest.raises(CallFailed, match="HubSpot answered 503"):
        world.lists.get(10)
    assert len(world.paths()) == 3


def test_an_expired_token_is_renewed(world: Asked) -> None:
    """A token that HubSpot let expire early costs one more attempt."""
    world.portal.inject(Fault("token_expired", times=1))
    assert world.lists.get(10).name == "VIP"
    assert len(world.refreshes) == 2


@pytest.mark.parametrize("fault", [Fault("daily_limit"), Fault("migrating", seconds=3600)])
def test_nobody_waits_for_long(world: Asked, fault: Fault) -> None:
    """Where HubSpot asks for minutes, the person is told at once."""
    world.portal.inject(fault)
    with pytest.raises(CallFailed):
        world.lists.get(10)
    assert (world.slept, len(world.paths())) == ([], 1)


def test_a_list_is_not_made_twice(world: Asked) -> None:
    """Without an answer nobody knows whether the list was made: it is not asked for again, and the person is told."""
    world.portal.inject(Fault("cut_after", times=1))
    with pytest.raises(CallFailed, match=r"there was no answer .*HubSpot may have made the list: look for it"):
        world.lists.create("Winback")
    assert [each.name for each in world.account.lists.values()] == ["VIP", "Winback"]
    assert len(world.paths()) == 1


def test_a_list_is_asked_for_again_where_hubspot_did_not_take_it(world: Asked) -> None:
    """A refusal that passes, or a connection that was never made, is no reason to give up."""
    world.portal.inject(Fault("unavailable", times=1))
    world.wire.instead[f"{LISTS}/"] = [httpx.ConnectError("refused")]
    assert world.lists.create("Winback").list_id == 11


def test_no_connection(world: Asked) -> None:
    """An address that nobody answers at is told as such."""
    world.wire.instead[TOKEN] = [httpx.ConnectError("refused")] * 3
    with pytest.raises(
        CallFailed, match=r"no answer \(ConnectError: refused\). Check the network and hubspot.base_url"
    ):
        world.lists.get(10)


def test_a_refused_refresh_token(world: Asked) -> None:
    """What a person must do is said, and no secret is."""
    world.portal.inject(Fault("refresh_refused"))
    with pytest.raises(CallFailed, match=r"BAD_REFRESH_TOKEN.*Authorize the account anew") as told:
        world.lists.get(10)
    assert told.value.reason == "INVALID_GRANT"
    assert "refresh-1" not in str(told.value)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"lists": 1}', b'{"lists": [{"listId": "x"}]}', b'{"lists": [7]}']
)
def test_an_answer_that_cannot_be_read(world: Asked, body: bytes) -> None:
    """Something else at HubSpot's address is told, not taken for an account without lists."""
    world.wire.instead[SEARCH] = [httpx.Response(200, content=body)]
    with pytest.raises(CallFailed, match=r"HubSpot's answer cannot be read. Check hubspot.base_url."):
        list(world.lists.search())


def test_the_scopes_of_the_token(world: Asked) -> None:
    """Introspection asks with the app's credentials about the token that was just given."""
    assert world.lists.scopes("app", Secret("hush")) == frozenset(SCOPES)
    [asked] = [each for each in world.wire.requests if each.url.path == INTROSPECT]
    assert "Authorization" not in asked.headers
    assert b"token=access-acme-1" in asked.content
    assert world.lists.get(10).name == "VIP"
    assert len(world.refreshes) == 1, "the token serves the next call too"


def test_a_scope_that_was_not_granted() -> None:
    """What the app lacks is missing from the answer."""
    world = Asked(acme(scopes=set(SCOPES[:3])))
    with closing(world.lists):
        assert world.lists.scopes("app", Secret("hush")) == frozenset(SCOPES[:3])


def test_a_token_that_hubspot_does_not_know(world: Asked) -> None:
    """A token that is not active has no scopes to speak of."""
    world.wire.instead[INTROSPECT] = [httpx.Response(200, content=json.dumps({"active": False}))]
    with pytest.raises(CallFailed, match="does not know the access token"):
        world.lists.scopes("app", Secret("hush"))


def test_a_refused_introspection(world: Asked) -> None:
    """A failed refresh is told by this way too, and a wrong secret as well."""
    with pytest.raises(CallFailed, match="HubSpot answered 400"):
        world.lists.scopes("app", Secret("wrong"))
    world.oauth._token = None
    world.portal.inject(Fault("refresh_refused"))
    with pytest.raises(CallFailed, match=r"BAD_REFRESH_TOKEN"):
        world.lists.scopes("app", Secret("hush"))
