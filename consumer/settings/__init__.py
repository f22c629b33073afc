"""The configuration: one YAML file, read once at start, checked as a whole.

`load` is the way in. It raises everything that is wrong at once, with place, line, rule and remedy.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from consumer.errors import ConfigurationError, Problem
from consumer.settings import document, references, rules, words
from consumer.settings.model import (
    Account,
    Admin,
    Audit,
    Connector,
    Guard,
    HubSpot,
    Limits,
    Retry,
    Settings,
    Shutdown,
    Surroundings,
    Topics,
    Window,
)
from consumer.settings.properties import Properties
from consumer.settings.values import Address, Finding, Place, Source, place_text

__all__ = [
    "Account",
    "Address",
    "Admin",
    "Audit",
    "Connector",
    "Guard",
    "HubSpot",
    "Limits",
    "Properties",
    "Retry",
    "Settings",
    "Shutdown",
    "Source",
    "Surroundings",
    "Topics",
    "Window",
    "load",
]

BASE_URL = "HUBSPOT_BASE_URL"
"""The environment variable that overrides `hubspot.base_url`."""


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """Read and check the configuration file `path`; raises ConfigurationError with every problem it has."""
    said = document.read(path)
    tree, found = references.resolve(_override(said.tree, environ), path.parent, environ)
    settings = None
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        found = _with(found, words.findings(error))
    found = _with(found, rules.check(tree))
    problems = [*said.twice, *(_problem(finding, said, environ) for finding in found)]
    if settings is None or problems:
        raise ConfigurationError(str(path), tuple(sorted(problems, key=lambda problem: problem.line or 0)))
    return settings


def _override(tree: dict[object, object], environ: Mapping[str, str]) -> dict[object, object]:
    hubspot = tree.get("hubspot") or {}
    if not environ.get(BASE_URL) or not isinstance(hubspot, dict):
        return tree
    return {**tree, "hubspot": {**hubspot, "base_url": environ[BASE_URL]}}


def _with(found: list[Finding], more: Iterable[Finding]) -> list[Finding]:
    """Add the findings at places where nothing has been found yet: one cause, one problem."""
    known = {finding.place for finding in found}
    return [*found, *(finding for finding in more if not known & set(_and_around(finding.place)))]


def _and_around(place: Place) -> Iterable[Place]:
    return (place[:length] for length in range(len(place) + 1))


def _problem(finding: Finding, said: document.Document, environ: Mapping[str, str]) -> Problem:
    if finding.place == ("hubspot", "base_url") and environ.get(BASE_URL):
        return Problem(BASE_URL, None, finding.rule, finding.remedy)
    return Problem(place_text(finding.place), said.line(finding.place), finding.rule, finding.remedy)
