"""Connections on which all waits of a request end at its deadline.

httpx limits each wait by itself: a server that sends its headers byte by byte would keep a worker for ever. So this is
httpx's transport once more, on connections of httpcore whose network counts down: to connect, to shake hands, to send
and to receive share the time of the one request that a connection has at a time.

httpcore's pool asks the system about every idle connection whenever a request begins or ends. Here a request takes the
connection that was used last, and only what is true of that one is looked at.
"""

import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import httpcore
import httpx

IDLE = 5.0  # seconds for which a connection is kept for the next request
_SOONEST = 1e-6  # seconds: a socket takes 0 for "do not wait at all", and says something else then


class NetworkTransport(httpx.BaseTransport):
    """Sends requests over the network. Each has `seconds`, from its start to the last byte of its answer.

    Any number of threads may use it; each request has a connection for itself. `ca` holds the certificates (PEM) of the
    authorities to trust instead of the usual.
    """

    def __init__(self, seconds: float, ca: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._trusted = ssl.create_default_context(cadata=ca) if ca else httpx.create_ssl_context(trust_env=False)
        self._network = _Network(clock)
        self._lock = threading.Lock()
        self._idle: deque[tuple[float, httpcore.HTTPConnection]] = deque()  # and since when; the last one used is last
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Raises httpx.TransportError."""
        deadline = self._clock() + self._seconds
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        with _httpx_errors():
            connection = self._connection(url.origin)
            response = connection.handle_request(
                httpcore.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=request.stream,
                    # The connection passes these on to the network as they are.
                    extensions={"timeout": dict.fromkeys(("connect", "read", "write"), deadline)},
                )
            )
        body = _Body(response, lambda: self._keep(connection))
        return httpx.Response(response.status, headers=response.headers, stream=body, extensions=response.extensions)

    def close(self) -> None:
        """Close the connections. One that a request is on is closed once that has its answer."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, deque()
        for _, connection in idle:
            connection.close()

    def _connection(self, origin: httpcore.Origin) -> httpcore.HTTPConnection:
        """Give an idle connection that can still be used, or one that is not connected yet."""
        while True:
            with self._lock:
                idle = self._idle.pop()[1] if self._idle else None
            if idle is None:
                return httpcore.HTTPConnection(
                    origin, ssl_context=self._trusted, keepalive_expiry=IDLE, network_backend=self._network
                )
            if idle.can_handle_request(origin) and not idle.has_expired():
                return idle
            idle.close()

    def _keep(self, connection: httpcore.HTTPConnection) -> None:
        """Take back the connection of a request that has its answer, or that failed, which has closed it."""
        now = self._clock()
        unused: list[httpcore.HTTPConnection] = []
        with self._lock:
            if self._closed:
                unused.append(connection)
            elif connection.is_idle():
                self._idle.append((now, connection))
            while self._idle and now - self._idle[0][0] > IDLE:
                unused.append(self._idle.popleft()[1])
        for each in unused:
            each.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response, closed: Callable[[], None]) -> None:
        self._response = response
        self._closed = closed
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._response.close()
            self._closed()


class _Network(httpcore.SyncBackend):
    """A network whose timeouts are deadlines, as `clock` counts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, self._clock)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options), self._clock)


class _Stream(httpcore.NetworkStream):
    """A connection to the server. What is written to it leaves in one go, once an answer is waited for."""

    def __init__(self, inner: httpcore.NetworkStream, clock: Callable[[], float]) -> None:
        self._inner = inner
        self._clock = clock
        self._unsent = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._unsent:
            unsent, self._unsent = self._unsent, b""
            with suppress(httpcore.WriteError):  # the server may have answered before it hung up, as httpcore has it
                self._inner.write(unsent, _left(timeout, self._clock))
        return self._inner.read(max_bytes, _left(timeout, self._clock))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout  # it is that of `read`: the deadline of the request
        self._unsent += buffer

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, self._clock)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)

    def close(self) -> None:
        self._inner.close()


def _left(deadline: float | None, clock: Callable[[], float]) -> float | None:
    return None if deadline is None else max(_SOONEST, deadline - clock())


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Raise httpx's errors for those of its connections, which bear the same names."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raised: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise raised(str(error)) from error
