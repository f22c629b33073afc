"""Bounds for whatever a server sends: a size, a time for the whole answer, and no compression.

httpx limits the wait for each piece, not the whole; an answer that drips for ever, or never ends, would keep a worker
for ever. A compressed answer was not asked for, and may be a bomb: its bytes are left as they are.
"""

import time
from collections.abc import Callable, Iterator

import httpx

MOST_BYTES = 16 * 1024 * 1024  # an answer about 100,000 contacts has about 2 MB


class BoundedTransport(httpx.BaseTransport):
    """Passes requests on to `inner` and bounds the answers. `seconds` is for one request, from its start."""

    def __init__(self, inner: httpx.BaseTransport, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner = inner
        self._seconds = seconds
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Raises httpx.ReadTimeout and httpx.ReadError when the answer passes its bounds."""
        request.headers["Accept-Encoding"] = "identity"
        deadline = self._clock() + self._seconds
        response = self._inner.handle_request(request)
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"]
        stream = response.stream
        if not isinstance(stream, httpx.SyncByteStream):
            raise TypeError(f"the transport's answer cannot be read piece by piece: {type(stream).__name__}")
        bounded = _BoundedStream(stream, deadline, self._clock)
        return httpx.Response(response.status_code, headers=headers, stream=bounded, extensions=response.extensions)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


class _BoundedStream(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, deadline: float, clock: Callable[[], float]) -> None:
        self._inner = inner
        self._deadline = deadline
        self._clock = clock

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._inner:
            size += len(piece)
            if size > MOST_BYTES:
                raise httpx.ReadError(f"the answer is longer than {MOST_BYTES} bytes")
            if self._clock() > self._deadline:
                raise httpx.ReadTimeout("the answer did not end in time")
            yield piece

    def close(self) -> None:
        self._inner.close()
