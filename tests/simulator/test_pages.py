"""What people see of HubSpot: the consent page, and the page of a list."""

from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Unpack
from urllib.parse import parse_qs, urlencode

import pytest

from consumer.simulator import SCOPES, ContactList, Fault, Portal, Reply, Request
from tests.simulator.caller import LISTS, TOKEN, Caller, Settings, acme, caller

CONSENT = "/oauth/authorize"
REDIRECT = "http://localhost:8765/oauth/callback"
SCOPE = " ".join(SCOPES)
HOSTILE = "<script>alert('&\"')</script>"


class Page(HTMLParser):
    """A page: its visible `text`, and the attributes of its elements by name."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.text = ""
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        assert reply.header("Content-Type") == "text/html; charset=utf-8"
        self.feed(reply.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of a name."""
        return [attributes for name, attributes in self.elements if name == tag]


@dataclass
class Browser:
    """A person's browser at the consent page of app `app`."""

    portal: Portal

    def ask(self, **fields: str) -> Reply:
        """Open the page, with what the app would ask for where `fields` says nothing else."""
        return self._send("GET", fields)

    def decide(self, decision: str = "connect", account: str = "acme", **fields: str) -> Reply:
        """Press a button."""
        return self._send("POST", fields, urlencode({"account": account, "decision": decision}).encode())

    def _send(self, method: str, fields: dict[str, str], body: bytes = b"") -> Reply:
        asked = {"client_id": "app", "redirect_uri": REDIRECT, "scope": SCOPE, "state": "s 1&2"} | fields
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        return self.portal.handle(Request(method, CONSENT, urlencode(asked), headers, body), 0.0)


def browser(**settings: Unpack[Settings]) -> Browser:
    """Give a browser at a portal with account `acme`, which has not been authorized."""
    asked: Settings = {"refresh_token": None, "redirect_uris": {REDIRECT}, **settings}
    return Browser(Portal([acme(**asked)]))


def sent_back(reply: Reply) -> dict[str, list[str]]:
    """Give the parameters with which the browser was sent back to the app."""
    assert reply.status == 302
    address, _, query = (reply.header("Location") or "").partition("?")
    assert address == REDIRECT
    return parse_qs(query, keep_blank_values=True, strict_parsing=True)


def redeem(portal: Portal, reply: Reply, redirect_uri: str = REDIRECT) -> Reply:
    """Let the app turn the code of an answer into tokens."""
    [code] = sent_back(reply)["code"]
    return Caller(portal).form(TOKEN, grant_type="authorization_code", code=code, redirect_uri=redirect_uri)


def test_the_consent_page_can_be_used_by_everyone() -> None:
    """The page names app, scopes and account, has a label for every choice and says what it is."""
    reply = browser().ask(optional_scope="crm.lists.read")
    page = Page(reply)
    assert reply.status == 200
    for part in ("app", *SCOPES, "crm.lists.read (optional)", "acme", "1001", "Simulated HubSpot"):
        assert part in page.text
    assert page.all("html") == [{"lang": "en"}]
    assert [button["value"] for button in page.all("button")] == ["connect", "cancel"]
    assert [each["name"] for each in page.all("input")] == ["account"]
    assert len(page.all("label")) == len(page.all("input")) == len(page.all("legend")) == len(page.all("h1")) == 1
    assert page.all("script") == []


def test_only_a_connection_needs_an_account() -> None:
    """The browser itself asks for the account that is missing; who cancels need not choose one."""
    page = Page(browser().ask())
    assert ["required" in each for each in page.all("input")] == [True]
    assert ["formnovalidate" in each for each in page.all("button")] == [False, True]


def test_the_page_asks_for_nothing_else() -> None:
    """No icon, style or script is fetched, and the page is neither kept nor told to others."""
    reply = browser().ask()
    assert [link["href"] for link in Page(reply).all("link")] == ["data:,"]
    assert "default-src 'none'" in (reply.header("Content-Security-Policy") or "")
    assert (reply.header("Cache-Control"), reply.header("Referrer-Policy")) == ("no-store", "no-referrer")


def test_consent_gives_a_code_and_the_code_tokens() -> None:
    """Connect sends the browser back with a code and the state; the code gives tokens that work, once."""
    person = browser()
    reply = person.decide()

    assert sent_back(reply).keys() == {"code", "state"}
    assert sent_back(reply)["state"] == ["s 1&2"]
    tokens = redeem(person.portal, reply).json()
    assert (tokens["hub_id"], tokens["scopes"]) == (1001, sorted(SCOPES))
    hubspot = Caller(person.portal)
    hubspot.token = tokens["access_token"]
    assert hubspot.put(["1"]).status == 200
    assert hubspot.refresh(tokens["refresh_token"]).status == 200
    assert redeem(person.portal, reply).json()["status"] == "BAD_AUTH_CODE"


def test_a_code_is_for_its_redirect() -> None:
    """The code of a consent is refused for another redirect, although that is registered as well."""
    other = "http://localhost:9999/"
    person = browser(redirect_uris={REDIRECT, other})
    assert redeem(person.portal, person.decide(), other).json()["status"] == "BAD_REDIRECT_URI"


def test_a_redirect_keeps_its_own_parameters() -> None:
    """What the redirect has behind its `?` stays there."""
    person = browser(redirect_uris={f"{REDIRECT}?a=1"})
    reply = person.decide(redirect_uri=f"{REDIRECT}?a=1")
    assert sent_back(reply).keys() == {"a", "code", "state"}


def test_cancel_sends_the_browser_back_without_a_code() -> None:
    """Cancel tells the app that access was denied, with the state; so does a form without a decision."""
    person = browser()
    for decision in ("cancel", ""):
        answer = sent_back(person.decide(decision))
        assert answer.keys() == {"error", "error_description", "state"}
        assert (answer["error"], answer["state"]) == (["access_denied"], ["s 1&2"])


def test_without_a_state_none_comes_back() -> None:
    """A state is not made up."""
    person = browser()
    asked = urlencode({"client_id": "app", "redirect_uri": REDIRECT, "scope": SCOPE})
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = person.portal.handle(Request("POST", CONSENT, asked, form, b"account=acme&decision=connect"), 0.0)
    assert sent_back(reply).keys() == {"code"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"client_id": "nobody"}, "no app with the client_id 'nobody'"),
        ({"client_id": ""}, "no app with the client_id ''"),
        ({"redirect_uri": ""}, "redirect URL '' is not one that is registered"),
        ({"redirect_uri": REDIRECT + "/"}, "is not one that is registered"),
        ({"redirect_uri": "http://127.0.0.1:8765/oauth/callback"}, "must be https, or http on localhost"),
        ({"redirect_uri": "http://localhost.example/"}, "must be https, or http on localhost"),
        ({"redirect_uri": "ftp://localhost/"}, "must be https, or http on localhost"),
        ({"scope": ""}, "asks for no scope"),
        ({"scope": f"{SCOPE} tickets"}, "not configured for the scopes [tickets]"),
        ({"scope": "crm.lists.read,crm.lists.write"}, "not configured for the scopes [crm.lists.read,crm.lists.write]"),
        ({"optional_scope": "automation"}, "not configured for the scopes [automation]"),
    ],
)
def test_a_wrong_request_is_told_on_the_page(fields: dict[str, str], told: str) -> None:
    """What the app did wrong is told to the person; the browser is sent nowhere, whatever button is pressed."""
    registered = {REDIRECT, "http://127.0.0.1:8765/oauth/callback", "http://localhost.example/", "ftp://localhost/"}
    person = browser(redirect_uris=registered)
    for reply in (person.ask(**fields), person.decide(**fields), person.decide("cancel", **fields)):
        assert reply.status == 400
        assert reply.header("Location") is None
        assert told in Page(reply).text


def test_a_redirect_must_be_registered() -> None:
    """An app with which no redirect is registered cannot be connected."""
    assert "is not one that is registered" in Page(browser(redirect_uris=set()).ask()).text


def test_an_https_redirect_is_taken() -> None:
    """A redirect to any host is fine with https."""
    address = "https://setup.example/callback"
    person = browser(redirect_uris={address})
    assert (person.decide(redirect_uri=address).header("Location") or "").startswith(f"{address}?code=")


def test_a_portal_without_the_lists_tool() -> None:
    """A portal that has no lists is refused once it is chosen, with the scopes by name; others are not."""
    person = browser(unavailable_scopes={"crm.lists.read", "crm.lists.write"})
    person.portal.add_account(acme(name="large", hub_id=2002, refresh_token=None))

    assert person.ask().status == 200
    refused = person.decide()
    assert (refused.status, refused.header("Location")) == (400, None)
    assert "acme has no access to the required scopes [crm.lists.read, crm.lists.write]" in Page(refused).text
    assert redeem(person.portal, person.decide(account="large")).json()["hub_id"] == 2002


def test_an_optional_scope_that_the_portal_has_no_tool_for() -> None:
    """What is optional is left away without a word."""
    person = browser(unavailable_scopes={"crm.lists.write"})
    reply = person.decide(scope="crm.lists.read", optional_scope="crm.lists.write crm.objects.contacts.read")
    assert redeem(person.portal, reply).json()["scopes"] == ["crm.lists.read", "crm.objects.contacts.read"]


def test_a_portal_that_has_lost_the_lists_tool() -> None:
    """A token goes on telling its scopes, and calls that need the tool are answered 403, which names them."""
    hubspot = caller(unavailable_scopes={"crm.lists.write"})

    refused = hubspot.put(["1"])

    assert hubspot.form(f"{TOKEN}/introspect", token=hubspot.token).json()["scopes"] == sorted(SCOPES)
    assert (refused.status, refused.json()["category"]) == (403, "MISSING_SCOPES")
    context = refused.json()["errors"][0]["context"]
    assert context == {"requiredGranularScopes": ["crm.lists.read", "crm.lists.write"]}
    assert hubspot.send("GET", f"{LISTS}/10").status == 200


def test_fewer_scopes_than_asked_for() -> None:
    """Where so set, a scope is not granted: the token's scopes tell it, and so do calls that need it."""
    person = browser(withheld_scopes={"crm.lists.write"})
    tokens = redeem(person.portal, person.decide()).json()
    hubspot = Caller(person.portal)
    hubspot.token = tokens["access_token"]
    assert set(SCOPES) - set(tokens["scopes"]) == {"crm.lists.write"}
    assert (hubspot.send("GET", f"{LISTS}/10").status, hubspot.put(["1"]).status) == (200, 403)


def test_a_new_consent_grants_anew() -> None:
    """What was asked for last is what is granted, and only once the code was redeemed."""
    person = browser()
    reply = person.decide(scope="crm.lists.read")
    assert person.portal.accounts["acme"].scopes == set(SCOPES)
    redeem(person.portal, reply)
    assert person.portal.accounts["acme"].scopes == {"crm.lists.read"}
    redeem(person.portal, person.decide())
    assert person.portal.accounts["acme"].scopes == set(SCOPES)


def test_a_revoked_token_is_replaced_by_a_new_consent() -> None:
    """After the refresh token was revoked, a new consent gives one that works; the old one stays useless."""
    person = browser(refresh_token="refresh-1")
    hubspot = Caller(person.portal)
    hubspot.form(f"{TOKEN}/revoke", token="refresh-1")

    fresh = redeem(person.portal, person.decide()).json()["refresh_token"]

    assert hubspot.refresh(fresh).status == 200
    assert hubspot.refresh("refresh-1").json()["status"] == "BAD_REFRESH_TOKEN"


def test_several_portals_of_one_app() -> None:
    """All portals of the app are shown, none is chosen beforehand, and the tokens are those of the one that was."""
    person = browser()
    person.portal.add_account(acme(name="second", hub_id=2002, refresh_token=None))
    person.portal.add_account(acme(name="foreign", client_id="app-2"))

    choices = Page(person.ask()).all("input")
    assert [each["value"] for each in choices] == ["acme", "second"]
    assert all("checked" not in each for each in choices)
    assert "checked" in Page(browser().ask()).all("input")[0]
    for wrong in ("", "foreign"):
        unchosen = person.decide(account=wrong)
        assert (unchosen.status, unchosen.header("Location")) == (400, None)
        assert "Choose an account." in Page(unchosen).text
    assert "Choose an account." not in Page(person.ask()).text
    assert redeem(person.portal, person.decide(account="second")).json()["hub_id"] == 2002


def test_what_people_look_at_is_no_call_of_the_app() -> None:
    """Pages are no violation, spend no quota, meet no fault, and neither log nor counts tell of them."""
    person = browser(quota=1)
    person.portal.inject(Fault("unavailable"))
    for _ in range(3):
        assert person.ask().status == 200
    person.decide("cancel")
    person.ask(client_id="nobody")

    assert (person.portal.log, person.portal.statuses) == ([], {})
    person.portal.assert_clean()
    person.portal.heal_all()
    assert redeem(person.portal, person.decide()).status == 200


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", CONSENT), ("DELETE", CONSENT), ("POST", "/contacts/1001/objectLists/10")]
)
def test_pages_take_what_browsers_send(method: str, path: str) -> None:
    """Other methods are not allowed."""
    reply = browser().portal.handle(Request(method, path), 0.0)
    assert reply.status == 405


def test_the_page_of_a_list() -> None:
    """The address under which HubSpot shows a list shows its name and size; others are not found."""
    person = browser()
    account = person.portal.accounts["acme"]
    account.add_list(ContactList(11, HOSTILE, members=[1, 2]))
    account.add_list(ContactList(12, "Gone", deleted_at=0.0))

    shown = person.portal.handle(Request("GET", "/contacts/1001/objectLists/11"), 0.0)

    assert shown.status == 200
    assert HOSTILE in Page(shown).text
    assert "2 members" in Page(shown).text
    for missing in ("1001/objectLists/12", "1001/objectLists/99", "1002/objectLists/10"):
        assert person.portal.handle(Request("GET", f"/contacts/{missing}"), 0.0).status == 404


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "scope", "optional_scope"])
def test_text_of_the_address_stays_text(name: str) -> None:
    """Whatever the address holds, the page shows it and runs nothing of it."""
    page = Page(browser().ask(**{name: HOSTILE.replace(" ", "")}))
    assert page.all("script") == []
    assert "script" in page.text


def test_the_form_goes_to_the_address_of_its_page() -> None:
    """What was asked for is still there when a button is pressed."""
    [form] = Page(browser().ask()).all("form")
    assert form == {"method": "post"}
