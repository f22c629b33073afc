"""`{file: PATH}` and `{env: NAME}`, which may stand for any value, and must stand for a secret one."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from consumer.secret import Secret, SecretUnreadable
from consumer.settings.properties import SECRET_PROPERTY
from consumer.settings.values import Finding, Place

UNRESOLVED = object()
"""What stands in the tree where a finding already says that there is no value."""

GIVEN = Secret("given", place="given")
"""What stands in the tree for a secret that is taken to be there."""


class Reference(NamedTuple):
    """Where a value is read from: a path, relative to the folder of the configuration, or the name of a variable."""

    kind: Literal["file", "env"]
    target: str


_HOW = "Write {file: PATH} or {env: NAME} here"


def resolve(
    tree: Mapping[object, object], folder: Path, environ: Mapping[str, str], given: Collection[Place] = ()
) -> tuple[dict[str, object], list[Finding]]:
    """Return `tree` with every reference replaced by what it names, and what was wrong with them.

    A secret, and any client property that was referred to, becomes a Secret, other values become text. Relative
    paths start at `folder`. A reference at a place of `given` becomes `GIVEN` if there is nothing to read.
    """
    resolver = _Resolver(folder, environ, given)
    return resolver.mapping(tree, ()), resolver.findings


class _Resolver:
    def __init__(self, folder: Path, environ: Mapping[str, str], given: Collection[Place]) -> None:
        self.findings: list[Finding] = []
        self._given = given
        self._folder = folder
        self._environ = environ

    def mapping(self, tree: Mapping[object, object], place: Place) -> dict[str, object]:
        return {self._key(key, place): self._value(value, (*place, str(key))) for key, value in tree.items()}

    def _key(self, key: object, place: Place) -> str:
        if not isinstance(key, str):
            self.findings.append(Finding((*place, str(key)), "the key must be text", "Put it in quotes"))
        return str(key)

    def _value(self, value: object, place: Place) -> object:
        if isinstance(value, dict):
            return self._reference(value, place) if _is_reference(value) else self.mapping(value, place)
        if isinstance(value, list):
            return [self._value(item, (*place, index)) for index, item in enumerate(value)]
        if value is None:
            return self._wrong(place, "is empty", "Give it a value, or remove the line")
        if _is_secret(place):
            return self._wrong(place, "stands in the file itself; secrets come from a file or the environment", _HOW)
        return value

    def _reference(self, value: Mapping[object, object], place: Place) -> object:
        if len(value) > 1:
            return self._wrong(place, "names both a file and a variable", "Keep one of them")
        reference = reference_in(value)
        if reference is None:
            return self._wrong(place, f"names no {next(iter(value))}", _HOW)
        try:
            if reference.kind == "file":
                secret = Secret.from_file(self._folder / reference.target)
            else:
                secret = Secret.from_environment(reference.target, self._environ)
        except SecretUnreadable as error:
            if place in self._given:
                return GIVEN
            return self._wrong(place, error.rule, error.remedy)
        return secret if _is_secret(place) or _is_property(place) else secret.reveal()

    def _wrong(self, place: Place, rule: str, remedy: str) -> object:
        self.findings.append(Finding(place, rule, remedy))
        return UNRESOLVED


def reference_in(value: object) -> Reference | None:
    """Return what `value` refers to; None if it is no reference, or one that names nothing."""
    match list(value.items()) if isinstance(value, Mapping) else []:
        case [("file" | "env" as kind, str(target))] if target:
            return Reference(kind, target)
    return None


def _is_reference(value: Mapping[object, object]) -> bool:
    """Tell `{file: PATH}` from a connector or account that happens to be called `file`."""
    named = bool(value) and value.keys() <= {"file", "env"}
    return named and not any(isinstance(target, dict | list) for target in value.values())


def _is_property(place: Place) -> bool:
    return len(place) > 1 and place[0] in {"kafka", "schema_registry"}


def _is_secret(place: Place) -> bool:
    match place:
        case ("accounts", _, "client_secret" | "refresh_token"):
            return True
        case ("kafka" | "schema_registry", str(name)):
            return SECRET_PROPERTY.search(name) is not None
    return False
