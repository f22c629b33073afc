"""Who may use the setup's pages: the one browser that came first, and no page of anybody else's.

Whatever a web page can make a browser send is refused:

- A name that was bent to this machine (DNS rebinding) stands in `Host`, which must be `localhost:PORT`.
- A form of another site has no token, and its browser tells where it comes from (`Origin`, `Sec-Fetch-Site`).
- A picture, frame or script of another site brings no cookie (SameSite), and its browser says that it is no navigation.

The cookie goes to the browser that first opens the start page, and to no other: another program of this machine, or
somebody who guesses the port, comes too late. HubSpot sends the person back by a navigation, which brings the cookie.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

HOST: Final = "localhost"  # the only host to which HubSpot redirects without TLS
START: Final = "/"
TOKEN: Final = "token"  # noqa: S105 - the field of a form that carries the token
MAX_BODY: Final = 64 * 1024  # bytes of a request; the longest form has some hundred

_HTTP: Final = 80  # a browser leaves this port out


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered: status, what is the case, what to do. `elsewhere`: where to go instead."""

    status: int
    told: str
    remedy: str
    elsewhere: str | None = None


class Gate:
    """Looks at each request to the pages at `port`; what lies at `open_paths` is for everybody, by whatever name."""

    def __init__(self, port: int, open_paths: frozenset[str]) -> None:
        self.host = HOST if port == _HTTP else f"{HOST}:{port}"
        self.token = secrets.token_urlsafe(32)
        self._cookie = f"hubspot-list-sync-{port}"  # ports share their cookies
        self._session = secrets.token_urlsafe(32)
        self._open_paths = open_paths
        self._handed_out = False

    @property
    def origin(self) -> str:
        """What the pages call themselves."""
        return f"http://{self.host}"

    def refused(self, request: Request) -> Refusal | None:
        """Say why a request is not answered, None if it is."""
        if _path(request) in self._open_paths:
            return None
        if request.headers.get("host", "").lower() != self.host:
            told = "The setup is not known by this name"
            return Refusal(421, told, f"Open {self.origin}/ in a browser on the machine that it runs on")
        if self._is_foreign(request):
            return Refusal(403, "Another page has sent this", f"Open {self.origin}/ and do it there")
        if self._knows(request) or self._is_first(request):
            return None
        if request.method in {"GET", "HEAD"} and _path(request) != START:
            # What another site sends a browser to may carry a code: that leaves the address.
            return Refusal(303, "The setup begins with its start page", "Go there", START)
        remedy = "Go on in the browser where you began, or stop the command and start it again to begin anew"
        return Refusal(403, "Another browser leads this setup", remedy)

    def cookie_for(self, request: Request) -> str | None:
        """Return what to set as a cookie with the answer: the session, for the browser that comes first."""
        if self._knows(request) or not self._is_first(request):
            return None
        self._handed_out = True
        return f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Lax"

    def vouches(self, form: Mapping[str, str]) -> bool:
        """Tell whether a form is one that these pages have shown."""
        return _same(form.get(TOKEN, ""), self.token)

    def _knows(self, request: Request) -> bool:
        return _same(request.cookies.get(self._cookie, ""), self._session)

    def _is_first(self, request: Request) -> bool:
        return not self._handed_out and request.method == "GET" and _path(request) == START

    def _is_foreign(self, request: Request) -> bool:
        """Tell whether another site made the browser send this; what is no browser does not say."""
        site = request.headers.get("sec-fetch-site", "none")
        if request.method in {"GET", "HEAD"}:
            navigates = request.headers.get("sec-fetch-mode") == "navigate"
            on_its_own = request.headers.get("sec-fetch-dest") == "document"
            return site not in {"none", "same-origin"} and not (navigates and on_its_own)
        # `Origin` is `null` in posts of our own forms, too: that is what Referrer-Policy: no-referrer makes of it.
        return site not in {"none", "same-origin"} or request.headers.get("origin", "null") not in {"null", self.origin}


def _path(request: Request) -> str:
    """Return the path by which a page is found. That of `request.url` is read from a text that begins with `Host`."""
    path: str = request.scope["path"]
    return path


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
