"""HubSpot's client on a simulated portal, with a clock turned by hand."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.oauth import TOKEN_PATH, OAuth
from consumer.outcomes import Answer, Request
from consumer.permit import Fence, Permit
from consumer.secret import Redactor, Secret
from consumer.simulator import Account, Handled, Portal, Quirks
from consumer.simulator.server import SimulatorServer
from consumer.simulator.transport import PortalTransport
from tests.fakes.clock import ScriptedClock
from tests.simulator.caller import FIRST_REFRESH_TOKEN, TOKEN, acme

BASE_URL = "http://hubspot.test"
TIMEOUT = 30.0
SESSION = 45.0

Reply = httpx.Response | Exception


class Wire(httpx.BaseTransport):
    """Passes requests on and keeps them. `instead` holds, by path, what comes in place of the next answers."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner
        self.requests: list[httpx.Request] = []
        self.instead: dict[str, list[Reply]] = {}
        self.before: Callable[[httpx.Request], None] = lambda _request: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        request.read()
        self.requests.append(request)
        self.before(request)
        replies = self.instead.get(request.url.path)
        if not replies:
            return self._inner.handle_request(request)
        reply = replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def close(self) -> None:
        """Close what it passes requests on to."""
        self._inner.close()


def oauth(secret: Secret, clock: Callable[[], float], redactor: Redactor, base_url: str = BASE_URL) -> OAuth:
    """Credentials of account `acme`."""
    return OAuth("acme", base_url + TOKEN_PATH, "app", Secret("hush"), secret, redactor, clock)


def change(*adds: int, removes: tuple[int, ...] = (), look: bool = False, list_id: int = 10) -> Request:
    """One request for list 10 of `acme`."""
    return Request("request-1", "vip", "acme", list_id, adds=adds, removes=removes, look=look)


class World:
    """A portal with account `acme`, whose list 10 is empty, and a client. Time passes where HubSpot is slow."""

    def __init__(
        self, refresh_token: Secret | None = None, quirks: Quirks | None = None, account: Account | None = None
    ) -> None:
        self.clock = ScriptedClock()
        self.portal = Portal([account or acme()], quirks=quirks)
        self.wire = Wire(PortalTransport(self.portal, self.clock.monotonic, self.clock.advance))
        self.redactor = Redactor(["hush", FIRST_REFRESH_TOKEN])
        secret = refresh_token or Secret(FIRST_REFRESH_TOKEN)
        self.oauth = oauth(secret, self.clock.monotonic, self.redactor)
        self.client = HubSpotClient(BASE_URL, TIMEOUT, self.oauth, transport=self.wire, wall=self.clock.time)
        self.fence = Fence(SESSION, self.clock.monotonic())

    def permit(self) -> Permit:
        """Give leave for one request."""
        self.fence.polled(self.clock.monotonic())
        self.fence.confirmed(self.fence.doubts)
        return Permit(self.fence, self.clock.monotonic)

    def perform(self, request: Request | None = None, permit: Permit | None = None) -> Answer:
        """Add contact 1, or perform `request`."""
        return self.client.perform(request or change(1), permit or self.permit())

    @property
    def account(self) -> Account:
        """Account `acme` at HubSpot."""
        return self.portal.accounts["acme"]

    @property
    def members(self) -> frozenset[int]:
        """Members of list 10."""
        return self.account.lists[10].members

    @property
    def refreshes(self) -> list[Handled]:
        """The token requests that HubSpot has handled."""
        return [each for each in self.portal.log if each.path == TOKEN]

    @property
    def others(self) -> list[str]:
        """Methods of all other requests that HubSpot has handled."""
        return [each.method for each in self.portal.log if each.path != TOKEN]


def secret_file(directory: Path, value: str = FIRST_REFRESH_TOKEN) -> tuple[Path, Secret]:
    """Write a refresh token into a file; give the file and the secret that was read from it."""
    file = directory / "refresh-token"
    file.write_text(value + "\n")
    return file, Secret.from_file(file)


class Gate(httpx.BaseTransport):
    """Gives a token, and `answer` to everything else, but not before it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.answer: Reply = httpx.Response(200)
        self.closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait, then answer."""
        self.arrived.release()
        self.opened.wait()
        if request.url.path == TOKEN:
            return httpx.Response(200, json={"access_token": "access", "expires_in": 1800})
        if isinstance(self.answer, Exception):
            raise self.answer
        return httpx.Response(self.answer.status_code)

    def close(self) -> None:
        """Note it."""
        self.closed = True


class Served(NamedTuple):
    """A client of a real server, and where its permits come from."""

    server: SimulatorServer
    client: HubSpotClient
    permit: Callable[[], Permit]


def connections(server: SimulatorServer) -> int:
    """Count the connections that are open to a real server."""
    return server.call(lambda _portal: len(server._server.server_state.connections))


@contextmanager
def served(timeout: float = TIMEOUT) -> Iterator[Served]:
    """Yield a portal behind real sockets and a client of it, which is still of use when the server is gone."""
    clock = time.monotonic
    fence = Fence(3600.0, clock())
    with SimulatorServer(Portal([acme()])) as server:
        credentials = oauth(Secret(FIRST_REFRESH_TOKEN), clock, Redactor(), server.url)
        client = HubSpotClient(server.url, timeout, credentials)
        yield Served(server, client, lambda: Permit(fence, clock))
