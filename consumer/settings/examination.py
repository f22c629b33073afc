"""What is wrong with a configuration: everything at once, and each thing once."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from pydantic import ValidationError

from consumer.errors import Problem
from consumer.settings import references, rules, words
from consumer.settings.document import Document
from consumer.settings.model import Settings
from consumer.settings.values import Finding, Place, place_text

BASE_URL = "HUBSPOT_BASE_URL"
"""The environment variable that overrides `hubspot.base_url`."""


class Examined(NamedTuple):
    """The settings, None where they cannot be made; the tree they are made of; what is wrong, by line."""

    settings: Settings | None
    tree: Mapping[str, object]
    problems: tuple[tuple[Place, Problem], ...]


def examine(said: Document, environ: Mapping[str, str], given: Collection[Place] = ()) -> Examined:
    """Look at all that a file says. The secrets at the places `given` are taken to be there, whatever they are."""
    tree, found = references.resolve(_override(said.tree, environ), said.path.parent, environ, given)
    settings = None
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        found = _with(found, words.findings(error))
    found = _with(found, rules.check(tree))
    problems = [*said.twice, *((finding.place, _problem(finding, said, environ)) for finding in found)]
    return Examined(settings, tree, tuple(sorted(problems, key=lambda each: each[1].line or 0)))


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


def _problem(finding: Finding, said: Document, environ: Mapping[str, str]) -> Problem:
    if finding.place == ("hubspot", "base_url") and environ.get(BASE_URL):
        return Problem(BASE_URL, None, finding.rule, finding.remedy)
    return Problem(place_text(finding.place), said.line(finding.place), finding.rule, finding.remedy)
