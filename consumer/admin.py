"""The admin server: GET /metrics, /livez, /readyz and the status page at / with its style sheet; POST /release/NAME.

It answers from a thread of its own and only reads: the metrics registry and the last status that the loop published.
So it answers while the loop, Kafka or HubSpot does not.

A release is the one thing that it is asked to do, and the loop does that. Only who is on this machine (in this pod) may
ask, by a loopback address. No web page may that a browser here happens to show: to send the header RELEASE_HEADER to
another origin it would have to ask before, which is refused; and if its own name was bent to a loopback address, that
name stands in `Host`.
"""

from __future__ import annotations

import gzip
import ipaddress
import queue
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

from prometheus_client.exposition import choose_encoder, gzip_accepted
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from consumer import web
from consumer.errors import ConsumerError
from consumer.status import not_ready, page, stalled

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.requests import Request

    from consumer.status import ServiceStatus

RELEASE_HEADER: Final = "X-HubSpot-List-Sync"
RELEASE_WORD: Final = "release"  # what stands in that header

_FORWARDED: Final = ("Forwarded", "X-Forwarded-For")  # whoever is behind a proxy is not seen
_ANSWER_WITHIN: Final = 10.0  # seconds that the loop has to do what it is asked; a revoke may keep it longer


Release = Callable[[str, Callable[[int | None], None]], None]
"""Asks the loop to let go what is held of a connector; it calls back, from its own thread."""


class AdminAddressError(ConsumerError):
    """The address under `admin.address` cannot be listened on."""


class AdminServer:
    """Serves metrics, health and the status page from a background thread while the context is open.

    `status` is called from the server's threads, once for each request, and so is `release`: it gets the name of a
    connector, and what to call with the number of contacts that are let go, or with None if nothing is held. That is
    waited for `answer_within` seconds. `clock` is monotonic, like `ServiceStatus.last_turn`; `wall` gives seconds since
    1970. Port 0 takes a free one; `url` says which.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        status: Callable[[], ServiceStatus],
        release: Release,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        answer_within: float = _ANSWER_WITHIN,
    ) -> None:
        self._host, self._port = host, port
        release_route = Route("/release/{connector}", _releasing(status, release, answer_within), methods=["POST"])
        self.app = Starlette(routes=[*_pages(registry, status, clock, wall), release_route])

    def __enter__(self) -> Self:
        """Listen and answer. Raises AdminAddressError when the address is taken, not allowed or not of this host."""
        try:
            listener = web.listen(self._host, self._port)
        except OSError as error:
            raise AdminAddressError(
                f"admin.address: the service must be able to listen on {self._host} port {self._port}, but: "
                f"{error.strerror}. Stop what uses this address, or name a free one of this host."
            ) from error
        self.url = web.url(listener)
        self._server = web.WebServer(self.app, [listener], "admin")
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop answering and close the socket."""
        self._server.stop()


def _pages(
    registry: CollectorRegistry,
    status: Callable[[], ServiceStatus],
    clock: Callable[[], float],
    wall: Callable[[], float],
) -> list[Route]:
    # Metrics and the page are plain functions, which Starlette runs in its worker threads: with thousands of lists they
    # take seconds, and a probe must not wait for them. The probes are coroutines and need no free worker.
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        body, headers = encode(registry), {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if gzip_accepted(request.headers.get("accept-encoding", "")):
            body, headers["Content-Encoding"] = gzip.compress(body, compresslevel=1), "gzip"
        return Response(body, headers=headers)

    def status_page(request: Request) -> Response:
        shown, refresh = status(), request.query_params.get("refresh") != "off"
        text = page(shown, wall(), stalled(shown, clock()), refresh=refresh)
        return HTMLResponse(text, headers=web.PAGE_HEADERS)

    async def livez(_: Request) -> Response:
        return _health(stalled(status(), clock()), "The loop is turning.")

    async def readyz(_: Request) -> Response:
        return _health(not_ready(status()), "Ready.")

    return [
        Route("/", status_page),
        web.asset_route("style.css"),
        Route("/metrics", metrics),
        Route("/livez", livez),
        Route("/readyz", readyz),
    ]


def _releasing(
    status: Callable[[], ServiceStatus], release: Release, answer_within: float
) -> Callable[[Request], Response]:
    # A plain function, which waits for the loop in one of Starlette's worker threads.
    def answer(request: Request) -> Response:
        connector = request.path_params["connector"]
        if (why := _refused(request)) is not None:
            return _problem(403, why)
        known = [each.connector for each in status().lists]
        if connector not in known:
            return _problem(404, f"there is no connector {connector}. Name one of: {', '.join(known)}")
        told: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        release(connector, told.put)
        try:
            contacts = told.get(timeout=answer_within)
        except queue.Empty:
            why = f"the service did not answer within {answer_within:g} s and may still do it. Look at the status page"
            return _problem(503, why)
        if contacts is None:
            return _problem(409, f"nothing of connector {connector} is held by this member")
        return JSONResponse({"connector": connector, "contacts": contacts}, headers={"Cache-Control": "no-store"})

    return answer


def _refused(request: Request) -> str | None:
    """Say why whoever asks may not release anything; None if they may."""
    peer = request.client.host if request.client is not None else ""
    if not _is_loopback(peer) or any(request.headers.get(name) for name in _FORWARDED):
        return "a release is taken from this machine only. Type the command in the pod itself, as with kubectl exec"
    if request.headers.get(RELEASE_HEADER) != RELEASE_WORD or request.headers.get("Origin"):
        return f"a release is not taken from web pages. Type the command, or send the header {RELEASE_HEADER}"
    if not _is_loopback(_host(request.headers.get("Host", ""))):
        return "a release is asked of a loopback address. Name 127.0.0.1, [::1] or localhost"
    return None


def _host(header: str) -> str:
    """Give a Host header without its port."""
    return header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _problem(status: int, text: str) -> Response:
    return JSONResponse({"problem": text}, status, headers={"Cache-Control": "no-store"})


def _health(problem: str | None, well: str) -> Response:
    return PlainTextResponse(f"{problem or well}\n", 503 if problem else 200, headers={"Cache-Control": "no-store"})
