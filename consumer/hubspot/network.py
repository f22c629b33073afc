"""Connections on which all waits of a request end at its deadline.

httpx limits each wait by itself: a server that sends its headers byte by byte would keep a worker for ever. So this is
httpx's transport once more, on a pool whose network counts down: to connect, to shake hands, to send and to receive
share the time of the one request that a connection has at a time.
"""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import httpcore
import httpx

IDLE = 5.0  # seconds for which a connection is kept for the next request
_SOONEST = 1e-6  # seconds: a socket takes 0 for "do not wait at all", and says something else then


class NetworkTransport(httpx.BaseTransport):
    """Sends requests over the network. Each has `seconds`, from its start to the last byte of its answer.

    `ca` holds the certificates (PEM) of the authorities to trust instead of the usual.
    """

    def __init__(
        self, seconds: float, ca: str | None, connections: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        trusted = ssl.create_default_context(cadata=ca) if ca else httpx.create_ssl_context(trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=trusted,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=IDLE,
            network_backend=_Network(clock),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Raises httpx.TransportError."""
        deadline = self._clock() + self._seconds
        # The pool passes these on to the network as they are; only the wait for a free connection is its own.
        timeouts = {"pool": self._seconds, **dict.fromkeys(("connect", "read", "write"), deadline)}
        url = request.url
        with _httpx_errors():
            response = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions={**request.extensions, "timeout": timeouts},
                )
            )
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


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
    def __init__(self, inner: httpcore.NetworkStream, clock: Callable[[], float]) -> None:
        self._inner = inner
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, self._clock))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout, self._clock))

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
    """Raise httpx's errors for those of its pool, which bear the same names."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        raised: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise raised(str(error)) from error
