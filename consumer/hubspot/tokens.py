"""What HubSpot's token endpoint says, for those who renew tokens and for those who get the first ones."""

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

import httpx

from consumer.hubspot import answers
from consumer.outcomes import Details
from consumer.secret import Redactor

LONGEST_LIFE = 86_400.0 * 366  # seconds; what is longer, or no number at all, is no life of an access token
PASSING = frozenset({408, 423, 429, 477})  # besides all from 500 up: the token endpoint may answer otherwise later


def json_object(response: httpx.Response) -> dict[str, Any]:
    """Read the body; empty where it is no JSON object."""
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def text(answer: Mapping[str, Any], key: str) -> str | None:
    """Give a text of the answer, cut where it is too long; None where there is none."""
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        return None
    return value[: answers.LONGEST_TEXT].encode(errors="replace").decode()  # JSON may hold halves of characters


def details(response: httpx.Response, redactor: Redactor) -> Details:
    """Give what HubSpot said, without secrets: a message may quote what was sent."""
    answer = json_object(response)
    message = text(answer, "error_description") or text(answer, "message")
    return Details(
        status=response.status_code,
        category=text(answer, "status"),
        message=None if message is None else redactor.clean(message),
        correlation_id=text(answer, "correlationId") or text(response.headers, "x-hubspot-correlation-id"),
    )


def passes(response: httpx.Response) -> bool:
    """Tell whether the endpoint may answer otherwise later."""
    return response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or response.status_code in PASSING


def holds_token(answer: Mapping[str, Any]) -> bool:
    """Tell whether there is an access token that fits into a header, and a life that ends."""
    life = answer.get("expires_in")
    return is_token(answer.get("access_token")) and isinstance(life, int | float) and 0 < life < LONGEST_LIFE


def is_token(value: object) -> TypeGuard[str]:
    """Tell whether it can be a token: some plain text."""
    return isinstance(value, str) and value != "" and value.isascii() and value.isprintable()


def portal(answer: Mapping[str, Any]) -> int | None:
    """Give the portal's number; None where it is not told."""
    hub_id = answer.get("hub_id")
    return hub_id if isinstance(hub_id, int) else None


def scopes(answer: Mapping[str, Any]) -> frozenset[str] | None:
    """Give the scopes that were granted; None where they are not told."""
    granted = answer.get("scopes")
    return frozenset(map(str, granted)) if isinstance(granted, list) else None
