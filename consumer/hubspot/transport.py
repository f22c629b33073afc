"""Bounds for whatever a server sends: a size, a time for the whole answer, and no compression.

httpx limits the wait for each piece, not the whole; an answer that drips for ever, or never ends, would keep a worker
for ever. A compressed answer was not asked for, and may be a bomb: its bytes are left as they are.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx

from consumer.hubspot.network import NetworkTransport

MOST_BYTES = 16 * 1024 * 1024  # an answer about 100,000 contacts has about 2 MB


class BoundedTransport(httpx.BaseTransport):
    """Passes requests on to `inner` and reads their answers to the end, within bounds.

    `seconds` is for one request, from its start.
    """

    def __init__(self, inner: httpx.BaseTransport, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner = inner
        self._seconds = seconds
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Raises httpx.ReadTimeout and httpx.ReadError when the answer passes its bounds."""
        request.headers["Accept-Encoding"] = "identity"
        deadline = self._clock() + self._seconds
        response = self._inner.handle_request(request)
        stream = response.stream
        if not isinstance(stream, httpx.SyncByteStream):
            raise TypeError(f"the transport's answer cannot be read piece by piece: {type(stream).__name__}")
        with closing(stream):
            content = b"".join(self._pieces(stream, deadline))
        response.headers.pop("Content-Encoding", None)
        return httpx.Response(
            response.status_code, headers=response.headers, content=content, extensions=response.extensions
        )

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _pieces(self, stream: httpx.SyncByteStream, deadline: float) -> Iterator[bytes]:
        size = 0
        for piece in stream:
            size += len(piece)
            if size > MOST_BYTES:
                raise httpx.ReadError(f"the answer is longer than {MOST_BYTES} bytes")
            if self._clock() > deadline:
                raise httpx.ReadTimeout("the answer did not end in time")
            yield piece


def make_client(base_url: str, timeout: float, transport: httpx.BaseTransport | None, ca: str | None) -> httpx.Client:
    """Make a client for what a person waits for; through `transport`, else the network (`ca`: NetworkTransport)."""
    bounded = BoundedTransport(transport or NetworkTransport(timeout, ca), timeout)
    return httpx.Client(base_url=base_url, timeout=timeout, transport=bounded, trust_env=False)
