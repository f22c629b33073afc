"""The server of the setup's pages, for browsers of this machine only."""

import errno
import socket
from collections.abc import Callable
from typing import Final, Self

from consumer import web
from consumer.errors import ConsumerError
from consumer.setup.pages import application
from consumer.setup.security import HOST
from consumer.setup.session import Session

PORT: Final = 8765

Listen = Callable[[str, int], socket.socket]

_ABSENT: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}  # this machine has no such address
_ATTEMPTS: Final = 10  # to find a port that is free at both addresses


class SetupAddressError(ConsumerError):
    """The port cannot be listened on."""


class SetupServer:
    """Listens as soon as it is made, on the loopback addresses alone; answers from `serve` on, until it is left.

    Port 0 takes a free one; `listen` is how (`web.listen`). `url` is what to open in a browser, `redirect_uri` where
    HubSpot is to send it back. Raises SetupAddressError.
    """

    def __init__(self, port: int = PORT, *, listen: Listen = web.listen) -> None:
        self._listeners = _listen(port, listen)
        self._server: web.WebServer | None = None
        self.port: int = self._listeners[0].getsockname()[1]
        self.url = f"http://{HOST}:{self.port}/"
        self.redirect_uri = f"{self.url}oauth/callback"

    def serve(self, session: Session) -> None:
        """Answer from now on; who connected before has waited."""
        app = application(session, self.port, self.redirect_uri)
        self._server = web.WebServer(app, self._listeners, "setup")
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop answering and close the sockets; the session goes on."""
        if self._server is not None:
            self._server.stop()
        for listener in self._listeners:
            listener.close()


def _listen(port: int, listen: Listen) -> list[socket.socket]:
    """Listen at 127.0.0.1 and ::1: browsers take `localhost` for either, and nobody else may answer there."""
    for _ in range(1 if port else _ATTEMPTS):
        try:
            first = listen("127.0.0.1", port)
        except OSError as error:
            raise _refused(port, error) from error
        try:
            return [first, listen("::1", first.getsockname()[1])]
        except OSError as error:
            if error.errno in _ABSENT:
                return [first]
            first.close()
            taken = error
    raise _refused(port, taken) from taken


def _refused(port: int, error: OSError) -> SetupAddressError:
    return SetupAddressError(
        f"--port: the setup must be able to listen on {HOST} port {port}, but: {error.strerror}. Stop what uses it, or "
        f"name another port with --port; then http://{HOST}:PORT/oauth/callback must be a redirect URL of the app."
    )
