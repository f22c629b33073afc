"""A TCP proxy between the service and what it talks to: closed or silent for a while, with TLS, or holding back."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

PIECE = 65_536  # bytes


class Proxy:
    """Context manager: passes connections at `port` on to `target`, a port of 127.0.0.1.

    While it is not entered nobody listens at `port`. With `tls` it serves TLS and speaks plainly to the target. Between
    `hold` and `let_go` whatever answers a PUT request waits here, while it is `silent` everything does.
    """

    def __init__(self, target: int, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self.port = port
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._free: asyncio.Event
        self._flowing: asyncio.Event
        self._thread: threading.Thread

    @property
    def url(self) -> str:
        """Address of what is behind it, if that speaks HTTP."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def hold(self) -> None:
        """Hold back the answers to PUT requests from now on."""
        self._loop.call_soon_threadsafe(self._free.clear)

    def let_go(self) -> None:
        """Pass on what was held back, and all that follows."""
        self._loop.call_soon_threadsafe(self._free.set)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Pass nothing on in either way, though connections are taken; at the end pass on all that was sent."""
        self._loop.call_soon_threadsafe(self._flowing.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._flowing.set)

    @contextmanager
    def away(self) -> Iterator[None]:
        """End all connections and listen no more; at the end listen again."""
        self.__exit__(None, None, None)
        try:
            yield
        finally:
            self.__enter__()

    def __enter__(self) -> Self:
        started: Future[None] = Future()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(started),), name="proxy")
        self._thread.start()
        started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _run(self, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping, self._free, self._flowing = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._free.set()
        self._flowing.set()
        try:
            server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, ssl=self._tls)
        except OSError as error:
            started.set_exception(error)
            return
        self.port = server.sockets[0].getsockname()[1]
        started.set_result(None)
        await self._stopping.wait()
        server.close()
        # What is still connected ends with the loop: asyncio.run cancels it.

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError), aborting(writer):
            there, to_there = await asyncio.open_connection("127.0.0.1", self._target)
            put = asyncio.Event()
            with aborting(to_there):
                ways = [
                    asyncio.create_task(self._pass_on(reader, to_there, note_put=put)),
                    asyncio.create_task(self._pass_on(there, writer, wait_after=put)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        note_put: asyncio.Event | None = None,
        wait_after: asyncio.Event | None = None,
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                if note_put is not None and piece.startswith(b"PUT "):
                    note_put.set()
                if wait_after is not None and wait_after.is_set():
                    await self._free.wait()
                    wait_after.clear()
                await self._flowing.wait()
                writer.write(piece)
                await writer.drain()


@contextmanager
def aborting(writer: asyncio.StreamWriter) -> Iterator[None]:
    """End the connection when the context is left."""
    try:
        yield
    finally:
        writer.transport.abort()
