"""Single values that a person types, held to the rules that they have in the file."""

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from consumer.settings.values import Count, Finding, Name
from consumer.settings.words import findings

T = TypeVar("T")

_NAME: TypeAdapter[str] = TypeAdapter(Name)
_COUNT: TypeAdapter[int] = TypeAdapter(Count)


def name(text: str) -> str | Finding:
    """Read the name of an account or connector; a Finding says what is wrong with it."""
    return _read(_NAME, text)


def count(text: str) -> int | Finding:
    """Read a whole number from 1 on; a Finding says what is wrong with it."""
    return _read(_COUNT, text)


def _read(kind: TypeAdapter[T], text: str) -> T | Finding:
    try:
        return kind.validate_python(text.strip())
    except ValidationError as error:
        return next(findings(error))
