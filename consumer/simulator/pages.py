"""The pages that HubSpot shows to people: the consent page (`/oauth/authorize`), and that of a list.

As at HubSpot, what is wrong with a request for consent is told on the page itself, and the browser is not sent back;
that the portal has no tool for a scope is told once the portal was chosen. What HubSpot sends back on Cancel is not
documented: here it is what RFC 6749 asks for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from consumer.simulator.accounts import Account
from consumer.simulator.messages import Reply, Request
from consumer.simulator.oauth import OAuth, read_form

CONSENT = "/oauth/authorize"
_LIST = re.compile(r"/contacts/(?P<hub_id>[0-9]{1,19})/objectLists/(?P<list_id>[0-9]{1,19})")

_TEMPLATES = Environment(
    loader=PackageLoader("consumer.simulator"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    # No form-action: browsers hold it against redirects, too.
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
)


class _RefusedError(Exception):
    """The page says why, and the browser stays here."""


@dataclass(frozen=True)
class _Asked:
    """What a request for consent asks for; it has been checked."""

    client_id: str
    accounts: tuple[Account, ...]
    redirect_uri: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    state: str | None

    def back(self, **answer: str) -> Reply:
        """Send the browser back to the app."""
        fields = answer if self.state is None else {**answer, "state": self.state}
        mark = "&" if urlsplit(self.redirect_uri).query else "?"
        return Reply(HTTPStatus.FOUND, (("Location", f"{self.redirect_uri}{mark}{urlencode(fields)}"), *_HEADERS[1:]))


class Pages:
    """`accounts` and `oauth` are shared with the portal."""

    def __init__(self, accounts: Mapping[str, Account], oauth: OAuth) -> None:
        self._accounts = accounts
        self._oauth = oauth

    def answer(self, request: Request) -> Reply | None:
        """Answer a person's browser; None if the path is not that of a page."""
        place = _LIST.fullmatch(request.path)
        if place is None and request.path != CONSENT:
            return None
        if request.method != "GET" and not (request.method == "POST" and place is None):
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"This page does not take {request.method}.")
        if place is not None:
            return self._list(int(place["hub_id"]), int(place["list_id"]))
        try:
            asked = self._asked(dict(parse_qsl(request.query, keep_blank_values=True)))
            return _consent(asked) if request.method == "GET" else self._decided(asked, read_form(request))
        except _RefusedError as refused:
            return _refusal(HTTPStatus.BAD_REQUEST, str(refused))

    def _asked(self, query: Mapping[str, str]) -> _Asked:
        client_id = query.get("client_id", "")
        accounts = tuple(account for account in self._accounts.values() if account.client_id == client_id)
        if not accounts:
            raise _RefusedError(f"There is no app with the client_id {client_id!r}.")
        redirect_uri = query.get("redirect_uri", "")
        self._check_redirect(redirect_uri, accounts)
        required, optional = (tuple(query.get(name, "").split()) for name in ("scope", "optional_scope"))
        if not required:
            raise _RefusedError("The address asks for no scope.")
        known = set().union(*(account.app_scopes for account in accounts))
        if foreign := [scope for scope in (*required, *optional) if scope not in known]:
            raise _RefusedError(f"The app is not configured for the scopes [{', '.join(foreign)}] that it asks for.")
        return _Asked(client_id, accounts, redirect_uri, required, optional, query.get("state"))

    def _check_redirect(self, redirect_uri: str, accounts: tuple[Account, ...]) -> None:
        if not any(redirect_uri in account.redirect_uris for account in accounts):
            raise _RefusedError(f"The redirect URL {redirect_uri!r} is not one that is registered with the app.")
        url = urlsplit(redirect_uri)
        if url.scheme != "https" and (url.scheme, url.hostname) != ("http", "localhost"):
            raise _RefusedError(f"The redirect URL {redirect_uri!r} must be https, or http on localhost.")

    def _decided(self, asked: _Asked, decision: Mapping[str, str]) -> Reply:
        if decision.get("decision") != "connect":
            return asked.back(error="access_denied", error_description="The person did not grant access.")
        chosen = next((account for account in asked.accounts if account.name == decision.get("account")), None)
        if chosen is None:
            return _consent(asked, unchosen=True)
        if lacking := [scope for scope in asked.required if scope in chosen.unavailable_scopes]:
            raise _RefusedError(f"Account {chosen.name} has no access to the required scopes [{', '.join(lacking)}].")
        granted = {*asked.required, *asked.optional} - chosen.unavailable_scopes - chosen.withheld_scopes
        return asked.back(code=self._oauth.authorize(chosen, asked.redirect_uri, granted))

    def _list(self, hub_id: int, list_id: int) -> Reply:
        for account in self._accounts.values():
            found = account.lists.get(list_id)
            if account.hub_id == hub_id and found is not None and found.deleted_at is None:
                return _page(HTTPStatus.OK, "list.html", account=account, list=found)
        return _refusal(HTTPStatus.NOT_FOUND, f"Account {hub_id} has no list {list_id}.", "Not found")


def _consent(asked: _Asked, *, unchosen: bool = False) -> Reply:
    status = HTTPStatus.BAD_REQUEST if unchosen else HTTPStatus.OK
    shown = {"client_id": asked.client_id, "required": asked.required, "optional": asked.optional}
    return _page(status, "consent.html", accounts=asked.accounts, unchosen=unchosen, **shown)


def _refusal(status: HTTPStatus, told: str, heading: str = "The connection cannot be made") -> Reply:
    return _page(status, "refused.html", heading=heading, told=told)


def _page(status: HTTPStatus, template: str, **shown: object) -> Reply:
    return Reply(status, _HEADERS, _TEMPLATES.get_template(template).render(shown).encode())
