"""A small client of a Portal, and the account that most tests use."""

import json
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import TypedDict, Unpack
from urllib.parse import urlencode

from consumer.simulator import Account, ContactList, Portal, Reply, Request

LISTS = "/crm/lists/2026-03"
TOKEN = "/oauth/2026-03/token"
FIRST_REFRESH_TOKEN = "refresh-1"


class Settings(TypedDict, total=False):
    """What a test may ask of an account; see Account."""

    name: str
    client_id: str
    client_secret: str
    refresh_token: str | None
    hub_id: int
    scopes: set[str]
    redirect_uris: set[str]
    app_scopes: set[str]
    unavailable_scopes: set[str]
    withheld_scopes: set[str]
    contacts: Container[int] | Callable[[int], bool]
    merged: dict[int, int]
    quota: int | None
    search_quota: int | None
    daily_quota: int | None
    midnight: float


def acme(**more: Unpack[Settings]) -> Account:
    """Account `acme` with contacts 1 to 1000 and an empty manual list 10."""
    settings: Settings = {
        "name": "acme",
        "client_id": "app",
        "client_secret": "hush",
        "refresh_token": FIRST_REFRESH_TOKEN,
        "contacts": range(1, 1001),
        "quota": None,
        "search_quota": None,
    }
    settings.update(more)
    account = Account(**settings)
    account.add_list(ContactList(10, "VIP"))
    return account


@dataclass
class Caller:
    """Sends requests at `now` with a token that works."""

    portal: Portal
    now: float = 0.0
    account: str = "acme"
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = self.portal.issue_token(self.account, self.now)

    @property
    def vip(self) -> ContactList:
        """List 10."""
        return self.portal.accounts[self.account].lists[10]

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """Send any request; what is not bytes goes as JSON."""
        path, _, query = path.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.portal.handle(Request(method, path, query, sent, raw), self.now)

    def put(self, add: list[str], remove: list[str] | None = None, list_id: int | str = 10) -> Reply:
        """Change the members of a list."""
        body = {"recordIdsToAdd": add, "recordIdsToRemove": remove or []}
        return self.send("PUT", f"{LISTS}/{list_id}/memberships/add-and-remove", body)

    def form(self, path: str, **fields: str) -> Reply:
        """Send an OAuth form with the app's id and secret, unless `fields` says otherwise."""
        filled = {"client_id": "app", "client_secret": "hush"} | fields
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self.portal.handle(Request("POST", path, "", headers, urlencode(filled).encode()), self.now)

    def refresh(self, refresh_token: str = FIRST_REFRESH_TOKEN) -> Reply:
        """Ask for a new access token."""
        return self.form(TOKEN, grant_type="refresh_token", refresh_token=refresh_token)


def caller(portal: Portal | None = None, **settings: Unpack[Settings]) -> Caller:
    """Return a caller of `portal`, to which an account like `acme` is added."""
    portal = portal or Portal()
    account = portal.add_account(acme(**settings))
    return Caller(portal, account=account.name)
