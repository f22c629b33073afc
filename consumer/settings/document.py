"""The YAML file as plain values, with the line of each of them.

No value of the file gets into a problem: a password may stand where the file is broken.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from consumer.errors import ConfigurationError, Problem
from consumer.settings.values import Place, place_text

MOST_VALUES = 500_000  # 10,000 connectors have 60,000; aliases of aliases of aliases would have any number


@dataclass(frozen=True)
class Document:
    """A file's text, its top-level mapping, the line (from 1) of each place in it, and the keys that are in it twice.

    `root` has the same values with the marks of where they stand; None where the text holds no value.
    """

    path: Path
    text: str = field(repr=False)
    tree: dict[object, object] = field(repr=False)
    root: Node | None = field(repr=False)
    lines: dict[Place, int] = field(repr=False)
    twice: tuple[tuple[Place, Problem], ...]

    def line(self, place: Place) -> int | None:
        """Return the line of `place`, or of the nearest thing around it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


def read(path: Path) -> Document:
    """Read the YAML file `path`; raises ConfigurationError where no mapping can be read from it."""
    said = text(path)
    if said is None:
        raise _unusable(path, "the file is not there", "Create it, or name another with --config")
    read = parse(path, said)
    if not isinstance(read.root, MappingNode):
        raise _unusable(path, "the file is empty", "Write at least kafka, accounts and connectors into it")
    return read


def text(path: Path) -> str | None:
    """Read the text of `path` as it is, line ends included; None if it is not there. Raises ConfigurationError."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, f"the file cannot be read ({error.strerror})", "Give this user the right to") from None
    except UnicodeDecodeError:
        raise _unusable(path, "the file is not UTF-8 text", "Save it as UTF-8") from None


def parse(path: Path, text: str) -> Document:
    """Read `text`, which is that of `path`; nothing but comments is an empty mapping. Raises ConfigurationError."""
    lines: dict[Place, int] = {}
    twice: list[tuple[Place, Problem]] = []
    try:
        yaml = _yaml()
        node = yaml.compose(text)
        for number, (place, line) in enumerate(_places(node, ())):
            if number == MOST_VALUES:
                rule = f"holds more than {MOST_VALUES:,} values, those of its aliases counted each time"
                raise _unusable(path, rule, "Use fewer aliases of aliases")
            if place in lines:
                rule = f"the key is here twice, first in line {lines[place]}"
                twice.append((place, Problem(place_text(place), line, rule, "Keep one of them")))
            lines.setdefault(place, line)
        # Merge keys are resolved by changing the nodes, whose marks are still needed then.
        tree = _yaml().load(text) if "<<" in text or node is None else yaml.constructor.construct_document(node)
    except MarkedYAMLError as error:
        rule = f"is not valid YAML ({_without_quotes(error)})"
        raise _unusable(path, rule, "Mend this line", _line(error)) from None
    except (YAMLError, ValueError):
        rule = "is not valid YAML (a character or value in it has no meaning)"
        raise _unusable(path, rule, "Put dates and unusual text in quotes") from None
    except RecursionError:
        rule = "is nested without end"
        raise _unusable(path, rule, "Use no alias inside the value that it names") from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise _unusable(path, "must be a mapping at its top level", "Begin with a line such as `kafka:`")
    return Document(path, text, tree, node, lines, tuple(twice))


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True  # found in `_places`: all of them, and without the values
    yaml.composer.warn_double_anchors = False  # the warning quotes the file
    return yaml


def _places(node: Node | None, place: Place) -> Iterator[tuple[Place, int]]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _places(value, inner)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            yield (*place, index), value.start_mark.line + 1
            yield from _places(value, (*place, index))


def _line(error: MarkedYAMLError) -> int | None:
    return None if error.problem_mark is None else int(error.problem_mark.line) + 1


def _without_quotes(error: MarkedYAMLError) -> str:
    return re.sub(r"'[^']{3,}'|\"[^\"]{3,}\"", "...", str(error.problem))


def _unusable(path: Path, rule: str, remedy: str, line: int | None = None) -> ConfigurationError:
    return ConfigurationError(str(path), (Problem("", line, rule, remedy),))
