"""HubSpot's calls about lists themselves, for one account, as a person at a terminal waits for them.

A call that fails for a passing reason is tried again, twice and within seconds. A list whose creation got no answer is
not asked for twice: HubSpot may have made it.
"""

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import quote

import httpx

from consumer.errors import ConsumerError
from consumer.hubspot import answers, tokens
from consumer.hubspot.client import LISTS, NEVER_LEFT
from consumer.hubspot.oauth import CALL, TOKEN_PATH, Call, OAuth, RefreshError
from consumer.hubspot.transport import make_client
from consumer.outcomes import UNREADABLE, Details, ListFacts, Recoverable, Scope, Terminal
from consumer.secret import Secret

CONTACTS = "0-1"  # HubSpot's object type of contacts
KINDS = ("MANUAL", "SNAPSHOT")  # the processing types of lists whose members can be set
ACTIVE = "DYNAMIC"  # and of those whose members HubSpot finds itself
PAGE = 500  # the most that a search gives at once
PAUSES = (1.0, 2.0)  # seconds before the second and the third attempt
LONGEST_PAUSE = 15.0  # where HubSpot asks for more than this, the person is told instead
DUPLICATE = "ILS.DUPLICATE_LIST_NAMES"

_REMEDIES = {
    "INVALID_GRANT": "Authorize the account anew and put the new refresh token in its place",
    "UNAUTHORIZED": "Check client_id and client_secret, or authorize the account anew",
    "FORBIDDEN": "Grant the app its four scopes and authorize the account anew",
    "LIST_NOT_FOUND": "Check list_id: HubSpot's pages also show other ids of a list",
    "429": "HubSpot's limit is reached: try again later",
    "timeout": "Check the network and hubspot.base_url, or try again",
    "connection_error": "Check the network and hubspot.base_url, or try again",
    **dict.fromkeys((UNREADABLE, "UNREADABLE_ANSWER"), "Check hubspot.base_url"),
}
_ANY_REMEDY = "Try again later; HubSpot's support can say more of the correlation id"


@dataclass(frozen=True, slots=True)
class ContactList:
    """A list, as HubSpot tells of it. `size` may not be told; `unusable` is why it cannot be kept aligned."""

    list_id: int
    name: str
    size: int | None = None
    unusable: str | None = None


class CallFailed(ConsumerError):  # noqa: N818 - the name says what is the case
    """HubSpot did not do what it was asked.

    `reason` is as of a retry or a dead letter. `wait`: seconds after which it may work; None where a person should not
    wait. `late`: the call may have taken effect all the same.
    """

    def __init__(
        self, verdict: Recoverable | Terminal, *, sub_category: str | None = None, remedy: str | None = None
    ) -> None:
        passing = verdict if isinstance(verdict, Recoverable) else None
        self.verdict = verdict
        self.reason = verdict.reason
        self.wait = passing.wait if passing is not None and passing.wait <= LONGEST_PAUSE else None
        self.late = passing is not None and passing.late
        self.sub_category = sub_category
        self.told = verdict.details.in_words()
        self.remedy = remedy or _REMEDIES.get(verdict.reason, _ANY_REMEDY)
        super().__init__(f"{self.told}. {self.remedy}.")


class NameTaken(ConsumerError):  # noqa: N818 - the name says what is the case
    """There is a list of this name already: `holder`, None if HubSpot does not show which."""

    def __init__(self, name: str, holder: ContactList | None) -> None:
        if holder is None:
            which, remedy = "another list", "Take another name"
        elif holder.unusable is None:
            which, remedy = f"list {holder.list_id}", f"Take another name, or attach list {holder.list_id}"
        else:
            which, remedy = f"list {holder.list_id}, which is no manual contact list", "Take another name"
        super().__init__(f"the name {name!r} is taken by {which}. {remedy}.")
        self.holder = holder


class ListsClient:
    """Asks HubSpot for one account. `sleep` waits for so many seconds between two attempts; `ca`: NetworkTransport."""

    def __init__(
        self,
        base_url: str,
        timeout: float,
        auth: OAuth,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        ca: str | None = None,
    ) -> None:
        self._auth = auth
        self._sleep = sleep
        self._client = make_client(base_url, timeout, transport, ca)

    def scopes(self, client_id: str, client_secret: Secret) -> frozenset[str]:
        """Give the scopes of the access token, which is renewed first. Raises CallFailed."""
        path = f"{TOKEN_PATH}/introspect"
        answer = _object(self._call("POST", path, auth=_Introspection(self._auth, client_id, client_secret)))
        granted = tokens.scopes(answer)
        if answer.get("active") is not True or granted is None:
            details = Details(message="HubSpot does not know the access token that it gave")
            raise CallFailed(Terminal(details, "UNAUTHORIZED", Scope.ACCOUNT))
        return granted

    def search(self, text: str = "", *, active: bool = False, at_most: int | None = None) -> Iterator[ContactList]:
        """Yield the contact lists whose members can be set and whose names contain `text`. Raises CallFailed.

        `active`: also those that HubSpot fills itself, which are `unusable`. `at_most` so many, and no page beyond.
        """
        return islice(self._search(text, (*KINDS, ACTIVE) if active else KINDS, at_most or PAGE), at_most)

    def _search(self, text: str, kinds: Sequence[str], count: int) -> Iterator[ContactList]:
        wanted: dict[str, Any] = {
            "count": min(count, PAGE),
            "processingTypes": list(kinds),
            "objectTypeId": CONTACTS,
        }
        if text:
            wanted["query"] = text
        offset: int | None = 0
        while offset is not None:
            page = _object(self._call("POST", f"{LISTS}/search", {**wanted, "offset": offset}))
            found, following = page.get("lists"), page.get("offset")
            if not isinstance(found, list):
                raise _unreadable()
            yield from map(_described, found)
            further = page.get("hasMore") is True and isinstance(following, int) and following > offset
            offset = following if further else None

    def get(self, list_id: int) -> ContactList:
        """Give one list, also one that was deleted. Raises CallFailed, with LIST_NOT_FOUND if there is none."""
        return _list(self._call("GET", f"{LISTS}/{list_id}"))

    def named(self, name: str) -> ContactList | None:
        """Give the contact list of a name, whatever the case; None if there is none. Raises CallFailed."""
        response = self._find(f"{LISTS}/object-type-id/{CONTACTS}/name/{quote(name, safe='')}")
        return None if response is None else _list(response)

    def present_id(self, legacy_id: int) -> int | None:
        """Give the id of a list whose id of HubSpot's first API is known; None if there is none. Raises CallFailed."""
        response = self._find(f"{LISTS}/idmapping?legacyListId={legacy_id}")
        return None if response is None else answers.record_number(_object(response).get("listId"))

    def create(self, name: str) -> ContactList:
        """Make an empty manual contact list. Raises NameTaken and CallFailed."""
        wanted = {"name": name, "objectTypeId": CONTACTS, "processingType": "MANUAL"}
        try:
            return _list(self._call("POST", f"{LISTS}/", wanted, makes=True))
        except CallFailed as failed:
            if failed.sub_category == DUPLICATE:
                raise NameTaken(name, self.named(name)) from failed
            if failed.late:
                remedy = "HubSpot may have made the list: look for it before you try again"
                raise CallFailed(failed.verdict, remedy=remedy) from failed
            raise

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _find(self, path: str) -> httpx.Response | None:
        try:
            return self._call("GET", path)
        except CallFailed as failed:
            if failed.reason == "LIST_NOT_FOUND":
                return None
            raise

    def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        makes: bool = False,
        auth: httpx.Auth | None = None,
    ) -> httpx.Response:
        """Give the answer of a call that succeeds at last. What `makes` something must not take effect twice."""
        request = self._client.build_request(method, path, json=body)
        for pause in PAUSES:
            try:
                return self._attempt(request, auth or self._auth)
            except CallFailed as failed:
                if failed.wait is None or (makes and failed.late):
                    raise
                self._sleep(max(pause, failed.wait))
        return self._attempt(request, auth or self._auth)

    def _attempt(self, request: httpx.Request, auth: httpx.Auth) -> httpx.Response:
        request.extensions[CALL] = call = Call()
        try:
            response = self._client.send(request, auth=auth)
        except RefreshError as error:
            raise CallFailed(error.verdict) from error
        except httpx.TransportError as error:
            reason = "timeout" if isinstance(error, httpx.TimeoutException) else "connection_error"
            left = not (call.refreshing or isinstance(error, NEVER_LEFT))
            message = f"there was no answer ({type(error).__name__}: {error})"
            raise CallFailed(answers.no_answer(reason, sent=left, message=message)) from error
        if not response.is_success:
            verdict = answers.refusal(response.status_code, response.headers, response.content)
            raise CallFailed(verdict, sub_category=_sub_category(response))
        return response


class _Introspection(httpx.Auth):
    """The flow of OAuth up to the request, which then carries the access token as what it asks about."""

    def __init__(self, oauth: OAuth, client_id: str, client_secret: Secret) -> None:
        self._oauth = oauth
        self._form = {"client_id": client_id, "token_type_hint": "access_token"}
        self._client_secret = client_secret

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Renew the token if it is due, then ask what it may do. Raises RefreshError."""
        flow = self._oauth.sync_auth_flow(request)
        renewal = next(flow)
        while renewal is not request:
            renewal = flow.send((yield renewal))
        token = request.headers["Authorization"].removeprefix("Bearer ")
        form = {**self._form, "client_secret": self._client_secret.reveal(), "token": token}
        yield httpx.Request("POST", request.url, data=form, extensions=request.extensions)


def _list(response: httpx.Response) -> ContactList:
    answer = _object(response)
    return _described(answer.get("list", answer))


def _described(described: object) -> ContactList:
    """Read one list. Raises CallFailed where it is none."""
    facts = answers.list_answer(httpx.codes.OK, {}, json.dumps(described).encode())
    list_id = answers.record_number(described.get("listId")) if isinstance(described, dict) else None
    if not isinstance(facts, ListFacts) or not isinstance(described, dict) or list_id is None:
        raise _unreadable()
    return ContactList(list_id, facts.name, facts.size, facts.unusable)


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise _unreadable()
    return answer


def _unreadable() -> CallFailed:
    return CallFailed(Terminal(Details(message="HubSpot's answer cannot be read"), UNREADABLE, Scope.BATCH))


def _sub_category(response: httpx.Response) -> str | None:
    try:
        said = _object(response).get("subCategory")
    except CallFailed:
        return None
    return said if isinstance(said, str) else None
