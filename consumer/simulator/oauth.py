"""OAuth: who may call, and the three calls that deal in tokens. Tokens are numbered, so every run gives the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from consumer.simulator.accounts import Account
from consumer.simulator.calls import Call, Endpoint
from consumer.simulator.messages import Answer, RefusedError, Request, error, oauth_error

ROOT = "/oauth/2026-03"
BAD_REFRESH_TOKEN = oauth_error("invalid_grant", "BAD_REFRESH_TOKEN", "missing or invalid refresh token")


@dataclass(frozen=True)
class _Access:
    account: Account
    expires_at: float


@dataclass(frozen=True)
class _Code:
    account: Account
    redirect_uri: str
    scopes: frozenset[str] | None  # None: those that the account has already


class OAuth:
    """Tokens and codes of all accounts. `accounts` is shared with the portal."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts
        self._access: dict[str, _Access] = {}
        self._codes: dict[str, _Code] = {}
        self._issued = 0
        self.endpoints = (
            Endpoint("POST", ROOT + "/token", self.token, family="token"),
            Endpoint("POST", ROOT + "/token/introspect", self.introspect, family="oauth"),
            Endpoint("POST", ROOT + "/token/revoke", self.revoke, family="oauth"),
        )

    # What tests and the portal do directly.

    def issue(self, account: Account, now: float, expires_in: float) -> str:
        """Make an access token."""
        token = self._name("access", account)
        self._access[token] = _Access(account, now + expires_in)
        return token

    def authorize(self, account: Account, redirect_uri: str, scopes: Iterable[str] | None = None) -> str:
        """Make the code that a browser brings back once a person has granted `scopes`; good for one use."""
        code = self._name("code", account)
        self._codes[code] = _Code(account, redirect_uri, None if scopes is None else frozenset(scopes))
        return code

    def expire(self, request: Request, now: float) -> None:
        """Let the access token of a request expire now."""
        token = _bearer(request)
        if token in self._access:
            self._access[token] = _Access(self._access[token].account, now)

    # Who is calling.

    def bearer_account(self, request: Request) -> Account | None:
        """Account of the access token, expired or not."""
        access = self._access.get(_bearer(request))
        return access.account if access else None

    def client_account(self, request: Request) -> Account | None:
        """Account that an OAuth form is about, else any account of the client, else None."""
        form = read_form(request)
        mine = [account for account in self._accounts.values() if account.client_id == form.get("client_id")]
        code = self._codes.get(form.get("code", ""))
        if code and code.account in mine:
            return code.account
        token = form.get("refresh_token") or form.get("token")
        access = self._access.get(token or "")
        if access and access.account in mine:
            return access.account
        return _first((account for account in mine if token and account.refresh_token == token), otherwise=mine)

    def check(self, call: Call) -> None:
        """RefusedError: 401 if the access token is unknown or expired, 403 if a scope is missing."""
        access = self._access.get(_bearer(call.request))
        if access is None:
            raise RefusedError(error(401, "INVALID_AUTHENTICATION", "The access token is missing or unknown."))
        if access.expires_at <= call.now:
            raise RefusedError(error(401, "EXPIRED_AUTHENTICATION", "The access token has expired."))
        needed = call.endpoint.scopes if call.endpoint else ()
        if not (access.account.scopes - access.account.unavailable_scopes).issuperset(needed):
            raise RefusedError(missing_scopes(needed))

    def check_client(self, call: Call) -> None:
        """RefusedError (400) unless the body is a form with the id and the secret of an app."""
        if call.request.content_type != "application/x-www-form-urlencoded":
            raise RefusedError(oauth_error("invalid_request", "BAD_REQUEST", "the body must be form encoded"))
        if call.account is None:
            raise RefusedError(oauth_error("invalid_client", "BAD_CLIENT_ID", "missing or unknown client id"))
        if read_form(call.request).get("client_secret") != call.account.client_secret:
            raise RefusedError(oauth_error("invalid_client", "BAD_CLIENT_SECRET", "missing or wrong client secret"))

    # The three calls. The client has been checked, and `account` is whom the form is about.

    def token(self, account: Account, call: Call) -> Answer:
        """Give an access token for a code or a refresh token."""
        form = read_form(call.request)
        match form.get("grant_type"):
            case "authorization_code":
                self._redeem(account, form)
            case "refresh_token":
                if account.refresh_token is None or form.get("refresh_token") != account.refresh_token:
                    raise RefusedError(BAD_REFRESH_TOKEN)
            case other:
                raise RefusedError(oauth_error("unsupported_grant_type", "BAD_GRANT_TYPE", f"grant type {other}"))
        if account.refresh_token is None or call.quirks.rotate_refresh_tokens:
            account.refresh_token = self._name("refresh", account)
        return Answer(
            200,
            {
                "token_type": "bearer",
                "access_token": self.issue(account, call.now, call.quirks.expires_in),
                "expires_in": call.quirks.expires_in,
                "refresh_token": account.refresh_token,
                "hub_id": account.hub_id,
                "user_id": 1,
                "scopes": sorted(account.scopes),
            },
        )

    def introspect(self, account: Account, call: Call) -> Answer:
        """Tell what a token is; one that is unknown, expired or another app's is not active."""
        token = read_form(call.request).get("token", "")
        about = {
            "active": True,
            "hub_id": account.hub_id,
            "client_id": account.client_id,
            "scopes": sorted(account.scopes),
        }
        if token and token == account.refresh_token:
            return Answer(200, {**about, "token_type": "refresh"})
        access = self._access.get(token)
        if access is None or access.account is not account or access.expires_at <= call.now:
            return Answer(200, {"active": False})
        return Answer(200, {**about, "token_type": "access", "expires_in": int(access.expires_at - call.now)})

    def revoke(self, account: Account, call: Call) -> Answer:
        """End a token; an unknown one is no error. Access tokens outlive the refresh token they came from."""
        token = read_form(call.request).get("token", "")
        if token and token == account.refresh_token:
            account.refresh_token = None
        elif token in self._access and self._access[token].account is account:
            del self._access[token]
        return Answer(200)

    def _redeem(self, account: Account, form: Mapping[str, str]) -> None:
        code = self._codes.get(form.get("code", ""))
        if code is None or code.account is not account:
            raise RefusedError(oauth_error("invalid_grant", "BAD_AUTH_CODE", "missing, unknown or used code"))
        if form.get("redirect_uri") != code.redirect_uri:
            raise RefusedError(oauth_error("invalid_grant", "BAD_REDIRECT_URI", "not the redirect the code is for"))
        del self._codes[form["code"]]
        if code.scopes is not None:
            account.scopes = set(code.scopes)

    def _name(self, kind: str, account: Account) -> str:
        self._issued += 1
        return f"{kind}-{account.name}-{self._issued}"


def missing_scopes(scopes: Iterable[str]) -> Answer:
    """403 MISSING_SCOPES; the context names all scopes that the call needs."""
    context = {"requiredGranularScopes": list(scopes)}
    message = "This app has not been granted all scopes that this call needs."
    return error(403, "MISSING_SCOPES", message, errors=[{"message": message, "context": context}])


def _bearer(request: Request) -> str:
    scheme, _, token = request.header("Authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def read_form(request: Request) -> dict[str, str]:
    """Read a body as a form; the last of a name counts, and what is no form has no fields."""
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


def _first(wanted: Iterable[Account], otherwise: Iterable[Account]) -> Account | None:
    return next(iter(wanted), None) or next(iter(otherwise), None)
