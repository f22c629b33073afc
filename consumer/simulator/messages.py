"""What goes in and what comes out: frozen values, and the error that endpoints raise."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Violation(AssertionError):  # noqa: N818 - the word of its message: a rule was broken by the program under test
    """The program under test sent what it must never send."""


@dataclass(frozen=True)
class Request:
    """One HTTP request; `path` and `query` as they are on the wire, percent-encoded, without the `?`."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str:
        """Value of a header, whatever the case of its name; empty if it is not there."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")

    @property
    def content_type(self) -> str:
        """Media type of the body in lower case, without parameters."""
        return self.header("Content-Type").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Reply:
    """What the client gets `delay` seconds later: an answer or, if `cut`, the end of the connection (status 0)."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay: float = 0.0
    cut: bool = False

    def header(self, name: str) -> str | None:
        """Value of a header, by its exact name."""
        return dict(self.headers).get(name)

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; ValueError if it is not JSON, TypeError if it is no object."""
        parsed = json.loads(self.body)
        if not isinstance(parsed, dict):
            raise TypeError(f"The body is JSON but no object: {self.body[:80]!r}")
        return parsed


@dataclass(frozen=True)
class Handled:
    """One request as the portal saw it, in the order of arrival.

    `adds` and `removes` are what the request asked for. `status` is None if the connection was cut.
    `applied_at` is when a change took effect, None if it did not, or not yet.
    """

    number: int
    at: float
    account: str | None
    method: str
    path: str
    list_id: int | None
    adds: tuple[int, ...]
    removes: tuple[int, ...]
    status: int | None
    applied_at: float | None
    fault: str | None


@dataclass(frozen=True)
class Answer:
    """An answer before headers: a JSON object, text that is not JSON, or nothing."""

    status: int
    body: Mapping[str, object] | str | None = None


class RefusedError(Exception):
    """An endpoint refuses; the portal answers with `answer`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


def error(status: int, category: str, message: str, **more: object) -> Answer:
    """Body of a CRM error; the portal adds the correlation id."""
    return Answer(status, {"status": "error", "message": message, "category": category, **more})


def invalid(message: str, **more: object) -> RefusedError:
    """400 VALIDATION_ERROR."""
    return RefusedError(error(400, "VALIDATION_ERROR", f"Invalid input: {message}", **more))


def not_found(what: str) -> RefusedError:
    """404 OBJECT_NOT_FOUND."""
    return RefusedError(error(404, "OBJECT_NOT_FOUND", f"{what} does not exist."))


def rate_limit(policy: str) -> Answer:
    """429 of one policy: TEN_SECONDLY_ROLLING, SECONDLY or DAILY."""
    return Answer(
        429,
        {
            "status": "error",
            "message": f"You have reached your {policy.lower()} limit.",
            "errorType": "RATE_LIMIT",
            "policyName": policy,
            "groupName": "simulator",
        },
    )


def oauth_error(code: str, status: str, message: str) -> Answer:
    """Body of an OAuth error: `code` is RFC 6749's word, `status` HubSpot's own."""
    return Answer(400, {"error": code, "error_description": message, "status": status, "message": message})
