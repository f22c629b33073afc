"""OAuth with a refresh token, as an `httpx.Auth` flow: straight-line code that yields requests and gets responses.

The access token is renewed before it expires, by one worker at a time. HubSpot says a 401 is no sign that a new token
is needed; only the category EXPIRED_AUTHENTICATION is, and then the next request renews it.
"""

import math
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from consumer import log
from consumer.hubspot import answers, tokens
from consumer.outcomes import Recoverable, Refresh, Scope, Terminal
from consumer.permit import Permit
from consumer.secret import Redactor, Secret, SecretUnreadable

TOKEN_PATH = "/oauth/2026-03/token"  # noqa: S105 - a path, not a secret
RENEW_BEFORE = 300.0  # seconds before its end that a token is renewed, though never more than a sixth of its life
CALL = "consumer.call"  # the key of a Call among an httpx request's extensions

_log = log.get(__name__)


@dataclass(slots=True)
class Call:
    """What one attempt tells about itself on its way through the flow. Without a permit it asks nobody."""

    permit: Permit | None = None
    may_refresh: bool = True
    refreshes: list[Refresh] = field(default_factory=list)
    refreshing: bool = False


class WithdrawnError(Exception):
    """The permit was withdrawn before the request left, or does not cover the token refresh that it would take."""


class RefreshError(Exception):
    """There is no access token to be had; `verdict` says whether there may be one later."""

    def __init__(self, verdict: Recoverable | Terminal) -> None:
        super().__init__(verdict.details.message or verdict.reason)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class _Token:
    access: str = field(repr=False)
    renew_at: float


class OAuth(httpx.Auth):
    """The credentials of one account. `clock` gives monotonic seconds; new tokens are made known to `redactor`."""

    def __init__(
        self,
        account: str,
        token_url: str,
        client_id: str,
        client_secret: Secret,
        refresh_token: Secret,
        redactor: Redactor,
        clock: Callable[[], float],
    ) -> None:
        self._account = account
        self._token_url = token_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._secret = refresh_token
        self._redactor = redactor
        self._clock = clock
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self.hub_id: int | None = None  # of the portal, once HubSpot has told it
        self._from_file = refresh_token.reveal()
        self._newer: str | None = None  # a refresh token from HubSpot that its file does not hold

    def refresh_due(self) -> bool:
        """Tell whether the next request renews the token first. Any thread may ask."""
        token = self._token
        return token is None or self._clock() >= token.renew_at

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Renew the token if it is due, then send `request` with it. Raises RefreshError and WithdrawnError."""
        call: Call = request.extensions.get(CALL) or Call()
        with self._lock:
            token = self._token
            if token is None or self.refresh_due():
                if not call.may_refresh:
                    raise WithdrawnError
                call.refreshing = True
                token = yield from self._refresh(request, call)
                call.refreshing = False
        if call.permit is not None and not call.permit.start():
            raise WithdrawnError
        request.headers["Authorization"] = f"Bearer {token.access}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            response.read()
            verdict = answers.refusal(response.status_code, response.headers, response.content)
            if isinstance(verdict, Recoverable):
                self._expire(token)

    def _expire(self, token: _Token) -> None:
        with self._lock:
            if self._token is token:  # not one that another worker has renewed meanwhile
                self._token = replace(token, renew_at=-math.inf)

    def _refresh(self, request: httpx.Request, call: Call) -> Generator[httpx.Request, httpx.Response, _Token]:
        tried = self._refresh_token()
        while True:
            response = yield self._refresh_request(request, tried)
            response.read()
            verdict = self._meaning(response)
            if verdict is None:
                break
            # Somebody may have put a new token into the file since: before the refusal is believed, look once more.
            fresh = self._refresh_token() if isinstance(verdict, Terminal) else tried
            if fresh == tried:
                call.refreshes.append("refused" if isinstance(verdict, Terminal) else "failed")
                raise RefreshError(verdict)
            tried = fresh
        call.refreshes.append("ok")
        return self._keep(response.json(), tried)

    def _refresh_token(self) -> str:
        """Give the refresh token of the file, or HubSpot's newer one as long as the file has not changed."""
        try:
            present = self._secret.read_again()
        except SecretUnreadable as error:
            _log.warning("refresh token cannot be read again", account=self._account, problem=str(error))
            return self._newer or self._from_file
        if present != self._from_file:
            self._from_file, self._newer = present, None
            self._redactor.add(present)
        return self._newer or present

    def _refresh_request(self, request: httpx.Request, refresh_token: str) -> httpx.Request:
        form = {
            "grant_type": "refresh_token",
            "client_id": self._client_id,
            "client_secret": self._client_secret.reveal(),
            "refresh_token": refresh_token,
        }
        timeout = {key: value for key, value in request.extensions.items() if key == "timeout"}
        return httpx.Request("POST", self._token_url, data=form, extensions=timeout)

    def _keep(self, answer: dict[str, Any], used: str) -> _Token:
        """Keep the access token, and the refresh token if it is a new one."""
        if self._token is not None:
            self._redactor.forget(self._token.access)
        self._redactor.add(answer["access_token"])  # after that, for it may be the same once more
        life = float(answer["expires_in"])
        hub_id = tokens.portal(answer)
        self.hub_id = self.hub_id if hub_id is None else hub_id
        self._token = _Token(answer["access_token"], self._clock() + life - min(RENEW_BEFORE, life / 6))
        rotated = answer.get("refresh_token")
        if isinstance(rotated, str) and rotated and rotated != used:
            self._redactor.add(rotated)
            if self._secret.write(rotated):
                self._from_file, self._newer = rotated, None
            else:
                self._newer = rotated
                _log.warning(
                    "new refresh token kept in memory only",
                    account=self._account,
                    problem=f"{self._secret.place} cannot be written; after a restart the old token may be refused",
                )
        return self._token

    def _meaning(self, response: httpx.Response) -> Recoverable | Terminal | None:
        """Say what the token endpoint's answer means; None if it holds a token."""
        details = tokens.details(response, self._redactor)
        if response.is_success:
            usable = tokens.holds_token(tokens.json_object(response))
            return None if usable else Recoverable(details, "refresh_failed", account_wide=True)
        if tokens.passes(response):
            said = answers.refusal(response.status_code, response.headers, response.content)
            wait = said.wait if isinstance(said, Recoverable) else 0.0
            return Recoverable(details, "refresh_failed", wait=wait, account_wide=True)
        return Terminal(details, "INVALID_GRANT", Scope.ACCOUNT)
