"""HubSpot's calls for one account: one attempt per call, no retry, no Kafka, no metrics.

Calls are httpx's, and go straight to its transport, through the flow of its authentication. There is no client of httpx
between, whose cookies, redirects, hooks and relative URLs nobody here has a use for: they cost more than the rest.

httpx's errors are told apart here and nowhere else: did the request leave, and was there no answer in time or none at
all?
"""

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx

from consumer import __version__
from consumer.hubspot import answers
from consumer.hubspot.network import NetworkTransport
from consumer.hubspot.oauth import CALL, Call, OAuth, RefreshError, WithdrawnError
from consumer.hubspot.transport import BoundedTransport
from consumer.outcomes import Answer, Applied, Details, ListFacts, NotSent, Recoverable, Refresh, Request, Verdict
from consumer.permit import Permit
from consumer.reads import ContactsRequest, Found, PageRequest, ReadAnswer, ReadRequest

LISTS = "/crm/lists/2026-03"
CONTACTS = "/crm/objects/2026-03/contacts"
PAGE = 250  # members that HubSpot gives at once, at most

_HEADERS = {"Accept": "*/*", "User-Agent": f"hubspot-list-sync/{__version__}"}
_HEADERS_OF_JSON = {**_HEADERS, "Content-Type": "application/json"}

NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


@dataclass(slots=True)
class _Attempt:
    """What is known so far of the calls of one request."""

    may_refresh: bool
    statuses: list[str] = field(default_factory=list)
    refreshes: list[Refresh] = field(default_factory=list)
    remaining: int | None = None
    facts: ListFacts | None = None


class HubSpotClient:
    """Talks to HubSpot for one account; any number of threads may use it.

    `wall` gives seconds since 1970; `ca` holds the certificates (PEM) of the authorities to trust instead of the usual.
    """

    def __init__(
        self,
        base_url: str,
        timeout: float,
        auth: OAuth,
        *,
        transport: httpx.BaseTransport | None = None,
        wall: Callable[[], float] = time.time,
        ca: str | None = None,
    ) -> None:
        self.auth = auth
        self._wall = wall
        self._base_url = base_url.rstrip("/")
        self._timeout = httpx.Timeout(timeout).as_dict()
        self._transport = BoundedTransport(transport or NetworkTransport(timeout, ca), timeout)

    def perform(self, request: Request, permit: Permit) -> Answer:
        """Look at the list if `request` asks for it, then send its memberships if it has any."""
        attempt = _Attempt(permit.may_refresh)
        sent_at = self._wall()
        verdict = self._perform(request, permit, attempt)
        return Answer(
            request=request,
            verdict=verdict,
            sent_at=sent_at,
            answered_at=self._wall(),
            facts=attempt.facts,
            statuses=tuple(attempt.statuses),
            remaining=attempt.remaining,
            refreshes=tuple(attempt.refreshes),
        )

    def read(self, request: ReadRequest, *, may_refresh: bool = True) -> ReadAnswer:
        """Read a page of members, a list or some contacts. `may_refresh`: it may take a token refresh as well."""
        attempt = _Attempt(may_refresh)
        sent_at = self._wall()
        found = self._read(request, attempt)
        return ReadAnswer(found, sent_at, tuple(attempt.statuses), attempt.remaining, tuple(attempt.refreshes))

    def close(self) -> None:
        """Close the connections that no request is on; the others follow."""
        self._transport.close()

    def _perform(self, request: Request, permit: Permit, attempt: _Attempt) -> Verdict:
        verdict: Verdict = Applied(Details())
        if request.look:
            looked = self._look(request, attempt)
            if not isinstance(looked, ListFacts):
                return looked
            attempt.facts = looked
            if looked.unusable:
                return answers.unusable_list(looked)
        if request.adds or request.removes:
            verdict = self._change(request, permit, attempt)
        return verdict

    def _read(self, request: ReadRequest, attempt: _Attempt) -> Found:
        method, path, body = _call(request)
        response = self._send(method, path, body, None, attempt)
        if not isinstance(response, httpx.Response):
            return response
        seen = (response.status_code, response.headers, response.content)
        if isinstance(request, PageRequest):
            return answers.page_answer(request.list_id, request.above, *seen)
        return answers.contacts_answer(*seen) if isinstance(request, ContactsRequest) else answers.list_answer(*seen)

    def _look(self, request: Request, attempt: _Attempt) -> ListFacts | Verdict:
        response = self._send("GET", f"{LISTS}/{request.list_id}", None, None, attempt)
        if not isinstance(response, httpx.Response):
            return response
        return answers.list_answer(response.status_code, response.headers, response.content)

    def _change(self, request: Request, permit: Permit, attempt: _Attempt) -> Verdict:
        body = {
            "recordIdsToAdd": [str(contact) for contact in request.adds],
            "recordIdsToRemove": [str(contact) for contact in request.removes],
        }
        path = f"{LISTS}/{request.list_id}/memberships/add-and-remove"
        response = self._send("PUT", path, json.dumps(body).encode(), permit, attempt)
        if not isinstance(response, httpx.Response):
            return response
        return answers.membership_answer(request, response.status_code, response.headers, response.content)

    def _send(
        self, method: str, path: str, body: bytes | None, permit: Permit | None, attempt: _Attempt
    ) -> httpx.Response | Verdict:
        """Send one call; give its response, or what it means that there is none."""
        call = Call(permit, attempt.may_refresh and not attempt.refreshes, attempt.refreshes)
        headers = _HEADERS if body is None else _HEADERS_OF_JSON
        extensions = {"timeout": self._timeout, CALL: call}
        request = httpx.Request(method, self._base_url + path, headers=headers, content=body, extensions=extensions)
        try:
            response = self._exchange(request)
        except WithdrawnError:
            return NotSent()
        except RefreshError as error:
            return error.verdict
        except httpx.TransportError as error:
            message = f"{type(error).__name__}: {error}"
            if call.refreshing:
                attempt.refreshes.append("failed")
                return Recoverable(Details(message=message), "refresh_failed", account_wide=True)
            reason = "timeout" if isinstance(error, httpx.TimeoutException) else "connection_error"
            attempt.statuses.append(reason)
            changed = permit is not None and not isinstance(error, NEVER_LEFT)
            return answers.no_answer(reason, sent=changed, message=message)
        attempt.statuses.append(str(response.status_code))
        left = answers.remaining(response.headers)
        attempt.remaining = attempt.remaining if left is None else left
        return response

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        """Send a call, and before it what its authentication asks for; give the answer."""
        with closing(self.auth.sync_auth_flow(request)) as flow:
            following = next(flow)
            while True:
                response = self._transport.handle_request(following)
                try:
                    following = flow.send(response)
                except StopIteration:
                    return response


def _call(request: ReadRequest) -> tuple[str, str, bytes | None]:
    """Give method, path and body of a request that only reads."""
    if isinstance(request, ContactsRequest):
        wanted = {"inputs": [{"id": str(each)} for each in request.contacts], "properties": [answers.MERGED]}
        return "POST", f"{CONTACTS}/batch/read", json.dumps(wanted).encode()
    path = f"{LISTS}/{request.list_id}"
    if isinstance(request, PageRequest):
        after = "" if request.cursor is None else f"&after={quote(request.cursor, safe='')}"
        path = f"{path}/memberships?limit={PAGE}{after}"
    return "GET", path, None
