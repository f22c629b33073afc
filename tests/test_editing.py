"""Changes of a YAML text: what is asked for happens, and nothing else does, down to the last byte."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.errors import NotEditable
from consumer.settings import editing
from consumer.settings.document import Document, parse
from consumer.settings.references import Reference
from consumer.settings.scalars import Value, plain, written

FILE = Path("config.yaml")
FIELDS = ("account", "list_id", "source", "enabled")
NAMES = ("vip", "yes", "null", "007", "a.b", "zürich", "1e3", "2001-01-01", "true", "file", "-", "0x1F", "1_000", "x-1")
COMMENTS = ("# a comment", "#", "# key: value", "#- 'quoted\" {[", "# ünïcödé")
ODD = ("", " ", "a: b", "a #b", "'", '"', "\\", "{x}", "- a", "*a", "&a", "%", "~", "\n", "\t", "é\u2028", "no", *NAMES)


def said(text: str) -> Document:
    """Return what `text` says."""
    return parse(FILE, text)


def put(text: str, path: str, value: Value) -> str:
    """Return `text` with `value` at `path`, whose keys are parted by slashes."""
    return editing.put(said(text), tuple(path.split("/")), value).text


def remove(text: str, path: str) -> str:
    """Return `text` without the entry at `path`."""
    return editing.remove(said(text), tuple(path.split("/"))).text


# Random files: each line knows to which connector, and to which of its keys, it belongs.


@dataclass(frozen=True)
class Line:
    """A line of a random file; `entry` and `key` are those it belongs to, if any."""

    text: str
    entry: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Lines:
    """A random file, the names of its connectors, and what ends its lines."""

    lines: tuple[Line, ...]
    names: tuple[str, ...]
    end: str
    finished: bool
    marked: bool

    @property
    def text(self) -> str:
        """The file's text."""
        body = self.end.join(line.text for line in self.lines) + (self.end if self.finished else "")
        return ("\ufeff" if self.marked else "") + body

    def see_kept(self, text: str, entry: str | None = None, key: str | None = None) -> None:
        """See that all lines are in `text`, in their order, but those of `entry`, or of its `key` alone."""
        kept = [
            line.text
            for line in self.lines
            if not line.text.startswith("connectors:")  # `{}` behind it may go and come
            and (line.entry is None or line.entry != entry or (key is not None and line.key != key))
        ]
        now = iter(text.removeprefix("\ufeff").split(self.end))
        assert [line for line in kept if line not in now] == []
        assert text.startswith("\ufeff") == self.marked
        assert self.end not in self.text or text.count("\n") == text.count(self.end)


def values() -> st.SearchStrategy[Value]:
    """Return what may stand in a file, easy and hard to write."""
    texts = st.one_of(st.sampled_from(ODD), st.text(st.characters(codec="utf-8"), max_size=8))
    references = st.builds(Reference, st.sampled_from(["file", "env"]), texts)
    return st.one_of(texts, st.integers(0, 2**63), st.booleans(), references)


def fields(least: int = 0) -> st.SearchStrategy[dict[str, Value]]:
    """Return what a connector may hold."""
    return st.dictionaries(st.sampled_from(FIELDS), values(), min_size=least)


@st.composite
def notes(draw: st.DrawFn, entry: str | None, columns: tuple[int, ...]) -> list[Line]:
    """Draw empty lines and comments."""
    texts = draw(st.lists(st.sampled_from(["", *COMMENTS]), max_size=2))
    return [Line(" " * draw(st.sampled_from(columns)) + text if text else "", entry) for text in texts]


@st.composite
def entries(draw: st.DrawFn, name: str, step: int) -> list[Line]:
    """Draw the lines of one connector: nothing, braces, or a line for each field."""
    quoted = draw(st.sampled_from([written(name), f"'{name}'"]))
    start = " " * step + quoted + ":"
    beside = draw(st.sampled_from(["", "  # said beside it"]))
    held = draw(fields())
    if not held:
        return [Line(start + beside, name)]
    if draw(st.booleans()):
        return [Line(f"{start} {written(held)}{beside}", name)]
    lines = [Line(start + beside, name)]
    for key, value in held.items():
        lines += draw(notes(name, (0, step, 2 * step))) if len(lines) > 1 else []
        tail = draw(st.sampled_from(["", " # beside", "   "]))
        lines.append(Line(f"{' ' * 2 * step}{key}: {written(value)}{tail}", name, key))
    return lines + [Line(" " * 2 * step + text, name) for text in draw(st.lists(st.sampled_from(COMMENTS), max_size=1))]


@st.composite
def files(draw: st.DrawFn, least: int = 0) -> Lines:
    """Draw a file with a section `connectors`, perhaps empty, and others around it."""
    step = draw(st.integers(1, 4))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=least, max_size=4))
    heads = ["connectors:", "connectors: # ours"] + ([] if names else ["connectors: {}", "connectors:  ~ # none"])
    ours = [Line(draw(st.sampled_from(heads)))]
    for name in names:
        ours += draw(notes(None, (0, step))) + draw(entries(name, step))
    inner = " " * step
    others = [
        [Line("kafka:"), Line(f"{inner}group.id: g # x"), Line("")],
        [Line("hubspot:"), Line(f"{inner}ca: |"), Line(f"{inner * 2}# no comment"), Line(f"{inner * 2}b")],
        [Line("topics: {changes: [a, b]}")],
        [Line("lists:"), Line("- one"), Line("- two # x")],
    ]
    sections = draw(st.permutations([ours, *draw(st.lists(st.sampled_from(others), unique_by=id))]))
    top = draw(st.sampled_from([[], [Line("---")], [Line("# top"), Line("")]]))
    bottom = draw(st.sampled_from([[], [Line("# bottom")], [Line("")], [Line("...")]]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return Lines(tuple(chain(top, *sections, bottom)), tuple(names), end, draw(st.booleans()), draw(st.booleans()))


def connectors(document: Document) -> dict[object, object]:
    """Return the connectors of a document."""
    section = document.tree["connectors"] or {}
    assert isinstance(section, dict)
    return section


def around(document: Document) -> dict[object, object]:
    """Return all but the connectors."""
    return {key: value for key, value in document.tree.items() if key != "connectors"}


def as_read(held: Mapping[str, Value]) -> dict[str, object]:
    """Return what a program that reads the file finds."""
    return {key: plain(value) if isinstance(value, Reference) else value for key, value in held.items()}


@given(files(), st.sampled_from(NAMES), fields(1))
def test_a_new_entry_leaves_every_line_as_it_is(file: Lines, name: str, held: dict[str, Value]) -> None:
    """It stands behind the others, and says what it is to say."""
    if name in file.names:
        return
    old = said(file.text)
    new = editing.put(old, ("connectors", name), held)
    file.see_kept(new.text)
    assert list(connectors(new).items()) == [*connectors(old).items(), (name, as_read(held))]
    assert around(new) == around(old)


@given(files(1), st.data(), st.sampled_from(FIELDS), values())
def test_a_changed_value_changes_no_line_but_its_own(file: Lines, data: st.DataObject, key: str, value: Value) -> None:
    """Whether the key was there, or is new."""
    name = data.draw(st.sampled_from(file.names))
    old = said(file.text)
    new = editing.put(old, ("connectors", name, key), value)
    in_braces = not any(line.entry == name and line.key for line in file.lines)
    file.see_kept(new.text, name, None if in_braces else key)
    had = connectors(old)[name] or {}
    assert isinstance(had, dict)
    assert repr(connectors(new)) == repr({**connectors(old), name: {**had, **as_read({key: value})}})
    assert around(new) == around(old)


@given(files(1), st.data(), st.sampled_from(NAMES))
def test_a_new_name_changes_one_line(file: Lines, data: st.DataObject, name: str) -> None:
    """The entry stays where it is, with all that it says."""
    old_name = data.draw(st.sampled_from(file.names))
    if name in file.names:
        return
    old = said(file.text)
    new = editing.rename(old, ("connectors", old_name), name, {})
    changed = [one for one, other in zip(old.text.split("\n"), new.text.split("\n"), strict=True) if one != other]
    assert len(changed) == 1
    renamed = [(name if key == old_name else key, value) for key, value in connectors(old).items()]
    assert list(connectors(new).items()) == renamed
    assert around(new) == around(old)


@given(files(1), st.data())
def test_what_is_removed_takes_nothing_else_with_it(file: Lines, data: st.DataObject) -> None:
    """The comments above an entry stay: they may be about more than it."""
    name = data.draw(st.sampled_from(file.names))
    old = said(file.text)
    new = editing.remove(old, ("connectors", name))
    file.see_kept(new.text, name)
    assert connectors(new) == {key: value for key, value in connectors(old).items() if key != name}
    assert around(new) == around(old)


@given(files(1), fields(1))
def test_what_was_put_in_and_removed_leaves_no_trace(file: Lines, held: dict[str, Value]) -> None:
    """But a line end behind what was the last line, and an empty line that parts entries."""
    new = editing.put(said(file.text), ("connectors", "new"), held)
    text = editing.remove(new, ("connectors", "new")).text
    assert [line for line in text.split(file.end) if line] == [line for line in file.text.split(file.end) if line]


@given(st.dictionaries(st.sampled_from(NAMES), fields(), min_size=1), st.data(), fields(1))
def test_braces_stay_braces(held: dict[str, dict[str, Value]], data: st.DataObject, new: dict[str, Value]) -> None:
    """A section on one line is changed where it stands."""
    old = said(f"# top\nconnectors: {written(held)}  # ours\nkafka: 1\n")
    name = data.draw(st.sampled_from(NAMES))
    if name in held and data.draw(st.booleans()):
        document = editing.remove(old, ("connectors", name))
        expected = {key: as_read(each) for key, each in held.items() if key != name}
    else:
        document = editing.put(old, ("connectors", name), new)
        expected = {key: as_read(each) for key, each in held.items()}
        expected[name] = expected.get(name, {}) | as_read(new)
    assert repr(connectors(document)) == repr(expected)
    assert [document.text.startswith("# top\nconnectors: {"), document.text.endswith("}  # ours\nkafka: 1\n")] == [
        True
    ] * 2


ACME = {"acme": {"client_id": "x"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "accounts:\n  acme:\n    client_id: x\n"),
        ("\ufeff", "\ufeffaccounts:\n  acme:\n    client_id: x\n"),
        ("# to do", "# to do\naccounts:\n  acme:\n    client_id: x\n"),
        ("---\n", "---\naccounts:\n  acme:\n    client_id: x\n"),
        ("{}\n", "{accounts: {acme: {client_id: x}}}\n"),
        ("{a: 1,}\n", "{a: 1, accounts: {acme: {client_id: x}},}\n"),
        ("a: 1\n...\n", "a: 1\naccounts:\n  acme:\n    client_id: x\n...\n"),
        ("a: 1 # one\n# end\n", "a: 1 # one\naccounts:\n  acme:\n    client_id: x\n# end\n"),
        ("a:\n    b: 1", "a:\n    b: 1\naccounts:\n    acme:\n        client_id: x\n"),
        ("a: 1\r\n\r\nb: 1\r\n", "a: 1\r\n\r\nb: 1\r\n\r\naccounts:\r\n  acme:\r\n    client_id: x\r\n"),
        ("accounts:\n# c\na: 1\n", "accounts:\n  acme:\n    client_id: x\n# c\na: 1\n"),
        (
            "accounts:\n  # old:\n  #   x: 1\na: 1\n",
            "accounts:\n  # old:\n  #   x: 1\n  acme:\n    client_id: x\na: 1\n",
        ),
        ("accounts: {} # c\n", "accounts: # c\n  acme:\n    client_id: x\n"),
        ("accounts: []\n", "accounts:\n  acme:\n    client_id: x\n"),
        ("accounts:\n  acme:\n\n# c\n", "accounts:\n  acme:\n    client_id: x\n\n# c\n"),
        ("a: &x 1\nb: *x  # c", "a: &x 1\nb: *x  # c\naccounts:\n  acme:\n    client_id: x\n"),
        ("a:\n- - 1\n  - b: 2 # c\n# d\n", "a:\n- - 1\n  - b: 2 # c\naccounts:\n  acme:\n    client_id: x\n# d\n"),
        ("a: |+\n  b\n\n\n# c\n", "a: |+\n  b\n\n\naccounts:\n  acme:\n    client_id: x\n# c\n"),
    ],
)
def test_an_entry_goes_where_a_person_would_put_it(text: str, expected: str) -> None:
    """Below the last entry and the comments inside it, indented and ended as the file does it."""
    assert editing.put(said(text), ("accounts",), ACME).text == expected


def test_an_empty_line_between_entries_is_kept_up() -> None:
    """Where the file parts its entries, so does the new one."""
    assert put("c:\n  a: 1\n\n  # two\n  b: 2\n", "c/d", 3) == "c:\n  a: 1\n\n  # two\n  b: 2\n\n  d: 3\n"


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("c: {s: {file: a}} # x", Reference("file", "b"), "c: {s: {file: b}} # x"),
        ("c: {s: {file: a}}", Reference("env", "B"), "c: {s: {env: B}}"),
        ("c:\n  s:\n    file: 'a' # x\n", Reference("file", "b"), "c:\n  s:\n    file: b # x\n"),
        ("c:\n  s:\n    file: 'a' # x\n", Reference("env", "B"), "c:\n  s: {env: B} # x\n"),
        ("c:\n  s: [1,\n   2] # x\n", 5, "c:\n  s: 5 # x\n"),
        ("c:\n  s: # x\n", 5, "c:\n  s: 5 # x\n"),
        ("c:\n  s: 1 # x\n", "5", 'c:\n  s: "5" # x\n'),
        ("c:\n  s: 'one\n    two'\n", True, "c:\n  s: true\n"),
        ("c:\n  s: 1\n", True, "c:\n  s: true\n"),
        ("c:\n  s: 'yes'\n", "yes", "c:\n  s: 'yes'\n"),
    ],
)
def test_a_value_is_changed_where_it_stands(text: str, value: Value, expected: str) -> None:
    """What is beside it stays, and what is the same already is left as it is written."""
    assert put(text, "c/s", value) == expected


ALIASED = "c:\n  a: &d {x: 1}\n  b: *d\n  e:\n    <<: *d\n    y: &z 2\n  f: {y: *z}\n"


@pytest.mark.parametrize(
    ("text", "path", "value", "why"),
    [
        (ALIASED, "c/a/x", 2, "an alias, a merge key or a key that is there twice would change more than this"),
        (ALIASED, "c/b/x", 2, "an alias stands there"),
        (ALIASED, "c/e/y", 3, "it has an anchor, which an alias may name"),
        (ALIASED, "c/f/y", 3, "an alias stands there"),
        ("c:\n  ? a\n  : x: 1\n", "c/b", 1, "something stands before it in its line"),
        ("c: {a, b: 1}\n", "c/a", 1, "there is no colon behind its name"),
        ("c: {\n}\n", "c/a", 1, "there is an anchor or a line end inside"),
        ("c: &x\n", "c/a", 1, "there is an anchor or a line end inside"),
        ("c: {s: [1, # one\n 2]}\n", "c/s", 1, "there is a comment inside"),
        ("c:\n  s:\n    - 1 # one\n    - 2\n", "c/s", 1, "there is a comment or an anchor inside"),
        ("c:\n  s: |\n    text\n", "c/s", 1, "it is a block of text"),
        ("c: text\n", "c/s", 1, "what stands there is no mapping"),
        ("---\n...\n", "c/s", 1, "the file would no longer be valid YAML"),
    ],
)
def test_what_would_touch_something_else_is_refused(text: str, path: str, value: int, why: str) -> None:
    """The refusal names place, reason, and what to write by hand."""
    with pytest.raises(NotEditable) as caught:
        put(text, path, value)
    [problem] = caught.value.problems
    last = path.rpartition("/")[2]
    assert problem.place == path.replace("/", ".")
    assert (problem.rule, problem.remedy) == (
        f"cannot be changed by program: {why}",
        f"Write `{last}: {value}` there by hand",
    )


def test_one_and_true_are_not_the_same() -> None:
    """Also where an alias would change with it, unseen by a comparison that takes them for equal."""
    with pytest.raises(NotEditable, match="would change more than this"):
        put("c:\n  a: &m {e: 1}\n  b: *m\n", "c/a/e", value=True)


def test_an_entry_gets_another_name_and_other_values_at_once() -> None:
    """Its own lines change, where they stand."""
    text = "c:\n  a: # one\n    x: 1 # two\n  b:\n"
    assert editing.rename(said(text), ("c", "a"), "yes", {"x": 2, "y": 3}).text == (
        'c:\n  "yes": # one\n    x: 2 # two\n    "y": 3\n  b:\n'
    )


def test_aliases_and_merge_keys_elsewhere_do_no_harm() -> None:
    """An entry behind them is put in, and what is merged can be said anew."""
    assert put(ALIASED, "c/g", 1) == ALIASED + "  g: 1\n"
    assert put(ALIASED, "c/e/x", 3) == ALIASED.replace("y: &z 2\n", "y: &z 2\n    x: 3\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "c:\n  # about a\n  a:\n    x: 1\n    # y: 2\n  # about b\n  b: 1\n",
            "c:\n  # about a\n  # about b\n  b: 1\n",
        ),
        ("c: # ours\n  a: 1\n# end", "c: {} # ours\n# end"),
        ("c: {a: 1, b: 2}\n", "c: {b: 2}\n"),
        ("c: {b: 2,\n  a: 1 }\n", "c: {b: 2 }\n"),
        ("c: {a: 1}\n", "c: {}\n"),
        ("c:\n  b: 2\n  a: 1", "c:\n  b: 2\n"),
    ],
)
def test_an_entry_goes_with_what_is_inside_it(text: str, expected: str) -> None:
    """Comments that are deeper than its name are its own."""
    assert remove(text, "c/a") == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("c: {b: 1, # about b\n a: 2}\n", "there is a comment inside or beside it"),
        ("c: &x\n  a: 1\nd: *x\n", "what holds it has an anchor, which an alias may name"),
        ("c:\n  a: 1\n  a: 2\n", "an alias, a merge key or a key that is there twice would change more than this"),
        ("d: &x {a: 1}\nc:\n  <<: *x\n", "it is not there as it stands, but through an alias or a merge key"),
    ],
)
def test_what_would_take_more_with_it_is_not_removed(text: str, why: str) -> None:
    """The refusal says why, and that a person can."""
    with pytest.raises(NotEditable, match=why) as caught:
        remove(text, "c/a")
    assert str(caught.value).endswith("Remove it by hand.")
