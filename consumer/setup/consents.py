"""Authorizations: HubSpot's consent page, and what comes back from it.

An answer counts once, and only if it carries the state that was given out for it. What HubSpot grants counts only if it
has all four scopes, and is for the portal that the account's lists are in.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from consumer.checks import SCOPES
from consumer.commands import clients
from consumer.hubspot.authorization import AuthorizationClient, AuthorizationFailed, Grant, consent_address
from consumer.hubspot.lists_client import CallFailed, ListsClient
from consumer.secret import Redactor
from consumer.settings import Account, Surroundings
from consumer.settings.draft import Draft
from consumer.setup import problems
from consumer.setup.accounts import Accounts

MOST_STATES = 50  # authorizations under way; the oldest is forgotten
MOST_LOOKED_AT = 5  # lists by which another portal is recognized


class Consents:
    """The authorizations of one setup. All raise SetupProblem; who calls keeps two from meddling with one state."""

    def __init__(self, accounts: Accounts, redirect_uri: str, redactor: Redactor) -> None:
        self._accounts = accounts
        self._redirect_uri = redirect_uri
        self._redactor = redactor
        self._states: dict[str, str] = {}

    def address(self, draft: Draft, around: Surroundings, account: str) -> str:
        """Give the address of the consent page for an account, with a fresh state."""
        client_id = self._accounts.client_id(draft, account)
        self._accounts.client_secret(draft, account)  # without it the consent would be for nothing
        state = secrets.token_urlsafe(32)
        self._states[state] = account
        if len(self._states) > MOST_STATES:
            del self._states[next(iter(self._states))]
        return consent_address(around.hubspot.app_url, client_id, self._redirect_uri, SCOPES, state)

    def account(self, answer: Mapping[str, str]) -> str:
        """Give the account that an answer is for; its state is used up by that."""
        account = self._states.pop(answer.get("state", ""), None)
        if account is None:
            raise problems.wrong_state()
        return account

    def grant(self, draft: Draft, around: Surroundings, account: str, answer: Mapping[str, str]) -> Grant:
        """Turn an answer into tokens that are good for the account."""
        if "error" in answer or not answer.get("code"):
            raise problems.of_refused_consent(account, answer)
        with self._asking(draft, around, account) as client:
            grant = client.redeem(answer["code"], self._redirect_uri)
            before = self._portal(draft, account, client)
        if grant.scopes is not None and (missing := [each for each in SCOPES if each not in grant.scopes]):
            raise problems.missing_scopes(account, missing)
        strange = self._has_no_list(draft, around, account, grant) if before is None else before != grant.hub_id
        if strange:
            raise problems.other_portal(account, before, grant.hub_id)
        return grant

    @contextmanager
    def _asking(self, draft: Draft, around: Surroundings, account: str) -> Iterator[AuthorizationClient]:
        hubspot = around.hubspot
        client_id, secret = self._accounts.client_id(draft, account), self._accounts.client_secret(draft, account)
        timeout = min(hubspot.timeout, clients.LONGEST_TIMEOUT)
        client = AuthorizationClient(hubspot.base_url, timeout, client_id, secret, self._redactor, ca=hubspot.ca)
        with closing(client):
            try:
                yield client
            except AuthorizationFailed as failed:
                raise problems.of_authorization(failed, account) from failed

    def _portal(self, draft: Draft, account: str, client: AuthorizationClient) -> int | None:
        """Give the portal that the account of the file has been of until now, as far as HubSpot tells."""
        known, saved = self._accounts.hub_id(account), draft.accounts.get(account)
        if known is not None or saved is None or saved.refresh_token.value is None:
            return known
        return client.introspect(saved.refresh_token.value).hub_id

    def _has_no_list(self, draft: Draft, around: Surroundings, account: str, grant: Grant) -> bool:
        """Tell whether a portal has none of the lists that the account's connectors keep."""
        kept = [each.list_id for each in draft.connectors.values() if each.account == account]
        credentials = Account(
            client_id=self._accounts.client_id(draft, account),
            client_secret=self._accounts.client_secret(draft, account),
            refresh_token=grant.refresh_token,
            requests_per_10s=1,
        )
        with closing(clients.lists_client_of(around, account, credentials, self._redactor)) as client:
            return bool(kept) and not any(_has(client, each) for each in kept[:MOST_LOOKED_AT])


def _has(client: ListsClient, list_id: int) -> bool:
    try:
        client.get(list_id)
    except CallFailed as failed:
        return failed.reason != "LIST_NOT_FOUND"
    return True
