"""What went wrong, in the words of the setup: which case it is, and what the person in front of it can do."""

from consumer.errors import ConsumerError
from consumer.hubspot.lists_client import CallFailed
from consumer.outcomes import Recoverable
from consumer.setup.words import SetupProblem


def of_call(failed: CallFailed, account: str) -> SetupProblem:
    """Say why HubSpot did not do what it was asked for an account."""
    if failed.reason == "INVALID_GRANT":
        return _of_grant(failed, account)
    kind, told, remedy = "failed", failed.told, failed.remedy
    if failed.reason == "FORBIDDEN" and failed.verdict.details.category == "MISSING_SCOPES":
        kind, told = "missing_scope", f"account {account} lacks a scope: {failed.told}"
        remedy = "Give the app its four scopes, then authorize the account again"
    elif failed.reason == "FORBIDDEN":
        kind, told = "no_lists_tool", f"the portal of {account} gives no lists: {failed.told}"
        remedy = "Ask an admin of the portal whether it has lists and whether the app may use them"
    elif isinstance(failed.verdict, Recoverable):
        kind = "hubspot_down"
    return SetupProblem(kind, told, remedy)


def _of_grant(failed: CallFailed, account: str) -> SetupProblem:
    match failed.verdict.details.category:
        case "BAD_CLIENT_SECRET":
            return wrong_client_secret(account)
        case "BAD_CLIENT_ID":
            return wrong_client_id(account)
    told = f"HubSpot no longer takes the refresh token of {account}: it was revoked, or is another app's"
    return SetupProblem("token_revoked", f"{told} ({failed.told})", "Authorize the account again")


def wrong_client_id(account: str) -> SetupProblem:
    """Say that there is no such app."""
    told = f"HubSpot knows no app with the client id of {account}"
    return SetupProblem("invalid", told, "Copy it anew from the app's page in HubSpot", field="client_id")


def wrong_client_secret(account: str) -> SetupProblem:
    """Say that the client secret is not the app's."""
    told = f"HubSpot does not take the client secret of {account}"
    return SetupProblem("wrong_client_secret", told, "Copy it anew from the app's page in HubSpot", field="secret")


def of_kafka(error: ConsumerError, clean: str) -> SetupProblem:
    """Say why the topics could not be read; `clean` is the error's text without secrets."""
    del error
    told, _, remedy = clean.rstrip(".").rpartition(". ")
    return SetupProblem("kafka_down", told or clean, remedy or "Check kafka and schema_registry in the file")
