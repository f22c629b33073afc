"""Pages from templates: whatever a value holds is escaped, and a name that a template asks for must be there."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_FOLDER = files("consumer").joinpath("templates")


def asset(name: str) -> str:
    """Return the text of a file that pages refer to: the style sheet, or a script."""
    return _FOLDER.joinpath(name).read_text(encoding="utf-8")


def address(name: str) -> str:
    """Return where a page finds an asset. It names the content too, so that a browser may keep it for good."""
    return f"/{name}?{sha256(asset(name).encode()).hexdigest()[:12]}"


def ago(moment: float, now: float) -> Markup:
    """Return the age of `moment` in words, with the moment itself (UTC) for machines and on hover.

    Both are in seconds since 1970.
    """
    instant = datetime.fromtimestamp(moment, UTC)
    age = max(0, int(now - moment))
    if age < _MINUTE:
        words = f"{age} s ago"
    elif age < _HOUR:
        words = f"{age // _MINUTE} min ago"
    elif age < _DAY:
        words = f"{age // _HOUR} h ago"
    else:
        words = f"{age // _DAY} d ago"
    time = f'<time datetime="{instant:%Y-%m-%dT%H:%M:%SZ}" title="{instant:%Y-%m-%d %H:%M:%S} UTC">{words}</time>'
    return Markup(time)  # noqa: S704 - it is made of numbers


def _number(number: int | None) -> str:
    return "not known" if number is None else f"{number:,}"


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _sentence(text: str, end: str = ".") -> str:
    """Return a clause as a sentence; a name that it begins with, such as a topic's, stays as it is."""
    first = text.partition(" ")[0].rstrip(",:")
    begun = f"{text[:1].upper()}{text[1:]}" if first.isalpha() else text
    return f"{begun.rstrip('.')}{end}"


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("consumer"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters.update({"ago": ago, "number": _number, "percent": _percent, "sentence": _sentence})
_ENVIRONMENT.globals["style"] = address("style.css")


def template(name: str) -> Callable[..., str]:
    """Return what makes a page from the values that the template names."""
    return _ENVIRONMENT.get_template(name).render
