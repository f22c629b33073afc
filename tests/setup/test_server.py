"""The server that listens on this machine alone."""

import errno
import os
import socket
from collections.abc import Iterator

import httpx
import pytest

from consumer import web
from consumer.setup.server import SetupAddressError, SetupServer
from tests.fakes.setup_session import FakeSession

pytestmark = pytest.mark.process


@pytest.fixture
def server() -> Iterator[SetupServer]:
    """Yield a server that answers at a free port."""
    with SetupServer(0) as server:
        server.serve(FakeSession())
        yield server


class Machine:
    """A machine whose second loopback address fails so often, with such an error."""

    def __init__(self, times: int, error: int) -> None:
        self.times, self.error = times, error
        self.asked: list[tuple[str, int]] = []
        self.made: list[socket.socket] = []

    def listen(self, host: str, port: int) -> socket.socket:
        """Listen at a free port of the first address, whatever is asked for."""
        self.asked.append((host, port))
        if host == "::1":
            self.times -= 1
            if self.times >= 0:
                raise OSError(self.error, os.strerror(self.error))
        self.made.append(web.listen("127.0.0.1", 0))
        return self.made[-1]


def test_a_browser_opens_the_pages(server: SetupServer) -> None:
    """The pages answer at the address that is to be opened, which is the one that HubSpot may redirect to."""
    assert server.url == f"http://localhost:{server.port}/"
    assert server.redirect_uri == f"http://localhost:{server.port}/oauth/callback"
    answer = httpx.get(server.url)
    assert answer.status_code == 200
    assert "HubSpot list sync setup" in answer.text


def test_every_loopback_address_answers(server: SetupServer) -> None:
    """Browsers take `localhost` for any of them; asked by its own number, none gives the pages."""
    for listener in server._listeners:
        host, port = listener.getsockname()[:2]
        place = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
        assert httpx.get(place, headers={"Host": f"localhost:{port}"}).status_code in {200, 403}
        assert httpx.get(place).status_code == 421


def test_no_other_address_answers(server: SetupServer) -> None:
    """Nobody from elsewhere reaches the pages: the sockets are bound to loopback."""
    for listener in server._listeners:
        assert listener.getsockname()[0] in {"127.0.0.1", "::1"}


def test_who_comes_early_waits(server: SetupServer) -> None:
    """The port is known before the session is there; a browser that is as fast as that is answered then."""
    del server
    with SetupServer(0) as early, socket.create_connection(("127.0.0.1", early.port)) as browser:
        browser.sendall(f"GET / HTTP/1.1\r\nHost: localhost:{early.port}\r\nConnection: close\r\n\r\n".encode())
        early.serve(FakeSession())
        assert browser.recv(15) == b"HTTP/1.1 200 OK"


def test_a_taken_port_is_a_clear_error() -> None:
    """Whoever sits there would get what is meant for the pages: the error says what to do, and what comes of that."""
    with web.listen("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            SetupAddressError, match=rf"--port: .* localhost port {port}, but: .*redirect URL of the app"
        ):
            SetupServer(port)


def test_a_port_that_is_taken_at_the_other_address_is_not_had() -> None:
    """Half a name is none: a port that was named is an error then, and of free ones another is tried."""
    machine = Machine(1, errno.EADDRINUSE)
    with pytest.raises(SetupAddressError, match=r"--port: .* port 8765, but: Address already in use"):
        SetupServer(8765, listen=machine.listen)
    assert [each.fileno() for each in machine.made] == [-1], "what was had is given back"
    machine = Machine(2, errno.EADDRINUSE)
    with SetupServer(0, listen=machine.listen):
        assert [host for host, _ in machine.asked] == ["127.0.0.1", "::1"] * 3
    with pytest.raises(SetupAddressError):
        SetupServer(0, listen=Machine(99, errno.EADDRINUSE).listen)


@pytest.mark.parametrize("error", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_a_machine_without_the_other_address_does_without(error: int) -> None:
    """Not every machine has ::1."""
    machine = Machine(1, error)
    with SetupServer(8765, listen=machine.listen) as server:
        assert server.port == machine.made[0].getsockname()[1]
    assert [each.fileno() for each in machine.made] == [-1]


def test_a_stopped_server_frees_its_port() -> None:
    """After the end nobody answers, whether it had begun to answer or not, and the port can be had again."""
    with SetupServer(0) as server:
        port = server.port
    with SetupServer(port) as again:
        again.serve(FakeSession())
        assert httpx.get(again.url).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/")
