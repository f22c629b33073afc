"""A request ends at its deadline on a real network, whatever the server does with its time."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event
from typing import ClassVar

import pytest

from consumer.hubspot.client import HubSpotClient
from consumer.outcomes import Recoverable
from consumer.permit import Fence, Permit
from consumer.secret import Redactor, Secret
from tests.hubspot.world import change, oauth

pytestmark = pytest.mark.process

TIMEOUT = 1.0
DRIPS = 200  # far longer than the timeout
EVERY = 0.05  # seconds: no single wait is long
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
def _dripping(slow: str) -> Iterator[HubSpotClient]:
    handler: type[_Dripping] = type("Dripping", (_Dripping,), {"slow": slow, "never": Event(), "sent": Event()})
    ThreadingTCPServer.daemon_threads = True
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        client = HubSpotClient(url, TIMEOUT, oauth(Secret("refresh-1"), time.monotonic, Redactor(), url))
        try:
            yield client
            assert not handler.sent.is_set(), "the client waited until the server was done"
        finally:
            client.close()
            server.shutdown()


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
