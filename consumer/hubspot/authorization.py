"""What comes of a person's consent: the address of HubSpot's page for it, and the tokens for the code that it gives.

A code is good once, and nobody knows of a request without an answer whether it used the code. So nothing is tried again
by itself: a new consent gives a new code.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

import httpx

from consumer.errors import ConsumerError
from consumer.hubspot import tokens
from consumer.hubspot.oauth import TOKEN_PATH
from consumer.hubspot.transport import make_client
from consumer.secret import Redactor, Secret

CONSENT_PATH = "/oauth/authorize"

Kind = Literal[
    "code_used",
    "redirect_not_registered",
    "wrong_client_id",
    "wrong_client_secret",
    "hubspot_down",
    "unreadable",
    "refused",
]

_AGAIN = "then authorize again"
_CASES: dict[Kind, str] = {
    "code_used": "the code was used already, or HubSpot does not know it",
    "redirect_not_registered": "the redirect address is not the one that HubSpot knows",
    "wrong_client_id": "HubSpot does not know the client id",
    "wrong_client_secret": "the client secret is wrong",
    "hubspot_down": "HubSpot cannot be asked at the moment",
    "unreadable": "HubSpot's answer cannot be read",
    "refused": "HubSpot refuses",
}
_REMEDIES: dict[Kind, str] = {
    "code_used": "Authorize again: a code is good once, for a few minutes, and for the app that it was made for",
    "redirect_not_registered": f"Register exactly this address with the app, {_AGAIN}",
    "wrong_client_id": f"Copy the client id from the app's page in HubSpot, {_AGAIN}",
    "wrong_client_secret": f"Copy the client secret from the app's page in HubSpot, {_AGAIN}",
    "hubspot_down": f"Check the network and hubspot.base_url, or wait a minute; {_AGAIN}",
    "unreadable": f"Check hubspot.base_url, {_AGAIN}",
    "refused": "Authorize again; HubSpot's support can say more of the correlation id",
}
_KINDS: dict[str | None, Kind] = {
    "BAD_AUTH_CODE": "code_used",
    "BAD_REDIRECT_URI": "redirect_not_registered",
    "BAD_CLIENT_ID": "wrong_client_id",
    "BAD_CLIENT_SECRET": "wrong_client_secret",
}


class AuthorizationFailed(ConsumerError):  # noqa: N818 - the name says what is the case
    """HubSpot gave no tokens. `kind` names the case, `told` says it, `remedy` says what to do; nothing in it is secret.

    `code_used` is a code that is used or unknown, `hubspot_down` is passing. After either of `hubspot_down` and
    `unreadable` the code may have been used up.
    """

    def __init__(self, kind: Kind, more: str) -> None:
        self.kind = kind
        self.told = f"{_CASES[kind]}: {more}"
        self.remedy = _REMEDIES[kind]
        super().__init__(f"{self.told}. {self.remedy}.")


@dataclass(frozen=True, slots=True)
class Grant:
    """What HubSpot gave for a code. `expires_in`: seconds, of the access token. None is what HubSpot did not tell."""

    refresh_token: Secret
    access_token: Secret
    expires_in: float
    hub_id: int | None
    scopes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a refresh token is to the app that asks. One that was revoked, is unknown or another app's is not `active`.

    HubSpot does not say which of these it is. `client_id`: of the app that it was made for, where HubSpot tells.
    """

    active: bool
    client_id: str | None = None
    hub_id: int | None = None
    scopes: frozenset[str] | None = None


def consent_address(app_url: str, client_id: str, redirect_uri: str, scopes: Iterable[str], state: str) -> str:
    """Give the address of the page on which a person grants the app its scopes, in one of the portals they administer.

    HubSpot sends the browser on to `redirect_uri` with `code` and `state`.
    """
    fields = {"client_id": client_id, "redirect_uri": redirect_uri, "scope": " ".join(scopes), "state": state}
    return f"{app_url}{CONSENT_PATH}?{urlencode(fields, quote_via=quote, safe='')}"


class AuthorizationClient:
    """Asks HubSpot for one app. New secrets are made known to `redactor`; `ca`: NetworkTransport."""

    def __init__(
        self,
        base_url: str,
        timeout: float,
        client_id: str,
        client_secret: Secret,
        redactor: Redactor,
        *,
        transport: httpx.BaseTransport | None = None,
        ca: str | None = None,
    ) -> None:
        self._credentials = {"client_id": client_id, "client_secret": client_secret.reveal()}
        self._redactor = redactor
        redactor.add(client_secret.reveal())
        self._client = make_client(base_url, timeout, transport, ca)

    def redeem(self, code: str, redirect_uri: str) -> Grant:
        """Turn a code into tokens, with one request; `redirect_uri` as in the consent. Raises AuthorizationFailed."""
        self._redactor.add(code)
        response = self._ask(TOKEN_PATH, grant_type="authorization_code", code=code, redirect_uri=redirect_uri)
        answer = tokens.json_object(response)
        refresh_token = answer.get("refresh_token")
        if not tokens.holds_token(answer) or not tokens.is_token(refresh_token):
            raise AuthorizationFailed("unreadable", "it holds no tokens")
        for token in (answer["access_token"], refresh_token):
            self._redactor.add(token)
        return Grant(
            Secret(refresh_token),
            Secret(answer["access_token"]),
            float(answer["expires_in"]),
            tokens.portal(answer),
            tokens.scopes(answer),
        )

    def introspect(self, refresh_token: Secret) -> TokenFacts:
        """Ask what a refresh token is; changes nothing. Raises AuthorizationFailed."""
        token = refresh_token.reveal()
        self._redactor.add(token)
        hint = "refresh_token"
        answer = tokens.json_object(self._ask(f"{TOKEN_PATH}/introspect", token=token, token_type_hint=hint))
        if not isinstance(answer.get("active"), bool):
            raise AuthorizationFailed("unreadable", "it does not say whether the token is active")
        client_id = tokens.text(answer, "client_id")
        return TokenFacts(answer["active"], client_id, tokens.portal(answer), tokens.scopes(answer))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, path: str, **fields: str) -> httpx.Response:
        try:
            response = self._client.post(path, data={**self._credentials, **fields})
        except httpx.TransportError as error:
            raise AuthorizationFailed("hubspot_down", f"no answer ({type(error).__name__}: {error})") from error
        if response.is_success:
            return response
        details = tokens.details(response, self._redactor)
        kind = "hubspot_down" if tokens.passes(response) else _KINDS.get(details.category, "refused")
        said = details.in_words()
        raise AuthorizationFailed(
            kind, f"{fields['redirect_uri']} ({said})" if kind == "redirect_not_registered" else said
        )
