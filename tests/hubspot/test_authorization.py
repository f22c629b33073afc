"""What comes of a person's consent, on a simulated portal."""

import traceback
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.hubspot.authorization import AuthorizationClient, AuthorizationFailed, TokenFacts, consent_address
from consumer.secret import HIDDEN, Redactor, Secret
from consumer.simulator import SCOPES, Account, Fault, Portal
from consumer.simulator.transport import PortalTransport
from tests.fakes.clock import ScriptedClock
from tests.hubspot.world import BASE_URL, TIMEOUT, Reply, Wire
from tests.simulator.caller import FIRST_REFRESH_TOKEN, TOKEN, acme

REDIRECT = "http://localhost:8765/oauth/callback"
INTROSPECT = f"{TOKEN}/introspect"


class Asked:
    """A portal whose account `acme` nobody has authorized yet, and a client of its app."""

    def __init__(self, client_id: str = "app", client_secret: str = "hush") -> None:  # noqa: S107 - a simulated one
        self.account: Account = acme(refresh_token=None, redirect_uris={REDIRECT})
        other = acme(name="other", client_id="app-2", client_secret="hush-2", refresh_token="refresh-2")
        self.portal = Portal([self.account, other])
        clock = ScriptedClock()
        self.wire = Wire(PortalTransport(self.portal, clock.monotonic, clock.advance))
        self.redactor = Redactor()
        self.browser = httpx.Client(transport=PortalTransport(self.portal, clock.monotonic))
        self.client = AuthorizationClient(
            BASE_URL, TIMEOUT, client_id, Secret(client_secret), self.redactor, transport=self.wire
        )

    def consent(self) -> str:
        """Open the consent page, press Connect, and give the code that the browser is sent back with."""
        address = consent_address(BASE_URL, "app", REDIRECT, SCOPES, "state")
        assert self.browser.get(address).status_code == httpx.codes.OK
        back = self.browser.post(address, data={"account": "acme", "decision": "connect"}).headers["Location"]
        assert back.startswith(f"{REDIRECT}?")
        [code], [state] = parse_qs(urlsplit(back).query).values()
        assert state == "state"
        return code

    def failure(self, code: str | None = None, redirect_uri: str = REDIRECT) -> AuthorizationFailed:
        """Redeem a code, which fails, and give the error."""
        with pytest.raises(AuthorizationFailed) as failed:
            self.client.redeem(code or self.portal.authorize("acme", REDIRECT), redirect_uri)
        return failed.value


@pytest.fixture
def asked() -> Iterator[Asked]:
    """Yield a portal and a client of it."""
    made = Asked()
    with closing(made.client):
        yield made
    made.portal.assert_clean()


def test_the_address_of_the_consent_page() -> None:
    """The address names app, redirect, scopes (with spaces between, as %20) and state."""
    address = consent_address("https://app.hubspot.com", "app", REDIRECT, SCOPES, "s")
    assert address == (
        "https://app.hubspot.com/oauth/authorize?client_id=app"
        "&redirect_uri=http%3A%2F%2Flocalhost%3A8765%2Foauth%2Fcallback"
        "&scope=crm.objects.contacts.read%20crm.objects.contacts.write%20crm.lists.read%20crm.lists.write&state=s"
    )


@given(client_id=st.text(min_size=1), state=st.text(min_size=1))
def test_whatever_is_in_the_address_comes_out_again(client_id: str, state: str) -> None:
    """No character of a client id or a state changes what the address means."""
    parts = urlsplit(consent_address("http://127.0.0.1:1", client_id, REDIRECT, ["a", "b"], state))
    assert parts.netloc == "127.0.0.1:1"
    assert parse_qs(parts.query, keep_blank_values=True, errors="strict") == {
        "client_id": [client_id],
        "redirect_uri": [REDIRECT],
        "scope": ["a b"],
        "state": [state],
    }


def test_a_code_becomes_tokens(asked: Asked) -> None:
    """A code gives a refresh token that works, an access token, the portal and the scopes, with one request."""
    grant = asked.client.redeem(asked.portal.authorize("acme", REDIRECT), REDIRECT)

    assert grant.refresh_token.reveal() == asked.account.refresh_token
    assert (grant.hub_id, grant.scopes, grant.expires_in) == (1001, frozenset(SCOPES), 1800.0)
    assert len(asked.wire.requests) == 1
    assert asked.client.introspect(grant.refresh_token).active


def test_from_the_consent_page_to_tokens(asked: Asked) -> None:
    """HubSpot understands the address of its consent page, and the code that it gives becomes tokens."""
    grant = asked.client.redeem(asked.consent(), REDIRECT)
    assert (grant.hub_id, grant.scopes) == (1001, frozenset(SCOPES))
    assert asked.client.introspect(grant.refresh_token).active


def test_a_scope_that_was_not_granted(asked: Asked) -> None:
    """A grant tells which scopes there are, so that a missing one can be named."""
    asked.account.withheld_scopes = {"crm.lists.write"}
    grant = asked.client.redeem(asked.consent(), REDIRECT)
    assert grant.scopes == frozenset(SCOPES) - {"crm.lists.write"}


def test_what_hubspot_does_not_tell_is_not_made_up(asked: Asked) -> None:
    """An answer without portal and scopes gives tokens all the same."""
    answer = {"access_token": "access", "refresh_token": "refresh", "expires_in": 1800}
    asked.wire.instead[TOKEN] = [httpx.Response(200, json=answer)]
    grant = asked.client.redeem("code", REDIRECT)
    assert (grant.hub_id, grant.scopes) == (None, None)


def test_a_code_that_was_used(asked: Asked) -> None:
    """The second use of a code is told as that, with what to do."""
    code = asked.portal.authorize("acme", REDIRECT)
    asked.client.redeem(code, REDIRECT)
    failed = asked.failure(code)
    assert failed.kind == "code_used"
    assert str(failed).startswith("the code was used already, or HubSpot does not know it: HubSpot answered 400 BAD_")
    assert "correlation id 0" in failed.told
    assert failed.remedy.startswith("Authorize again")


def test_the_code_of_another_app(asked: Asked) -> None:
    """A code that was made for another app is not known."""
    assert asked.failure(asked.portal.authorize("other", REDIRECT)).kind == "code_used"


def test_another_redirect(asked: Asked) -> None:
    """A redirect other than that of the consent is told by its address."""
    failed = asked.failure(redirect_uri="http://localhost:1/")
    assert failed.kind == "redirect_not_registered"
    assert "http://localhost:1/ (HubSpot answered 400" in failed.told


@pytest.mark.parametrize(
    ("client_id", "client_secret", "kind"),
    [("app", "wrong", "wrong_client_secret"), ("app", "hush-2", "wrong_client_secret"), ("no", "x", "wrong_client_id")],
)
def test_wrong_credentials(client_id: str, client_secret: str, kind: str) -> None:
    """A wrong client secret and a wrong client id are told apart, also where a token is asked about."""
    asked = Asked(client_id, client_secret)
    with closing(asked.client):
        assert asked.failure().kind == kind
        with pytest.raises(AuthorizationFailed) as failed:
            asked.client.introspect(Secret(FIRST_REFRESH_TOKEN))
        assert failed.value.kind == kind


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        *((httpx.Response(status), "hubspot_down") for status in (408, 423, 429, 477, 500, 502, 503, 599)),
        (httpx.ReadTimeout("late"), "hubspot_down"),
        (httpx.ConnectError("no"), "hubspot_down"),
        (httpx.RemoteProtocolError("cut"), "hubspot_down"),
        (httpx.Response(200), "unreadable"),
        (httpx.Response(200, text="<html>"), "unreadable"),
        (httpx.Response(200, json=["access"]), "unreadable"),
        (httpx.Response(200, json={"access_token": "access", "expires_in": 1800}), "unreadable"),
        (httpx.Response(200, json={"access_token": "a", "refresh_token": "", "expires_in": 1800}), "unreadable"),
        (httpx.Response(200, json={"access_token": "a", "refresh_token": "r\n", "expires_in": 1800}), "unreadable"),
        (httpx.Response(200, json={"access_token": "a", "refresh_token": "r", "expires_in": -1}), "unreadable"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example/"}), "refused"),
        (httpx.Response(400, json={"status": "BAD_HUB", "message": "no"}), "refused"),
        (httpx.Response(404), "refused"),
    ],
    ids=repr,
)
def test_one_request_whatever_comes_of_it(asked: Asked, reply: Reply, kind: str) -> None:
    """What passes, what cannot be read and what is refused are told apart; a code is never sent twice."""
    asked.wire.instead[TOKEN] = [reply]
    assert asked.failure().kind == kind
    assert len(asked.wire.requests) == 1


def test_hubspot_is_away_for_a_while(asked: Asked) -> None:
    """A failure that passes leaves a code of use, if HubSpot did not take the request."""
    asked.portal.inject(Fault("refresh_unavailable", times=1))
    code = asked.portal.authorize("acme", REDIRECT)
    assert asked.failure(code).kind == "hubspot_down"
    assert asked.client.redeem(code, REDIRECT).hub_id == 1001


def test_a_refresh_token_and_what_it_may_do(asked: Asked) -> None:
    """A token tells its app, its portal and its scopes."""
    asked.account.refresh_token = FIRST_REFRESH_TOKEN
    facts = asked.client.introspect(Secret(FIRST_REFRESH_TOKEN))
    assert facts == TokenFacts(active=True, client_id="app", hub_id=1001, scopes=frozenset(SCOPES))


@pytest.mark.parametrize("token", ["refresh-2", FIRST_REFRESH_TOKEN, "nonsense"])
def test_a_refresh_token_that_is_of_no_use(asked: Asked, token: str) -> None:
    """A token of another app, one that was revoked and one that never was are not active."""
    assert asked.client.introspect(Secret(token)) == TokenFacts(active=False)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"active": "yes"}'])
def test_an_answer_about_a_token_that_cannot_be_read(asked: Asked, body: str) -> None:
    """What does not say whether the token is active says nothing."""
    asked.wire.instead[INTROSPECT] = [httpx.Response(200, text=body)]
    with pytest.raises(AuthorizationFailed) as failed:
        asked.client.introspect(Secret(FIRST_REFRESH_TOKEN))
    assert failed.value.kind == "unreadable"


def test_nothing_secret_is_shown(asked: Asked) -> None:
    """No secret is in a grant's repr, an error or its traceback, though HubSpot quotes it; the redactor knows all."""
    code = asked.portal.authorize("acme", REDIRECT)
    grant = asked.client.redeem(code, REDIRECT)
    secrets = ["hush", code, grant.refresh_token.reveal(), grant.access_token.reveal()]
    assert asked.redactor.clean(" ".join(secrets)) == " ".join([HIDDEN] * 4)

    said = {"status": "BAD_AUTH_CODE", "message": f"{code} of hush"}
    asked.wire.instead[TOKEN] = [httpx.Response(400, json=said)]
    failed = asked.failure(code)
    shown = [repr(grant), str(failed), repr(failed), failed.told, "".join(traceback.format_exception(failed))]
    assert [each for each in secrets for text in shown if each in text] == []


def test_a_client_of_the_network_is_closed() -> None:
    """Without a transport of its own the client makes one for the network, which closing it closes."""
    client = AuthorizationClient(BASE_URL, TIMEOUT, "app", Secret("hush"), Redactor())
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.redeem("code", REDIRECT)
