import asyncio
import gzip
import hashlib
import logging
import re
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from consumer.admin import RELEASE_HEADER, RELEASE_WORD, AdminAddressError, AdminServer
from consumer.status import ListStatus, ServiceStatus
from consumer.templating import asset

pytestmark = pytest.mark.process

VIP = ListStatus("vip", "acme", 4711, "VIP <customers>", "audience:vip", enabled=True, waiting=7)
WELL = ServiceStatus(
    lists=(VIP,),
    partitions=(),
    paused=False,
    draining=False,
    ready=True,
    last_turn=1000.0,
    started_at=0.0,
    version="0.1.0",
)
RELEASE = {RELEASE_HEADER: RELEASE_WORD}
PLACE = "http://127.0.0.1:9108/release/vip"


@dataclass
class Service:
    """What a running service would give the admin server: the last status, and the clock.

    A release is answered with `held` contacts; where it is "nothing", the loop does not answer at all.
    """

    status: ServiceStatus = WELL
    now: float = 1000.0
    held: int | Literal["nothing"] | None = 7
    asked: list[str] = field(default_factory=list)

    def release(self, connector: str, told: Callable[[int | None], None]) -> None:
        """Do as the loop does."""
        self.asked.append(connector)
        if self.held != "nothing":
            told(self.held)


@pytest.fixture
def service() -> Service:
    """Return a service that is well."""
    return Service()


@pytest.fixture
def registry() -> CollectorRegistry:
    """Return a registry that holds one metric, `apples_total`."""
    registry = CollectorRegistry()
    Counter("apples_total", "Apples eaten.", registry=registry).inc(3)
    return registry


def serve(service: Service, registry: CollectorRegistry, host: str = "127.0.0.1", port: int = 0) -> AdminServer:
    """Return the admin server of `service`, not yet open."""
    return AdminServer(
        host,
        port,
        registry,
        lambda: service.status,
        service.release,
        clock=lambda: service.now,
        wall=lambda: service.now,
        answer_within=0.01,
    )


def ask_from(
    service: Service, registry: CollectorRegistry, peer: str = "127.0.0.1", url: str = PLACE, **headers: str
) -> httpx.Response:
    """Ask for a release as if from another machine, or by another name."""

    async def ask() -> httpx.Response:
        app = serve(service, registry).app
        transport = httpx.ASGITransport(app, client=(peer, 5000))
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.post(url, headers={**RELEASE, **headers})

    return asyncio.run(ask())


@pytest.fixture
def client(service: Service, registry: CollectorRegistry) -> Iterator[httpx.Client]:
    """Yield a client of a running admin server."""
    with serve(service, registry) as server, httpx.Client(base_url=server.url) as client:
        yield client


def test_metrics_are_served_as_text(client: httpx.Client) -> None:
    """A scraper that asks for nothing in particular gets Prometheus' text format."""
    answer = client.get("/metrics", headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "content-encoding" not in answer.headers
    assert "apples_total 3.0" in answer.text


def test_metrics_are_served_as_openmetrics(client: httpx.Client) -> None:
    """A scraper that prefers OpenMetrics gets OpenMetrics."""
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


def test_metrics_are_compressed_on_request(client: httpx.Client) -> None:
    """A scraper that takes gzip gets the same metrics compressed."""
    with client.stream("GET", "/metrics", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert b"apples_total 3.0" in gzip.decompress(b"".join(answer.iter_raw()))


def test_a_turning_loop_is_alive(client: httpx.Client, service: Service) -> None:
    """Liveness holds up to 60 s after the loop's last turn, then fails and says why."""
    service.now = 1060.0
    assert client.get("/livez").status_code == 200
    service.now = 1061.0
    answer = client.get("/livez")
    assert answer.status_code == 503
    assert "61 s" in answer.text


def test_liveness_does_not_ask_for_readiness(client: httpx.Client, service: Service) -> None:
    """A member without partitions, paused or draining is not restarted for that."""
    service.status = replace(WELL, ready=False, paused=True, draining=True)
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("shown", "status", "word"),
    [
        (WELL, 200, "Ready"),
        (replace(WELL, paused=True), 200, "Ready"),
        (replace(WELL, ready=False), 503, "partitions"),
        (replace(WELL, draining=True), 503, "draining"),
    ],
)
def test_readiness(client: httpx.Client, service: Service, shown: ServiceStatus, status: int, word: str) -> None:
    """A member is ready when it has its share and is not draining; otherwise the answer says why not."""
    service.status = shown
    answer = client.get("/readyz")
    assert answer.status_code == status
    assert word in answer.text


def test_the_page_is_html_that_runs_nothing(client: httpx.Client) -> None:
    """The page arrives as HTML, fresh, and the browser is told to load and run nothing for it."""
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "VIP &lt;customers&gt;" in answer.text


def test_the_page_stops_refreshing_when_asked(client: httpx.Client) -> None:
    """The address of the page says whether it loads itself anew."""
    assert 'http-equiv="refresh"' in client.get("/").text
    assert 'http-equiv="refresh"' not in client.get("/?refresh=off").text


def test_the_style_sheet_is_served_under_a_name_of_its_content(client: httpx.Client) -> None:
    """The page finds its style sheet at the server itself; a new one has a new address, so a browser may keep it."""
    [href] = re.findall(r'<link rel="stylesheet" href="([^"]+)">', client.get("/").text)
    answer = client.get(href)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert answer.text == asset("style.css")
    assert "immutable" in answer.headers["cache-control"]
    assert hashlib.sha256(answer.content).hexdigest().startswith(href.partition("?")[2])


def test_the_page_follows_the_service(client: httpx.Client, service: Service) -> None:
    """Each request shows the status of that moment, a hanging loop included."""
    assert "Running" in client.get("/").text
    service.status = replace(WELL, draining=True)
    assert "Draining" in client.get("/").text
    service.now = 2000.0
    assert "Hanging" in client.get("/").text


def test_other_paths_and_methods_are_refused(client: httpx.Client) -> None:
    """The server shows; but for a release it takes nothing, and it has no other page."""
    assert client.get("/secrets").status_code == 404
    assert client.post("/").status_code == 405
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        assert client.request(method, "/release/vip", headers=RELEASE).status_code == 405


def test_a_release_is_handed_to_the_loop(client: httpx.Client, service: Service) -> None:
    """Whoever releases a connector hears how many contacts will go."""
    answer = client.post("/release/vip", headers=RELEASE)
    assert (answer.status_code, answer.json()) == (200, {"connector": "vip", "contacts": 7})
    assert answer.headers["cache-control"] == "no-store"
    assert service.asked == ["vip"]


def test_a_release_of_nothing_says_so(client: httpx.Client, service: Service) -> None:
    """A connector that is not held is told apart from one that does not exist, which hears the names there are."""
    service.held = None
    answer = client.post("/release/vip", headers=RELEASE)
    assert (answer.status_code, answer.json()) == (409, {"problem": "nothing of connector vip is held by this member"})
    answer = client.post("/release/wip", headers=RELEASE)
    assert (answer.status_code, answer.json()) == (404, {"problem": "there is no connector wip. Name one of: vip"})
    assert service.asked == ["vip"]


def test_a_release_that_the_loop_does_not_answer(client: httpx.Client, service: Service) -> None:
    """While the loop hands partitions over, or hangs, whoever releases hears that it may still come about."""
    service.held = "nothing"
    answer = client.post("/release/vip", headers=RELEASE)
    assert answer.status_code == 503
    assert "may still do it. Look at the status page" in answer.json()["problem"]


@pytest.mark.parametrize("peer", ["10.1.2.3", "192.168.0.1", "2001:db8::1", "::ffff:10.1.2.3", "localhost.evil", ""])
def test_another_machine_releases_nothing(service: Service, registry: CollectorRegistry, peer: str) -> None:
    """A release is taken from the machine itself only; others are told where to type the command."""
    answer = ask_from(service, registry, peer)
    assert answer.status_code == 403
    assert "kubectl exec" in answer.json()["problem"]
    assert service.asked == []


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_a_proxy_releases_nothing(service: Service, registry: CollectorRegistry, header: str) -> None:
    """Who asks through a proxy on the machine may be anybody; and nobody can claim to be on it."""
    for peer in ("127.0.0.1", "10.1.2.3"):
        assert ask_from(service, registry, peer, **{header: "127.0.0.1"}).status_code == 403
    assert service.asked == []


@pytest.mark.parametrize("headers", [{RELEASE_HEADER: "yes"}, {RELEASE_HEADER: ""}, {"Origin": "https://evil.example"}])
def test_a_web_page_releases_nothing(service: Service, registry: CollectorRegistry, headers: dict[str, str]) -> None:
    """A page that a browser on the machine shows cannot send what a release takes."""
    answer = ask_from(service, registry, **headers)
    assert answer.status_code == 403
    assert "web pages" in answer.json()["problem"]
    assert service.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example:9108/release/vip",
        "http://localhost.evil.example/release/vip",
        "http://10.1.2.3/release/vip",
    ],
)
def test_a_bent_name_releases_nothing(service: Service, registry: CollectorRegistry, url: str) -> None:
    """A page whose own name was made to lead to this machine is refused by that name."""
    answer = ask_from(service, registry, url=url)
    assert answer.status_code == 403
    assert "loopback" in answer.json()["problem"]
    assert service.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1:9108", "[::1]:9108", "localhost"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "127.0.0.9", "::1"])
def test_every_loopback_address_will_do(service: Service, registry: CollectorRegistry, peer: str, host: str) -> None:
    """By whichever loopback address the server is reached, a release is taken."""
    assert ask_from(service, registry, peer, f"http://{host}/release/vip").status_code == 200


def test_a_taken_port_is_a_clear_error(service: Service, registry: CollectorRegistry) -> None:
    """When the address is taken, the error names the setting, the rule and the remedy."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(AdminAddressError, match=rf"admin\.address: .* 127\.0\.0\.1 port {port}.*name a free one"),
            serve(service, registry, port=port),
        ):
            pass


def test_an_address_of_another_host_is_a_clear_error(service: Service, registry: CollectorRegistry) -> None:
    """An address that is not this host's is refused with the setting's name."""
    with (
        pytest.raises(AdminAddressError, match=r"admin\.address: .* 192\.0\.2\.1"),
        serve(service, registry, "192.0.2.1"),
    ):
        pass


def test_a_stopped_server_frees_its_port(service: Service, registry: CollectorRegistry) -> None:
    """After the end nobody answers, and the same port can be served again at once."""
    with serve(service, registry) as server:
        port = int(server.url.rpartition(":")[2])
        with httpx.Client() as kept_alive:
            kept_alive.get(f"{server.url}/livez")
            server.__exit__(None, None, None)
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{server.url}/livez")
    with serve(service, registry, port=port) as again:
        assert httpx.get(f"{again.url}/livez").status_code == 200


@pytest.mark.parametrize(
    ("host", "start"),
    [
        ("0.0.0.0", "http://localhost:"),  # noqa: S104 - the default of admin.address is the case to test
        ("127.0.0.1", "http://127.0.0.1:"),
        ("localhost", "http://127.0.0.1:"),
    ],
)
def test_the_url_can_be_opened(service: Service, registry: CollectorRegistry, host: str, start: str) -> None:
    """The URL leads to the server from this host, also when it listens on every address."""
    with serve(service, registry, host) as server:
        assert server.url.startswith(start)
        assert httpx.get(server.url).status_code == 200


def test_the_server_leaves_signals_and_logs_alone(
    service: Service, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """The service keeps its own signal handlers, and its log holds no line about probes and scrapes."""
    caplog.set_level(logging.INFO)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with serve(service, registry) as server:
        httpx.get(f"{server.url}/livez")
        assert {number: signal.getsignal(number) for number in before} == before
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
