"""Tokens: getting, refreshing, expiring, looking into and ending them."""

from typing import Any

import pytest

from consumer.simulator import SCOPES, Portal, Quirks, Request
from tests.simulator.caller import LISTS, TOKEN, Caller, acme, caller

REDIRECT = "http://localhost:9999/callback"


def test_a_refresh_gives_a_token_that_works() -> None:
    """A refresh answers with an access token, its life, the portal and the scopes, and keeps the refresh token."""
    hubspot = caller()

    answer = hubspot.refresh().json()

    hubspot.token = answer["access_token"]
    assert hubspot.put(["1"]).status == 200
    assert answer == {
        "token_type": "bearer",
        "access_token": hubspot.token,
        "expires_in": 1800,
        "refresh_token": "refresh-1",
        "hub_id": 1001,
        "user_id": 1,
        "scopes": sorted(SCOPES),
    }


@pytest.mark.parametrize(("age", "status"), [(59.9, 200), (60.0, 401)])
def test_an_access_token_expires(age: float, status: int) -> None:
    """A token works until its expires_in has passed; then the answer is 401 EXPIRED_AUTHENTICATION."""
    hubspot = caller(Portal(quirks=Quirks(expires_in=60)))
    hubspot.now = age

    reply = hubspot.put(["1"])

    assert reply.status == status
    assert reply.json().get("category") == ("EXPIRED_AUTHENTICATION" if status == 401 else None)


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Basic abc", "Bearer"])
def test_an_unknown_token_is_refused(authorization: str) -> None:
    """Without a known token the answer is 401 INVALID_AUTHENTICATION."""
    reply = caller().send("GET", f"{LISTS}/10", authorization=authorization)

    assert (reply.status, reply.json()["category"]) == (401, "INVALID_AUTHENTICATION")


def test_refresh_tokens_can_rotate() -> None:
    """Where so set, every refresh brings a new refresh token and the old one stops working."""
    hubspot = caller(Portal(quirks=Quirks(rotate_refresh_tokens=True)))

    second = hubspot.refresh().json()["refresh_token"]

    assert second != "refresh-1"
    assert hubspot.refresh("refresh-1").json()["error"] == "invalid_grant"
    assert hubspot.refresh(second).status == 200


def test_a_code_is_redeemed_once() -> None:
    """An authorization code gives tokens once, for the redirect it was made for."""
    hubspot = caller(refresh_token=None)
    code = hubspot.portal.authorize("acme", REDIRECT)
    fields = {"grant_type": "authorization_code", "code": code}

    wrong = hubspot.form(TOKEN, **fields, redirect_uri="http://localhost:1/")
    right = hubspot.form(TOKEN, **fields, redirect_uri=REDIRECT)
    again = hubspot.form(TOKEN, **fields, redirect_uri=REDIRECT)

    assert (wrong.json()["error"], wrong.json()["status"]) == ("invalid_grant", "BAD_REDIRECT_URI")
    assert hubspot.refresh(right.json()["refresh_token"]).status == 200
    assert (again.json()["error"], again.json()["status"]) == ("invalid_grant", "BAD_AUTH_CODE")


@pytest.mark.parametrize(
    ("fields", "error", "status"),
    [
        ({"refresh_token": "no"}, "invalid_grant", "BAD_REFRESH_TOKEN"),
        ({"refresh_token": ""}, "invalid_grant", "BAD_REFRESH_TOKEN"),
        ({"client_id": "other"}, "invalid_client", "BAD_CLIENT_ID"),
        ({"client_secret": "wrong"}, "invalid_client", "BAD_CLIENT_SECRET"),
        ({"grant_type": "password"}, "unsupported_grant_type", "BAD_GRANT_TYPE"),
    ],
)
def test_refused_grants(fields: dict[str, str], error: str, status: str) -> None:
    """A wrong token, client, secret or grant type is 400, and says which."""
    hubspot = caller()
    asked = {"grant_type": "refresh_token", "refresh_token": "refresh-1"} | fields

    reply = hubspot.form(TOKEN, **asked)

    assert reply.status == 400
    assert (reply.json()["error"], reply.json()["status"]) == (error, status)
    assert {"message", "error_description", "correlationId"} <= reply.json().keys()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"grant_type": "refresh_token", "client_id": "app"}'),
        ("", b"grant_type=refresh_token&client_id=app&client_secret=hush&refresh_token=refresh-1"),
        ("application/x-www-form-urlencoded", b"\xff\xfe"),
    ],
)
def test_the_token_endpoint_takes_forms_only(content_type: str, body: bytes) -> None:
    """Anything that is no form, or does not say so, is refused."""
    hubspot = caller()

    reply = hubspot.portal.handle(Request("POST", TOKEN, "", {"Content-Type": content_type}, body), 0.0)

    assert reply.status == 400


def test_a_refresh_token_belongs_to_one_app() -> None:
    """The refresh token of one app is refused when another app uses it."""
    portal = Portal([acme(), acme(name="other", client_id="app-2", refresh_token="refresh-2")])

    reply = Caller(portal).refresh("refresh-2")

    assert reply.json()["error"] == "invalid_grant"


def test_a_code_belongs_to_one_app() -> None:
    """A code that was made for one app is refused when another app uses it, and is not used up."""
    portal = Portal([acme(), acme(name="other", client_id="app-2", refresh_token="refresh-2")])
    fields = {"grant_type": "authorization_code", "code": portal.authorize("other", REDIRECT)}

    stolen = Caller(portal).form(TOKEN, **fields, redirect_uri=REDIRECT)
    right = Caller(portal).form(TOKEN, **fields, redirect_uri=REDIRECT, client_id="app-2")

    assert (stolen.json()["error"], stolen.json()["status"]) == ("invalid_grant", "BAD_AUTH_CODE")
    assert right.json()["refresh_token"] == "refresh-2"


def test_one_app_serves_many_portals() -> None:
    """With one client id for several accounts, the refresh token decides whose token comes back."""
    portal = Portal([acme(), acme(name="other", hub_id=2002, refresh_token="refresh-2")])

    assert Caller(portal).refresh("refresh-2").json()["hub_id"] == 2002
    assert [handled.account for handled in portal.log] == ["other"]


@pytest.mark.parametrize(
    ("token", "now", "expected"),
    [
        ("access", 0.0, {"active": True, "token_type": "access", "hub_id": 1001, "expires_in": 1800}),
        ("access", 100.0, {"active": True, "expires_in": 1700}),
        ("refresh", 0.0, {"active": True, "token_type": "refresh", "scopes": sorted(SCOPES)}),
        ("access", 1800.0, {"active": False}),
        ("nonsense", 0.0, {"active": False}),
    ],
)
def test_introspection(token: str, now: float, expected: dict[str, Any]) -> None:
    """A token's portal, scopes and remaining life can be asked for; one that is no good is not active."""
    hubspot = caller()
    known = {"access": hubspot.token, "refresh": "refresh-1"}
    hubspot.now = now

    reply = hubspot.form(f"{TOKEN}/introspect", token=known.get(token, token))

    assert reply.status == 200
    assert expected.items() <= reply.json().items()


def test_introspection_wants_to_know_the_client() -> None:
    """Looking into a token needs the app's secret."""
    reply = caller().form(f"{TOKEN}/introspect", token="refresh-1", client_secret="wrong")

    assert (reply.status, reply.json()["status"]) == (400, "BAD_CLIENT_SECRET")


def test_a_revoked_refresh_token_is_invalid() -> None:
    """After revoking, refreshing is invalid_grant until somebody authorizes again."""
    hubspot = caller()

    assert hubspot.form(f"{TOKEN}/revoke", token="refresh-1").status == 200
    assert hubspot.refresh().json()["error"] == "invalid_grant"
    assert hubspot.put(["1"]).status == 200
    code = hubspot.portal.authorize("acme", REDIRECT)
    again = hubspot.form(TOKEN, grant_type="authorization_code", code=code, redirect_uri=REDIRECT).json()
    assert hubspot.refresh(again["refresh_token"]).status == 200


def test_a_revoked_access_token_is_unknown() -> None:
    """After revoking an access token the API does not know it; revoking what is unknown is no error."""
    hubspot = caller()

    assert hubspot.form(f"{TOKEN}/revoke", token=hubspot.token).status == 200
    assert hubspot.put(["1"]).json()["category"] == "INVALID_AUTHENTICATION"
    assert hubspot.form(f"{TOKEN}/revoke", token="nonsense").status == 200


def test_secrets_stay_out_of_the_repr() -> None:
    """An account printed by a failing test shows neither its secret nor its refresh token."""
    assert "hush" not in repr(acme())
    assert "refresh-1" not in repr(acme())
