"""How a value is written in YAML, so that every reader takes it for what it is, in a line of its own or in braces."""

import re
from collections.abc import Mapping
from functools import lru_cache

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode

from consumer.settings.references import Reference

Value = str | int | bool | Reference | Mapping[str, "Value"]
"""What can be put into a file."""

_UNQUOTED = re.compile(r"[\w/](?:[\w.:/@+-]*\w)?")
_YES_AND_NO = {"y", "n", "yes", "no", "on", "off"}  # truths of YAML 1.1, which other programs still speak
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def written(value: Value) -> str:
    """Return `value` on one line: text in quotes if it could be taken for something else, mappings in braces."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return value if _is_safe(value) else f'"{"".join(map(_escaped, value))}"'
        case _:
            return f"{{{', '.join(f'{written(key)}: {written(each)}' for key, each in plain(value).items())}}}"


def plain(value: Value) -> dict[str, Value]:
    """Return a mapping or reference as the mapping that it is in the file."""
    match value:
        case Reference(kind, target):
            return {kind: target}
        case Mapping():
            return dict(value)
    raise TypeError


@lru_cache(maxsize=1024)
def _is_safe(text: str) -> bool:
    return (
        _UNQUOTED.fullmatch(text) is not None
        and text.casefold() not in _YES_AND_NO
        and all(_is_text(text, version) for version in ((1, 1), (1, 2)))
    )


def _is_text(text: str, version: tuple[int, int]) -> bool:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    node = yaml.compose(text)
    return isinstance(node, ScalarNode) and str(node.tag).endswith(":str") and node.value == text


def _escaped(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x1_0000 else f"\\U{code:08x}"  # noqa: PLR2004 - what four digits can say
