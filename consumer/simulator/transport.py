"""httpx served from a Portal in the same process, with a clock that a test can turn by hand."""

from collections.abc import Callable
from threading import Lock

import httpx

from consumer.simulator.messages import Request
from consumer.simulator.portal import Portal


class PortalTransport(httpx.BaseTransport):
    """`clock` tells the time in seconds. `on_delay` is called, with the seconds, where a real client would wait.

    A cut connection raises httpx.RemoteProtocolError, a delay above the request's read timeout httpx.ReadTimeout; what
    the portal did with the request stands in both cases. Threads that share a portal must share its transport.
    """

    def __init__(
        self, portal: Portal, clock: Callable[[], float], on_delay: Callable[[float], None] = lambda _seconds: None
    ) -> None:
        self._portal = portal
        self._clock = clock
        self._on_delay = on_delay
        self._lock = Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        body = request.read()
        asked = Request(request.method, path, query, dict(request.headers), body)
        with self._lock:
            reply = self._portal.handle(asked, self._clock())
        patience = request.extensions.get("timeout", {}).get("read")
        if patience is not None and reply.delay > patience:
            self._on_delay(patience)
            raise httpx.ReadTimeout(f"No answer within {patience} s.", request=request)
        if reply.delay:
            self._on_delay(reply.delay)
        if reply.cut:
            raise httpx.RemoteProtocolError("The connection was cut without an answer.", request=request)
        return httpx.Response(reply.status, headers=reply.headers, content=reply.body, request=request)
