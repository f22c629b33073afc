"""The server that listens on this machine alone."""

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


def has_ipv6() -> bool:
    """Tell whether this machine has ::1."""
    try:
        web.listen("::1", 0).close()
    except OSError:
        return False
    return True


def test_a_browser_opens_the_pages(server: SetupServer) -> None:
    """The pages answer at the address that is to be opened, which is the one that HubSpot may redirect to."""
    assert server.url == f"http://localhost:{server.port}/"
    assert server.redirect_uri == f"http://localhost:{server.port}/oauth/callback"
    answer = httpx.get(server.url)
    assert answer.status_code == 200
    assert "HubSpot list sync setup" in answer.text


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_both_loopback_addresses_answer(server: SetupServer, address: str) -> None:
    """Browsers take `localhost` for either."""
    if address == "::1" and not has_ipv6():
        pytest.skip("this machine has no ::1")
    host = f"[{address}]" if ":" in address else address
    answer = httpx.get(f"http://{host}:{server.port}/", headers={"Host": f"localhost:{server.port}"})
    assert answer.status_code == 200
    assert httpx.get(f"http://{host}:{server.port}/").status_code == 421


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


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_taken_port_is_a_clear_error(address: str) -> None:
    """At either address: else whoever is there would get what is meant for the pages."""
    if address == "::1" and not has_ipv6():
        pytest.skip("this machine has no ::1")
    with web.listen(address, 0) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            SetupAddressError, match=rf"--port: .* localhost port {port}, but: .*redirect URL of the app"
        ):
            SetupServer(port)
        if address == "::1":
            web.listen("127.0.0.1", port).close()  # the first address was given back


def test_a_stopped_server_frees_its_port() -> None:
    """After the end nobody answers, whether it had begun to answer or not, and the port can be had again."""
    with SetupServer(0) as server:
        port = server.port
    with SetupServer(port) as again:
        again.serve(FakeSession())
        assert httpx.get(again.url).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/")
