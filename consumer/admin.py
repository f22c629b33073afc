"""The admin server: GET /metrics, /livez, /readyz and the status page at /.

It runs uvicorn in a thread of its own and only reads: the metrics registry and the last status that the loop published.
So it answers while the loop, Kafka or HubSpot does not.
"""

from __future__ import annotations

import gzip
import ipaddress
import socket
import threading
import time
from typing import TYPE_CHECKING, Final, Self

import uvicorn
from prometheus_client.exposition import choose_encoder, gzip_accepted
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from consumer.errors import ConsumerError
from consumer.status import not_ready, page, stalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry
    from starlette.requests import Request

    from consumer.status import ServiceStatus

_STOP_WITHIN: Final = 2  # seconds that answers under way get when the server stops
_PAGE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class AdminAddressError(ConsumerError):
    """The address under `admin.address` cannot be listened on."""


class AdminServer:
    """Serves metrics, health and the status page from a background thread while the context is open.

    `status` is called from the server's threads, once for each request. `clock` is monotonic, like
    `ServiceStatus.last_turn`; `wall` gives seconds since 1970. Port 0 takes a free one; `url` says which.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        status: Callable[[], ServiceStatus],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._host, self._port = host, port
        self._app = _application(registry, status, clock, wall)

    def __enter__(self) -> Self:
        """Listen and answer. Raises AdminAddressError when the address is taken, not allowed or not of this host."""
        listener = _listen(self._host, self._port)
        self.url = _url(listener)
        # The settings that matter: no logging of its own, and nothing that is not needed. In a thread other than the
        # main one uvicorn installs no signal handlers.
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_STOP_WITHIN,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="admin", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop answering and close the socket."""
        self._server.should_exit = True
        self._thread.join()


def _application(
    registry: CollectorRegistry,
    status: Callable[[], ServiceStatus],
    clock: Callable[[], float],
    wall: Callable[[], float],
) -> Starlette:
    # Metrics and the page are plain functions, which Starlette runs in its worker threads: with thousands of lists they
    # take seconds, and a probe must not wait for them. The probes are coroutines and need no free worker.
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        body, headers = encode(registry), {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if gzip_accepted(request.headers.get("accept-encoding", "")):
            body, headers["Content-Encoding"] = gzip.compress(body, compresslevel=1), "gzip"
        return Response(body, headers=headers)

    def status_page(_: Request) -> Response:
        shown = status()
        return HTMLResponse(page(shown, wall(), stalled(shown, clock())), headers=_PAGE_HEADERS)

    async def livez(_: Request) -> Response:
        return _health(stalled(status(), clock()), "The loop is turning.")

    async def readyz(_: Request) -> Response:
        return _health(not_ready(status()), "Ready.")

    return Starlette(
        routes=[
            Route("/", status_page),
            Route("/metrics", metrics),
            Route("/livez", livez),
            Route("/readyz", readyz),
        ]
    )


def _health(problem: str | None, well: str) -> Response:
    return PlainTextResponse(f"{problem or well}\n", 503 if problem else 200, headers={"Cache-Control": "no-store"})


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise AdminAddressError(
            f"admin.address: the service must be able to listen on {host} port {port}, but: {error.strerror}. "
            "Stop what uses this address, or name a free one of this host."
        ) from error
    # asyncio sets it for sockets that it makes itself; without it an answer in two pieces waits for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket) -> str:
    """Return where the server can be reached from this host."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        return f"http://localhost:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
