"""The portal behind real sockets."""

import contextlib
import logging
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import httpx
import pytest

from consumer.simulator import Account, Fault, Portal, Reply, Request, Violation
from consumer.simulator.server import SimulatorServer
from tests.simulator.caller import LISTS, acme

pytestmark = pytest.mark.process

PUT = f"{LISTS}/10/memberships/add-and-remove"
ADD_ONE = {"recordIdsToAdd": ["1"], "recordIdsToRemove": []}
FOREVER = 3600.0
PATIENCE = 20.0  # seconds until a test gives up on a broken server


@contextmanager
def client_of(server: SimulatorServer) -> Iterator[httpx.Client]:
    """Yield a client with a token that works."""
    token = server.call(lambda portal: portal.issue_token("acme", server.now()))
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """Yield a server that runs."""
    with SimulatorServer(Portal([acme()])) as running:
        yield running


def members(server: SimulatorServer) -> frozenset[int]:
    """Members of list 10."""
    return server.call(lambda portal: portal.accounts["acme"].lists[10].members)


def client_port(response: httpx.Response) -> int:
    """Port of the client's end of the connection that an answer came over."""
    return int(response.extensions["network_stream"].get_extra_info("client_addr")[1])


def test_a_browser_gives_consent() -> None:
    """The consent page is served as HTML, and its button sends the browser to the app, which is elsewhere."""
    redirect = "http://localhost:8765/oauth/callback"
    asked = {"client_id": "app", "redirect_uri": redirect, "scope": "crm.lists.read", "state": "s"}
    portal = Portal([acme(redirect_uris={redirect})])
    with SimulatorServer(portal) as server, httpx.Client(base_url=server.url, timeout=PATIENCE) as browser:
        page = browser.get("/oauth/authorize", params=asked)
        back = browser.post("/oauth/authorize", params=asked, data={"account": "acme", "decision": "connect"})
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (back.status_code, back.headers["Location"]) == (302, f"{redirect}?code=code-acme-1&state=s")


def test_requests_share_a_connection(server: SimulatorServer) -> None:
    """Answers of all sorts, an empty one and 477 among them, keep the connection open."""
    with client_of(server) as client:
        responses = [client.put(PUT, json=ADD_ONE), client.put(PUT, json=ADD_ONE), client.get(f"{LISTS}/99")]
        server.call(lambda portal: portal.inject(Fault("migrating", 5.0)))
        responses.append(client.get(f"{LISTS}/10?includeFilters=true"))
        assert len({client_port(response) for response in responses}) == 1

    assert [response.status_code for response in responses] == [200, 200, 404, 477]
    assert [response.content for response in responses][:2] == [b'{"recordsIdsAdded": ["1"]}', b""]
    assert responses[3].headers["retry-after"] == "5"
    assert all("x-hubspot-correlation-id" in response.headers for response in responses)


@pytest.mark.parametrize(("name", "expected"), [("cut_before", set()), ("cut_after", {1})])
def test_a_cut_sends_no_byte(
    server: SimulatorServer, caplog: pytest.LogCaptureFixture, name: str, expected: set[int]
) -> None:
    """A cut connection ends without a byte of an answer, leaves other connections alone, and nothing is logged."""
    with client_of(server) as bystander:
        first = bystander.get(f"{LISTS}/10")
        server.call(lambda portal: portal.inject(Fault(name, times=1)))
        body = b'{"recordIdsToAdd": ["1"], "recordIdsToRemove": []}'
        head = (
            f"PUT {PUT} HTTP/1.1\r\nHost: hubspot.test\r\nAuthorization: {bystander.headers['authorization']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
            connection.sendall(head.encode() + body)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                received = connection.recv(1000)
        assert client_port(bystander.get(f"{LISTS}/10")) == client_port(first)

    assert received == b""
    assert members(server) == expected
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_httpx_reports_a_cut_as_a_transport_error(server: SimulatorServer) -> None:
    """What the connector's client sees of a cut is an error of the transport."""
    server.call(lambda portal: portal.inject(Fault("cut_before")))

    with client_of(server) as client, pytest.raises(httpx.TransportError):
        client.put(PUT, json=ADD_ONE)


class Watched(Portal):
    """Tells other threads when a membership change has arrived, and when one has taken effect."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        super().__init__(accounts)
        self.arrived = Event()
        self.applied = Event()

    def handle(self, request: Request, now: float) -> Reply:
        """Handle, then tell."""
        reply = super().handle(request, now)
        if request.method == "PUT":
            self.arrived.set()
        return reply

    def advance(self, now: float) -> None:
        """Advance, then tell."""
        super().advance(now)
        if any(handled.applied_at is not None for handled in self.log):
            self.applied.set()


def test_a_slow_answer_blocks_nobody() -> None:
    """While one answer waits, others come; its change is there already; stopping does not wait for it."""
    portal = Watched([acme()])
    portal.inject(Fault("slow", FOREVER, method="PUT"))
    with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as until_answered:
        with SimulatorServer(portal) as server:
            client = until_answered.enter_context(client_of(server))
            slow = pool.submit(client.put, PUT, json=ADD_ONE, timeout=None)
            assert portal.arrived.wait(PATIENCE)
            assert client.get(f"{LISTS}/10").json()["list"]["size"] == 1
            assert not slow.done()
        assert isinstance(slow.exception(PATIENCE), httpx.TransportError)


def test_a_late_change_takes_effect_by_itself() -> None:
    """A change that was cut takes effect later, without another request."""
    portal = Watched([acme()])
    portal.inject(Fault("late", 0.05))
    with SimulatorServer(portal) as server, client_of(server) as client:
        with pytest.raises(httpx.TransportError):
            client.put(PUT, json=ADD_ONE)
        assert portal.applied.wait(PATIENCE)

    assert portal.accounts["acme"].lists[10].members == {1}
    assert portal.log[0].applied_at == portal.log[0].at + 0.05


def test_a_client_that_dies_while_sending_is_no_trouble(
    server: SimulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a request is no request: the server goes on and the portal has seen nothing."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"PUT {PUT} HTTP/1.1\r\nHost: hubspot.test\r\nContent-Length: 100\r\n\r\nhalf".encode())
    with client_of(server) as client:
        assert client.get(f"{LISTS}/10").status_code == 200

    assert server.call(lambda portal: len(portal.log)) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_stopping_raises_violations() -> None:
    """A server whose portal saw what must never be sent says so when it stops."""
    with pytest.raises(Violation, match="/crm/v3/objects/contacts"), SimulatorServer(Portal([acme()])) as server:
        httpx.get(f"{server.url}/crm/v3/objects/contacts")


def test_an_outage_and_its_end() -> None:
    """A stopped server refuses connections; entered again it comes back at its port with all it knew."""
    server = SimulatorServer(Portal([acme()]))
    with server, client_of(server) as client:
        client.put(PUT, json=ADD_ONE)
        url = server.url
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    with server:
        assert server.url == url
        assert members(server) == {1}


def test_a_taken_port_is_an_error(server: SimulatorServer) -> None:
    """Two servers cannot have one port."""
    with pytest.raises(OSError, match="in use"), SimulatorServer(Portal(), port=server.port):
        pass
