"""A Portal behind a real HTTP server on the loopback address.

The server runs in a thread of its own. Its event loop is the only place that touches the portal, so the portal needs no
lock; other threads reach it through `SimulatorServer.call`. The clock is time.monotonic, which is the loop's.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from consumer.simulator.messages import Reply, Request
from consumer.simulator.portal import Portal

Result = TypeVar("Result")


class SimulatorServer:
    """Context manager: serves `portal` at `url` until it is left, then raises Violation if the portal saw one.

    Port 0 takes a free one; entered again, the server comes back at the same port. OSError if the port is taken.
    """

    def __init__(self, portal: Portal, port: int = 0) -> None:
        self.portal = portal
        self.port = port
        self._socket: socket.socket
        self._thread: threading.Thread
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._server: uvicorn.Server
        self._timer: asyncio.TimerHandle | None = None
        self._config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http=H11Protocol,  # shows client and transport, which cutting needs
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=3600,  # HubSpot's side never hangs up first, except where a fault says so
        )

    @property
    def url(self) -> str:
        """Address to give to a client as its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def now(self) -> float:
        """Time on the portal's clock, in seconds: what `since` and `until` of a fault are compared with."""
        return time.monotonic()

    def call(self, function: Callable[[Portal], Result]) -> Result:
        """Run `function(portal)` between requests and return what it returns: the safe way to look and to change."""

        async def run() -> Result:
            self._advance()
            return function(self.portal)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def __enter__(self) -> Self:
        # The socket listens before the thread starts: who connects early waits in its queue.
        self._socket = socket.create_server(("127.0.0.1", self.port))
        # asyncio does this only for sockets it makes itself; without it every answer waits 40 ms for an ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self._socket.getsockname()[1]
        self._server = uvicorn.Server(self._config)
        started: Future[None] = Future()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(started),), name="hubspot-simulator")
        self._thread.start()
        started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join()
        self._socket.close()
        self.portal.assert_clean()

    async def _run(self, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._timer = None  # what is due was armed in the loop of the last run
        self._advance()
        started.set_result(None)
        await self._server.serve(sockets=[self._socket])

    def _stop(self) -> None:
        self._server.should_exit = True
        self._stopping.set()
        for connection in tuple(self._server.server_state.connections):
            connection.transport.abort()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        try:
            body = await http.body()
        except ClientDisconnect:
            return  # the client died in the middle of sending
        raw_path = scope["raw_path"].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        reply = self.portal.handle(Request(http.method, raw_path, query, dict(http.headers), body), self._loop.time())
        self._advance()
        await self._wait(reply.delay)
        if reply.cut:
            await self._cut(scope, receive)
        else:
            await _response(reply)(scope, receive, send)

    async def _wait(self, seconds: float) -> None:
        if seconds:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _cut(self, scope: Scope, receive: Receive) -> None:
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.client == scope["client"]:
                connection.transport.abort()
        # Leaving before the server has noticed would make it answer 500.
        while (await receive())["type"] != "http.disconnect":
            pass

    def _advance(self) -> None:
        """Let late changes take effect, and come back when the next is due."""
        self.portal.advance(self._loop.time())
        if self._timer:
            self._timer.cancel()
        due = self.portal.next_due()
        self._timer = None if due is None else self._loop.call_at(due, self._advance)


def _response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status)
    for name, value in reply.headers:
        response.headers[name] = value
    return response
