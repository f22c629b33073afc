"""A request ends at its deadline on a real network, whatever the server does with its time."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from socket import SHUT_WR
from socketserver import BaseRequestHandler, StreamRequestHandler, ThreadingTCPServer
from threading import Event
from typing import ClassVar

import httpx
import pytest

from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.network import IDLE, NetworkTransport
from consumer.outcomes import Recoverable
from consumer.permit import Fence, Permit
from consumer.secret import Redactor, Secret
from consumer.simulator import Portal
from consumer.simulator.server import SimulatorServer
from tests.fakes.clock import ScriptedClock
from tests.hubspot.world import change, connections, oauth
from tests.simulator.caller import LISTS, acme

pytestmark = pytest.mark.process

TIMEOUT = 1.0
DRIPS = 200  # far longer than the timeout
EVERY = 0.05  # seconds: no single wait is long
LIST = f"{LISTS}/10"
TOKEN = b'{"access_token": "access", "expires_in": 1800}'


class _Dripping(StreamRequestHandler):
    """Gives a token and takes a change; the part of that which is called `slow` comes byte by byte."""

    slow: ClassVar[str]
    never: ClassVar[Event]
    sent: ClassVar[Event]

    def handle(self) -> None:
        """Answer until the client hangs up."""
        with suppress(ConnectionError):
            while request := self.rfile.readline():
                length = 0
                while (header := self.rfile.readline().strip().lower()) != b"":
                    if header.startswith(b"content-length:"):
                        length = int(header.partition(b":")[2])
                self.rfile.read(length)
                call, body = ("token", TOKEN) if request.startswith(b"POST") else ("change", b"{}")
                for part, sent in (
                    ("status", b"HTTP/1.1 200 OK"),
                    ("headers", b"\r\nContent-Length: %d" % (len(body) + DRIPS)),
                    ("body", b"\r\n\r\n"),
                ):
                    self._send(sent, drips=self.slow == f"{call} {part}")
                self.wfile.write(body if self.slow == f"{call} body" else b" " * DRIPS + body)

    def _send(self, part: bytes, *, drips: bool) -> None:
        """Send a part of an answer, and after it spaces, which mean nothing anywhere."""
        self.wfile.write(part)
        for _ in range(DRIPS if drips else 0):
            self.never.wait(EVERY)
            self.wfile.write(b" ")
        if drips:
            self.sent.set()


@contextmanager
def _serving(handler: type[BaseRequestHandler]) -> Iterator[str]:
    ThreadingTCPServer.daemon_threads = True
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever)
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@contextmanager
def _dripping(slow: str) -> Iterator[HubSpotClient]:
    handler: type[_Dripping] = type("Dripping", (_Dripping,), {"slow": slow, "never": Event(), "sent": Event()})
    with _serving(handler) as url:
        client = HubSpotClient(url, TIMEOUT, oauth(Secret("refresh-1"), time.monotonic, Redactor(), url))
        try:
            yield client
            assert not handler.sent.is_set(), "the client waited until the server was done"
        finally:
            client.close()


def _permit() -> Permit:
    return Permit(Fence(3600.0, time.monotonic()), time.monotonic)


@pytest.mark.parametrize("slow", ["change status", "change headers", "change body"])
def test_a_dripping_answer_ends_at_the_deadline(slow: str) -> None:
    """Whatever of an answer drips, the request ends as a timeout, long before the server does; it may come true."""
    with _dripping(slow) as client:
        verdict = client.perform(change(1), _permit()).verdict

    assert isinstance(verdict, Recoverable)
    assert (verdict.reason, verdict.late, verdict.halve) == ("timeout", True, True)


@pytest.mark.parametrize("slow", ["token status", "token headers", "token body"])
def test_a_dripping_token_is_a_failed_refresh(slow: str) -> None:
    """A token that drips is waited for no longer than anything else, and nothing was sent."""
    with _dripping(slow) as client:
        verdict = client.perform(change(1), _permit()).verdict

    assert isinstance(verdict, Recoverable)
    assert (verdict.reason, verdict.late, verdict.account_wide) == ("refresh_failed", False, True)


def test_a_connection_is_used_again_with_a_new_deadline() -> None:
    """The time of an earlier request on the same connection does not count."""
    with _dripping("nothing") as client:
        began = time.monotonic()
        while time.monotonic() < began + 1.5 * TIMEOUT:
            assert client.perform(change(1), _permit()).statuses == ("200",)


def test_a_request_leaves_in_one_go() -> None:
    """Head and body of a request are written at once, which is one packet and one system call where it is short."""
    reads: list[bytes] = []

    class Server(BaseRequestHandler):
        def handle(self) -> None:
            reads.append(self.request.recv(65_536))
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with _serving(Server) as url, closing(NetworkTransport(TIMEOUT, None)) as transport:
        response = transport.handle_request(httpx.Request("PUT", url, content=b"body"))
        assert response.read() == b"{}"

    (request,) = reads
    assert request.startswith(b"PUT / HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\nbody")


def test_an_answer_that_comes_before_the_request_is_taken() -> None:
    """A server that answers and hangs up before it has read everything is heard."""

    class Server(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1)
            self.request.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            self.request.shutdown(SHUT_WR)
            while self.request.recv(65_536):
                pass

    with _serving(Server) as url, closing(NetworkTransport(TIMEOUT, None)) as transport:
        response = transport.handle_request(httpx.Request("PUT", url, content=bytes(10**6)))
        assert (response.status_code, response.read()) == (413, b"")


def test_requests_in_turn_share_a_connection() -> None:
    """The connection that was used last is used again, and a new one only when that is taken or gone."""
    with SimulatorServer(Portal([acme()])) as server, closing(NetworkTransport(TIMEOUT, None)) as transport:

        def ask() -> httpx.Response:
            return transport.handle_request(httpx.Request("GET", server.url + LIST))

        for _ in range(3):
            ask().read()
        assert connections(server) == 1
        first, second = ask(), ask()
        assert connections(server) == 2
        first.read()
        second.read()
        ask().read()
        assert connections(server) == 2


def test_a_connection_that_the_server_has_closed_is_not_used() -> None:
    """A server may hang up between two requests; the next one has a new connection."""
    portal = Portal([acme()])
    with closing(NetworkTransport(TIMEOUT, None)) as transport:
        server = SimulatorServer(portal)
        for _ in range(2):
            with server:  # at the same port, again
                response = transport.handle_request(httpx.Request("GET", server.url + LIST))
                assert response.read()


def test_what_is_not_used_for_long_is_closed() -> None:
    """After a burst the connections that nobody needs are closed, though one of them goes on being used."""
    clock = ScriptedClock()
    with (
        SimulatorServer(Portal([acme()])) as server,
        closing(NetworkTransport(TIMEOUT, None, clock.monotonic)) as transport,
    ):

        def ask() -> httpx.Response:
            return transport.handle_request(httpx.Request("GET", server.url + LIST))

        for response in [ask(), ask(), ask()]:
            response.read()
        assert connections(server) == 3
        clock.advance(IDLE + 1)
        for _ in range(2):  # by the second answer the server has seen what the first one closed
            ask().read()
        assert connections(server) == 1
