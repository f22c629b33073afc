"""What pydantic found wrong, in words that say what to do."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from consumer.settings.model import Settings
from consumer.settings.values import Finding, Place

_MAPPING = ("must be a mapping", "Write `key: value` lines below it, indented")
_AT_LEAST_ONE = ("has nothing in it", "Write at least one entry")

# From pydantic's type of error to rule and remedy; braces take what the error's context holds.
WORDS: Mapping[str, tuple[str, str]] = {
    "string_type": ("must be text", "Write one text, in quotes if it looks like a number"),
    "string_too_short": ("is empty", "Write something between the quotes"),
    "greater_than_equal": ("must be at least {ge}", "Write a larger number"),
    "less_than": ("must be below {lt}", "Write a smaller number"),
    "bool_type": ("must be true or false", "Write true or false, without quotes"),
    "bool_parsing": ("must be true or false", "Write true or false, without quotes"),
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "tuple_type": ("must be a list", "Write it in brackets: [one, another]"),
    "too_short": _AT_LEAST_ONE,
    "is_instance_of": ("must come from a file or the environment", "Write {{file: PATH}} or {{env: NAME}} here"),
    "rule": ("{rule}", "{remedy}"),
}


def findings(error: ValidationError) -> Iterator[Finding]:
    """Yield a finding for everything in `error`; no value is quoted."""
    for details in error.errors(include_url=False, include_input=False):
        place = tuple(part for part in details["loc"] if part != "[key]")
        yield Finding(place, *_words(details, place))


def _words(details: ErrorDetails, place: Place) -> tuple[str, str]:
    match details["type"]:
        case "missing":
            [example] = _keys(place[:-1])[str(place[-1])].examples or [f"{place[-1]}: ..."]
            return "is missing", f"Add `{example}`"
        case "extra_forbidden":
            return "is not a known key", _instead(str(place[-1]), tuple(_keys(place[:-1])))
        case known if known in WORDS:
            rule, remedy = WORDS[known]
            context = details.get("ctx", {})
            return rule.format_map(context), remedy.format_map(context)
    return f"is wrong ({details['msg']})", "Compare it with the example in the README"


def _instead(key: str, known: tuple[str, ...]) -> str:
    if near := get_close_matches(key, known, n=1):
        return f"Write `{near[0]}` if you mean that, or remove it"
    return f"Remove it; known here: {', '.join(known)}"


def _keys(place: Place) -> Mapping[str, FieldInfo]:
    """Return the keys that the model at `place` knows."""
    kind: Any = Settings
    for part in place:
        entry = get_args(kind)  # of dict[Name, Model]
        kind = entry[1] if entry else kind.model_fields[part].annotation
    fields: Mapping[str, FieldInfo] = kind.model_fields
    return fields
