"""Whatever a server sends, it is bounded."""

import gzip
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event

import httpx
import pytest

from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.transport import MOST_BYTES, BoundedTransport
from consumer.outcomes import UNREADABLE, Recoverable
from consumer.secret import Redactor, Secret
from tests.fakes.clock import ScriptedClock
from tests.hubspot.world import BASE_URL, World, change, oauth
from tests.simulator.caller import LISTS

SECONDS = 30.0
PIECE = 65_536
PATIENCE = 20.0


class Pieces(httpx.SyncByteStream):
    """A body that comes piece by piece, and takes `seconds` of the clock for each."""

    def __init__(self, pieces: Iterable[bytes], clock: ScriptedClock, seconds: float = 0.0) -> None:
        self._pieces = pieces
        self._clock = clock
        self._seconds = seconds
        self.taken = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._clock.advance(self._seconds)
            self.taken += 1
            yield piece

    def close(self) -> None:
        """Note it."""
        self.closed = True


class Sender(httpx.BaseTransport):
    """Answers with one body, after some seconds."""

    def __init__(self, body: Pieces, clock: ScriptedClock, after: float = 0.0, **headers: str) -> None:
        self._body = body
        self._clock = clock
        self._after = after
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.asked: list[httpx.Request] = []
        self.closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.asked.append(request)
        self._clock.advance(self._after)
        return httpx.Response(200, headers=self._headers, stream=self._body)

    def close(self) -> None:
        """Note it."""
        self.closed = True


def client_of(sender: httpx.BaseTransport, clock: ScriptedClock) -> httpx.Client:
    """Make a client whose answers are bounded."""
    return httpx.Client(transport=BoundedTransport(sender, SECONDS, clock.monotonic), base_url=BASE_URL)


@pytest.fixture
def clock() -> ScriptedClock:
    """Return a clock."""
    return ScriptedClock()


def test_an_ordinary_answer_passes(clock: ScriptedClock) -> None:
    """Status, headers and body come through; the body is closed when it has been read."""
    body = Pieces([b"one ", b"two"], clock)
    sender = Sender(body, clock, x_hubspot_correlation_id="abc")
    with client_of(sender, clock) as client:
        response = client.get("/")

    assert (response.status_code, response.text) == (200, "one two")
    assert response.headers["x-hubspot-correlation-id"] == "abc"
    assert body.closed
    assert sender.closed


def test_an_answer_of_16_mb_is_the_longest(clock: ScriptedClock) -> None:
    """An answer that is exactly as long as allowed is read; one byte more is an error."""
    with client_of(Sender(Pieces([bytes(PIECE)] * (MOST_BYTES // PIECE), clock), clock), clock) as client:
        assert len(client.get("/").content) == MOST_BYTES
    body = Pieces([bytes(PIECE)] * (MOST_BYTES // PIECE) + [b"."], clock)
    with client_of(Sender(body, clock), clock) as client, pytest.raises(httpx.ReadError, match="longer than"):
        client.get("/")

    assert body.closed


def test_an_endless_answer_is_given_up_early(clock: ScriptedClock) -> None:
    """Reading stops at the bound, however much there would be."""
    body = Pieces((bytes(PIECE) for _ in iter(int, 1)), clock)
    with client_of(Sender(body, clock), clock) as client, pytest.raises(httpx.ReadError):
        client.get("/")

    assert body.taken == MOST_BYTES // PIECE + 1
    assert body.closed


def test_a_dripping_answer_is_given_up_at_the_deadline(clock: ScriptedClock) -> None:
    """A byte every ten seconds would never time out by itself: the whole answer has a deadline."""
    body = Pieces((b"." for _ in iter(int, 1)), clock, seconds=10.0)
    with client_of(Sender(body, clock), clock) as client, pytest.raises(httpx.ReadTimeout):
        client.get("/")

    assert body.taken == 4
    assert body.closed


def test_the_deadline_counts_from_the_start_of_its_own_request(clock: ScriptedClock) -> None:
    """The wait for the first byte counts; what an earlier request took does not."""
    with client_of(Sender(Pieces([b"."] * 2, clock, seconds=5.0), clock, after=20.0), clock) as client:
        for _ in range(3):
            assert client.get("/").text == ".."
    slow = Sender(Pieces([b"."] * 2, clock, seconds=5.0), clock, after=20.5)
    with client_of(slow, clock) as client, pytest.raises(httpx.ReadTimeout):
        client.get("/")


def test_a_compressed_answer_is_left_compressed(clock: ScriptedClock) -> None:
    """No compression is asked for; what comes compressed all the same, and may be a bomb, is not unpacked."""
    bomb = gzip.compress(bytes(20 * MOST_BYTES // 16))
    sender = Sender(Pieces([bomb], clock), clock, content_encoding="gzip")
    with client_of(sender, clock) as client:
        response = client.get("/", headers={"Accept-Encoding": "gzip"})

    assert sender.asked[0].headers["accept-encoding"] == "identity"
    assert response.content == bomb


def test_a_body_that_cannot_be_read_in_pieces_is_refused(clock: ScriptedClock) -> None:
    """A transport that does not give a stream is a defect, and is named as such."""

    class Asynchronous(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            del request
            return httpx.Response(200, stream=httpx.AsyncByteStream())

    with client_of(Asynchronous(), clock) as client, pytest.raises(TypeError, match="AsyncByteStream"):
        client.get("/")


def test_a_bomb_is_an_unreadable_answer() -> None:
    """The client takes a compressed answer for one that cannot be read, and so may send again."""
    world = World()
    bomb = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(gzip.compress(b"{}")))
    world.wire.instead[f"{LISTS}/10/memberships/add-and-remove"] = [bomb]

    verdict = world.perform().verdict

    assert isinstance(verdict, Recoverable)
    assert verdict.reason == UNREADABLE


class _Endless(BaseHTTPRequestHandler):
    """Gives a token, and to everything else an answer that never ends."""

    protocol_version = "HTTP/1.1"
    hung_up: Event

    def do_POST(self) -> None:
        """Give a token."""
        self.rfile.read(int(self.headers["content-length"]))
        token = b'{"access_token": "access", "expires_in": 1800}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(token)))
        self.end_headers()
        self.wfile.write(token)

    def do_PUT(self) -> None:
        """Send until the client has had enough."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(ConnectionError):
            while True:
                self.wfile.write(b"10000\r\n" + bytes(PIECE) + b"\r\n")
        self.hung_up.set()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's signature
        """Say nothing."""


@pytest.mark.process
def test_an_endless_answer_on_a_real_socket_is_hung_up_on() -> None:
    """A server that never stops sending loses its connection; what it was sent may take effect."""
    world = World()
    _Endless.hung_up = Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Endless) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever)
        url = f"http://127.0.0.1:{server.server_port}"
        client = HubSpotClient(url, PATIENCE, oauth(Secret("refresh-1"), world.clock.monotonic, Redactor(), url))
        verdict = client.perform(change(1), world.permit()).verdict
        hung_up = _Endless.hung_up.wait(PATIENCE)
        client.close()
        server.shutdown()

    assert isinstance(verdict, Recoverable)
    assert (verdict.reason, verdict.late) == ("connection_error", True)
    assert hung_up
