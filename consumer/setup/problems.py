"""What went wrong, in the words of the setup: which case it is, and what the person in front of it can do."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from consumer.errors import ConfigurationError, FileChanged
from consumer.hubspot.authorization import AuthorizationFailed
from consumer.hubspot.lists_client import CallFailed, NameTaken
from consumer.outcomes import Recoverable
from consumer.setup.words import SetupProblem

LONGEST = 300  # characters of what HubSpot's page said


def of_call(failed: CallFailed, account: str, missing: Sequence[str] = ()) -> SetupProblem:
    """Say why HubSpot did not do what it was asked for an account.

    `missing`: scopes that were not granted. Where none is and HubSpot refuses all the same, the portal has no lists.
    """
    if failed.reason == "INVALID_GRANT":
        return _of_grant(failed, account)
    kind, told, remedy = "failed", failed.told, failed.remedy
    if failed.reason == "FORBIDDEN" and missing:
        return missing_scopes(account, missing)
    if failed.reason == "FORBIDDEN":
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


def of_authorization(failed: AuthorizationFailed, account: str) -> SetupProblem:
    """Say why HubSpot gave no tokens for a code."""
    match failed.kind:
        case "wrong_client_secret":
            return wrong_client_secret(account)
        case "wrong_client_id":
            return wrong_client_id(account)
        case "code_used" | "redirect_not_registered" | "hubspot_down":
            return SetupProblem(failed.kind, failed.told, failed.remedy)
    return SetupProblem("failed", failed.told, failed.remedy)


def of_refused_consent(account: str, answer: Mapping[str, str]) -> SetupProblem:
    """Say why HubSpot sent the browser back without a code."""
    said = answer.get("error_description") or answer.get("error") or "no code"
    if answer.get("error") == "access_denied":
        told = f"HubSpot was not given the permission for {account}"
        return SetupProblem("consent_denied", told, "Authorize again, and choose Connect app on HubSpot's page")
    return SetupProblem("failed", f"HubSpot did not authorize {account}: {said[:LONGEST]}", "Authorize again")


def wrong_state() -> SetupProblem:
    """Say that an answer is not one that was asked for."""
    told = "this answer belongs to no authorization that was begun here, or it came a second time"
    return SetupProblem("wrong_state", told, "Begin again with Authorize HubSpot")


def missing_scopes(account: str, missing: Sequence[str]) -> SetupProblem:
    """Say which scopes were not granted."""
    told = f"{account} was authorized without {', '.join(missing)}"
    return SetupProblem("missing_scope", told, "Add that to the app's scopes in HubSpot, then authorize again")


def other_portal(account: str, before: int | None, now: int | None) -> SetupProblem:
    """Say that the lists of an account's connectors are not in the portal that was chosen."""
    which = "the portal that has its lists" if before is None else f"portal {before}"
    told = f"portal {now} was chosen on HubSpot's page, but account {account} is of {which}; nothing was changed"
    remedy = "Authorize again and choose that one, or add another account"
    return SetupProblem("other_portal", told, remedy)


def wrong_client_id(account: str) -> SetupProblem:
    """Say that there is no such app."""
    told = f"HubSpot knows no app with the client id of {account}"
    return SetupProblem("invalid", told, "Copy it anew from the app's page in HubSpot", field="client_id")


def wrong_client_secret(account: str) -> SetupProblem:
    """Say that the client secret is not the app's."""
    told = f"HubSpot does not take the client secret of {account}"
    return SetupProblem("wrong_client_secret", told, "Copy it anew from the app's page in HubSpot", field="secret")


def of_name(error: NameTaken) -> SetupProblem:
    """Say that a list's name is taken."""
    told, _, remedy = str(error).removesuffix(".").partition(". ")
    return SetupProblem("name_taken", told, remedy, field="name")


def of_kafka(text: str) -> SetupProblem:
    """Say why the topics could not be read; `text` is the error's, without secrets."""
    told, _, remedy = text.removesuffix(".").rpartition(". ")
    return SetupProblem("kafka_down", told or text, remedy if told else "Look at kafka and schema_registry in the file")


def of_configuration(error: ConfigurationError, fields: Mapping[str, str]) -> SetupProblem:
    """Say what is wrong with the file, or with what it is to be. `fields`: place in the file to field of the form."""
    kind = "file_changed" if isinstance(error, FileChanged) else "invalid"
    first = error.problems[0]
    where = f"{Path(error.file).name}:{first.line}: " if first.line else ""
    place = f"{first.place}: " if first.place else ""
    more = f", and {len(error.problems) - 1} more: see `check`" if len(error.problems) > 1 else ""
    field = next((name for start, name in fields.items() if first.place.startswith(start)), None)
    return SetupProblem(kind, f"{where}{place}{first.rule}{more}", first.remedy, field=field)
