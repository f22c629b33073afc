"""What the servers of this program have in common: they listen, and answer from a thread of their own.

uvicorn runs with the settings that matter and nothing that is not needed: it logs no request, so no address gets into
the log, and in a thread other than the main one it installs no signal handlers.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.responses import Response
from starlette.routing import Route

from consumer.templating import asset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp

PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What a page is sent with: it is fresh, nobody frames it, and it runs and loads only what this server serves."""

_MEDIA_TYPES: Final = {"css": "text/css", "js": "text/javascript"}
_STOP_WITHIN: Final = 2  # seconds that answers under way get when the server stops


class WebServer:
    """Answers on `listeners` from a background thread named `name`, from `start` to `stop`, which closes them."""

    def __init__(self, app: ASGIApp, listeners: Sequence[socket.socket], name: str) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # or whoever sends X-Forwarded-For would choose the address that is looked at
                timeout_graceful_shutdown=_STOP_WITHIN,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": list(listeners)}, name=name, daemon=True
        )

    def start(self) -> None:
        """Answer from now on; who connected since `listen` has waited."""
        self._thread.start()

    def stop(self) -> None:
        """Let answers under way end, for 2 s at most, and close the listeners."""
        self._server.should_exit = True
        self._thread.join()


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address of this host, port 0 for a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # asyncio sets it for sockets that it makes itself; without it an answer in two pieces waits for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url(listener: socket.socket) -> str:
    """Return where the server can be reached from this host."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        return f"http://localhost:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def asset_route(name: str) -> Route:
    """Return the route to a style sheet or script. Its address names its content: it need not be asked for again."""
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}

    async def answer(_: Request) -> Response:
        return Response(asset(name), headers=headers, media_type=media_type)

    return Route(f"/{name}", answer)
