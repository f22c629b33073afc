"""How values are written in YAML."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from consumer.settings.references import Reference
from consumer.settings.scalars import written

OTHERS: tuple[str, ...] = (
    "y",
    "N",
    "yes",
    "No",
    "on",
    "oFF",
    "true",
    "TRUE",
    "null",
    "~",
    "1e3",
    "0x1F",
    "1_000",
    "017",
    "0o7",
    "1:30",
)
OTHERS += (
    "2001-01-01",
    "2001-99-99",
    ".inf",
    "12",
    "-",
    "<<",
    "=",
    "a:",
    "a b",
    "#a",
    "",
    "@a",
    "\x85",
    "\u2028",
    "\ufeff",
)


@pytest.mark.parametrize("text", OTHERS)
def test_what_a_reader_could_take_for_something_else_is_in_quotes(text: str) -> None:
    """Also what only readers of YAML 1.1 take for a number, a date or a truth."""
    assert written(text).startswith('"')


@pytest.mark.parametrize("text", ["acme", "audience:vip", "a-b.c_d", "zürich", "11111111-2222-3333-4444-555555555555"])
def test_what_is_plain_stays_plain(text: str) -> None:
    """Ids, names and paths are written as people write them."""
    assert written(text) == text
    assert written(Reference("file", f"/run/{text}")) == f"{{file: /run/{text}}}"


def test_numbers_and_truths_are_written_as_such() -> None:
    """True is no number here."""
    assert [written(value) for value in (True, False, 1, 2**63)] == ["true", "false", "1", "9223372036854775808"]


@given(st.text(st.characters(codec="utf-8")))
@example("\U000e0001")
def test_every_text_is_read_back_as_it_was(text: str) -> None:
    """By itself, as a key, and in braces; by readers of either YAML."""
    for version in ((1, 1), (1, 2)):
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        assert yaml.load(f"{written(text)}: [{written(text)}, {{{written(text)}: b}}]") == {text: [text, {text: "b"}]}
