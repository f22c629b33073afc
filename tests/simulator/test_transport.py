"""httpx served in process: a clock turned by hand, waits that cost no time, cuts and timeouts."""

from dataclasses import dataclass

import httpx
import pytest

from consumer.simulator import Fault, Portal
from consumer.simulator.transport import PortalTransport
from tests.simulator.caller import LISTS, TOKEN, acme

PUT = f"{LISTS}/10/memberships/add-and-remove"
ADD_ONE = {"recordIdsToAdd": ["1"], "recordIdsToRemove": []}


@dataclass
class Clock:
    """Time that passes only where somebody waits."""

    now: float = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class World:
    """A portal, a clock and an httpx client between them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.portal = Portal([acme()])
        self.client = httpx.Client(
            transport=PortalTransport(self.portal, self.clock, self.clock.wait),
            base_url="http://hubspot.test",
            headers={"Authorization": f"Bearer {self.portal.issue_token('acme', 100.0)}"},
            timeout=30.0,
        )

    @property
    def members(self) -> frozenset[int]:
        """Members of list 10."""
        return self.portal.accounts["acme"].lists[10].members


@pytest.fixture
def world() -> World:
    """Return a world in which nothing has happened yet."""
    return World()


def test_requests_and_answers_pass_through(world: World) -> None:
    """JSON bodies, queries, forms and encoded paths arrive; status, headers and body come back."""
    put = world.client.put(PUT, json=ADD_ONE)
    page = world.client.get(f"{LISTS}/10/memberships", params={"limit": 1})
    named = world.client.get(f"{LISTS}/object-type-id/0-1/name/vi%50")
    form = {"grant_type": "refresh_token", "client_id": "app", "client_secret": "hush", "refresh_token": "refresh-1"}
    token = world.client.post(TOKEN, data=form)

    assert put.json() == {"recordsIdsAdded": ["1"]}
    assert put.headers["x-hubspot-correlation-id"].endswith("01")
    assert page.json()["results"][0]["recordId"] == "1"
    assert named.json()["list"]["listId"] == "10"
    assert token.json()["expires_in"] == 1800


def test_a_delay_turns_the_clock(world: World) -> None:
    """A slow answer comes after its delay, which passes on the test's clock only."""
    world.portal.inject(Fault("slow", 30.0))

    assert world.client.put(PUT, json=ADD_ONE).status_code == 200
    assert world.clock.now == 130.0


def test_a_delay_above_the_read_timeout_is_a_timeout(world: World) -> None:
    """The client waits its read timeout and gives up; the change was made all the same."""
    world.portal.inject(Fault("slow", 30.5))

    with pytest.raises(httpx.ReadTimeout):
        world.client.put(PUT, json=ADD_ONE)

    assert world.clock.now == 130.0
    assert world.members == {1}


def test_without_a_timeout_the_client_waits(world: World) -> None:
    """A client that has no timeout waits as long as it takes."""
    world.portal.inject(Fault("slow", 1e6))

    assert world.client.put(PUT, json=ADD_ONE, timeout=None).status_code == 200


@pytest.mark.parametrize(("fault", "members"), [(Fault("cut_before"), set()), (Fault("cut_after", 5.0), {1})])
def test_a_cut_is_a_protocol_error(world: World, fault: Fault, members: set[int]) -> None:
    """A cut connection is httpx's error for a server that hung up, after the fault's delay."""
    world.portal.inject(fault)

    with pytest.raises(httpx.RemoteProtocolError):
        world.client.put(PUT, json=ADD_ONE)

    assert world.clock.now == 100.0 + fault.seconds
    assert world.members == members


def test_a_late_change_is_seen_by_a_later_request(world: World) -> None:
    """A GET after the change took effect sees it."""
    world.portal.inject(Fault("late", 60.0, times=1))
    with pytest.raises(httpx.RemoteProtocolError):
        world.client.put(PUT, json=ADD_ONE)

    sizes = []
    for _ in range(2):
        sizes.append(world.client.get(f"{LISTS}/10").json()["list"]["size"])
        world.clock.wait(60.0)

    assert sizes == [0, 1]
