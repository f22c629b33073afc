"""HubSpot's official client on the simulator: both must understand the same requests and answers.

Version 12 of the client speaks of `/crm/v3/lists`; the calls used here differ from 2026-03 in the path alone.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hubspot.crm import lists  # type: ignore[import-untyped]  # the package has no types

from consumer.hubspot.client import LISTS
from consumer.simulator.accounts import Account, ContactList
from consumer.simulator.portal import Portal
from consumer.simulator.server import SimulatorServer

pytestmark = pytest.mark.process

CLIENT_SECRET = "acme-client-secret"
REFRESH_TOKEN = "acme-refresh-token"


class DatedClient(lists.ApiClient):  # type: ignore[misc]  # as above
    """HubSpot's client, on the paths of 2026-03."""

    def request(self, method: str, url: str, **rest: Any) -> Any:  # noqa: ANN401 - the client's own
        """Send a request."""
        return super().request(method, url.replace("/crm/v3/lists", LISTS, 1), **rest)


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """Yield a HubSpot with contacts 1 to 1,000 and some lists."""
    account = Account(
        name="acme",
        client_id="acme-app",
        contacts=range(1, 1001),
        client_secret=CLIENT_SECRET,
        refresh_token=REFRESH_TOKEN,
    )
    account.add_list(ContactList(10, "VIP", legacy_id=3, members=[1, 2, 3]))
    account.add_list(ContactList(11, "VIP last year", processing_type="DYNAMIC"))
    account.add_list(ContactList(12, "Churn", processing_type="SNAPSHOT"))
    with SimulatorServer(Portal([account])) as running:
        yield running


@pytest.fixture
def client(server: SimulatorServer) -> Iterator[Any]:
    """Yield the client, with a token that works."""
    token = server.call(lambda portal: portal.issue_token("acme", server.now()))
    # What HubSpot's specification requires is not always there, in HubSpot's answers neither.
    configuration = lists.Configuration(host=server.url)
    configuration.client_side_validation = False
    configuration.access_token = token
    with DatedClient(configuration) as made:
        yield made
        made.rest_client.pool_manager.clear()


def test_memberships_are_changed_and_answered(server: SimulatorServer, client: Any) -> None:  # noqa: ANN401 - untyped
    """The client finds who was added, removed and missing where the simulator says it, and members page by page."""
    memberships = lists.MembershipsApi(client)
    change = lists.MembershipChangeRequest(record_ids_to_add=["3", "4", "5", "2000"], record_ids_to_remove=["1", "6"])
    answer = memberships.add_and_remove("10", change)

    assert answer.records_ids_added == ["4", "5"]
    assert answer.record_ids_removed == ["1"]
    assert answer.record_ids_missing == ["2000"]
    assert server.call(lambda portal: portal.accounts["acme"].lists[10].members) == {2, 3, 4, 5}
    page = memberships.get_page("10", limit=3)
    assert [each.record_id for each in page.results] == ["2", "3", "4"]
    rest = memberships.get_page("10", limit=3, after=page.paging.next.after)
    assert ([each.record_id for each in rest.results], rest.paging) == (["5"], None)
    joined = memberships.get_page_ordered_by_added_to_list_date("10")
    assert {each.record_id for each in joined.results} == {"2", "3", "4", "5"}


def test_lists_are_found_and_made(client: Any) -> None:  # noqa: ANN401 - untyped
    """The client reads lists by id, name and search, translates an old id, and makes a list."""
    api = lists.ListsApi(client)

    found = api.get_by_id("10").list
    assert (found.list_id, found.name, found.object_type_id) == ("10", "VIP", "0-1")
    assert (found.processing_type, found.processing_status) == ("MANUAL", "COMPLETE")
    assert api.get_by_name("vip", "0-1").list.list_id == "10"
    first = api.do_search(lists.ListSearchRequest(query="VIP", count=1, offset=0))
    assert ([each.list_id for each in first.lists], first.total, first.has_more) == (["10"], 2, True)
    last = api.do_search(lists.ListSearchRequest(query="VIP", count=1, offset=first.offset))
    assert ([each.list_id for each in last.lists], last.has_more) == (["11"], False)
    manual = api.do_search(lists.ListSearchRequest(processing_types=["MANUAL", "SNAPSHOT"]))
    assert {each.name for each in manual.lists} == {"VIP", "Churn"}
    mapped = lists.MappingApi(client).translate_legacy_list_id_to_list_id(legacy_list_id="3")
    assert (mapped.list_id, mapped.legacy_list_id) == ("10", "3")
    wanted = lists.ListCreateRequest(name="New", object_type_id="0-1", processing_type="MANUAL")
    assert api.create(wanted).list.name == "New"


def test_refusals_are_understood(client: Any) -> None:  # noqa: ANN401 - untyped
    """The client takes the simulator's refusals for what they are."""
    api = lists.ListsApi(client)
    taken = lists.ListCreateRequest(name="vip", object_type_id="0-1", processing_type="MANUAL")
    change = lists.MembershipChangeRequest(record_ids_to_add=["1"], record_ids_to_remove=[])

    with pytest.raises(lists.ApiException, match=r"ILS\.DUPLICATE_LIST_NAMES") as duplicate:
        api.create(taken)
    with pytest.raises(lists.ApiException, match="OBJECT_NOT_FOUND") as absent:
        api.get_by_id("99")
    with pytest.raises(lists.ApiException, match="VALIDATION_ERROR") as dynamic:
        lists.MembershipsApi(client).add_and_remove("11", change)

    assert [each.value.status for each in (duplicate, absent, dynamic)] == [400, 404, 400]
