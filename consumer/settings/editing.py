"""Changes of a YAML text that leave all the rest of it as it is, byte for byte: comments, order, quoting, line ends.

Nothing is written anew: by the marks of what was parsed, pieces of the text are replaced, put in and taken out. Then
the new text is parsed, and must say exactly what the old one said plus the change; what does not is refused.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from consumer.errors import ConfigurationError, NotEditable, Problem
from consumer.settings import document
from consumer.settings.document import Document
from consumer.settings.references import Reference
from consumer.settings.scalars import Value, plain, written
from consumer.settings.values import Place, place_text

Pair = tuple[Node, Node]

_COMMENT = re.compile(r"#.*\n")  # at least; what is looked at ends with a value, so a comment in it ends before that
_COLON = re.compile(r"\s*:")
_ALIAS = re.compile(r"[ \t]*\*[^\s,\[\]{}]+")
_STEP = 2


def put(said: Document, place: Place, value: Value) -> Document:
    """Set `place`, a path of keys, to `value`; what is missing on the way is made.

    A mapping joins the one that is there, key by key; everything else takes the place of what is there. Raises
    NotEditable.
    """
    edits = _Edits(said, place, f"Write `{place[-1]}: {written(value)}` there by hand")
    wanted = _around(place, value)
    edits.merge_root(wanted)
    return edits.done(_merged(said.tree, wanted))


def rename(said: Document, place: Place, name: str, value: Mapping[str, Value]) -> Document:
    """Give the entry at `place` another key, and join `value` to it; it stays where it is. Raises NotEditable."""
    edits = _Edits(said, place, f"Write `{written(name)}: {written(value)}` there by hand")
    edits.replace(edits.pairs(place)[-1][0], written(name))
    wanted = _around(place, value) if value else {}
    edits.merge_root(wanted)
    return edits.done(_changed(_merged(said.tree, wanted), place, lambda entry: {name: entry}))


def remove(said: Document, place: Place) -> Document:
    """Take the entry at `place` out, with the comments inside it; those above it stay. Raises NotEditable."""
    edits = _Edits(said, place, "Remove it by hand")
    edits.remove(edits.pairs(place))
    return edits.done(_changed(said.tree, place, lambda _: {}))


def span(said: Document, place: Place) -> tuple[int, int] | None:
    """Return where the value at `place` begins and ends in the text, wherever an alias has it from; None: nowhere."""
    node = said.root
    for key in place:
        pair = _pair(node, str(key))
        if pair is None:
            return None
        node = pair[1]
    return None if node is None else (node.start_mark.index, node.end_mark.index)


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


class _Edits:
    """The pieces of a text that are to be replaced, gathered until they are `done`."""

    def __init__(self, said: Document, place: Place, by_hand: str) -> None:
        self._said = said
        self._text = said.text
        self._place = place
        self._by_hand = by_hand
        self._edits: list[_Edit] = []
        self._line_end = "\r\n" if "\r\n" in said.text else "\n"
        self._step = _step(said.root)

    def done(self, expected: object) -> Document:
        """Return the new document, which must say what is `expected`."""
        pieces, at = [], 0
        for edit in sorted(self._edits, key=lambda each: (each.start, each.end)):
            pieces += [self._text[at : edit.start], edit.text]
            at = edit.end
        try:
            said = document.parse(self._said.path, "".join([*pieces, self._text[at:]]))
        except ConfigurationError:
            self._refuse("the file would no longer be valid YAML")
        if repr(said.tree) != repr(expected):  # 1 is equal to true, but does not look like it
            self._refuse("an alias, a merge key or a key that is there twice would change more than this")
        return said

    def pairs(self, place: Place) -> list[Pair]:
        """Return key and value of each step of the way to `place`."""
        found: list[Pair] = []
        for key in place:
            pair = _pair(found[-1][1] if found else self._said.root, str(key))
            if pair is None:
                self._refuse("it is not there as it stands, but through an alias or a merge key")
            found.append(pair)
        return found

    def merge_root(self, wanted: Mapping[str, Value]) -> None:
        """Join `wanted` to the whole document."""
        root = self._said.root
        if isinstance(root, MappingNode) and root.value:
            self._merge(root, wanted, self._said.tree)
        elif root is None or root.start_mark.index == root.end_mark.index:
            self._insert(len(self._text), self._lines(wanted, ""))
        else:
            self.replace(root, written(wanted))

    def replace(self, node: Node, text: str) -> None:
        """Put `text` in the place of what stands in braces, or is one value."""
        start, end = node.start_mark.index, node.end_mark.index
        if node.anchor is not None:
            self._refuse("it has an anchor, which an alias may name")
        if _COMMENT.search(self._text, start, end) and not isinstance(node, ScalarNode):
            self._refuse("there is a comment inside")
        if isinstance(node, ScalarNode) and node.style in {"|", ">"}:
            self._refuse("it is a block of text")
        self._edits.append(_Edit(start, end, text))

    def remove(self, pairs: list[Pair]) -> None:
        """Take the last of `pairs` out of the mapping that the one before it holds."""
        (outer, mapping), (key, value) = pairs[-2:]
        if isinstance(mapping, MappingNode) and mapping.flow_style:
            self._remove_in_braces(mapping, (key, value))
            return
        start = self._line_start(key)
        after = self._after(self._end(key, value), key.start_mark.column)
        self._edits.append(_Edit(start, after, ""))
        if len(mapping.value) == 1:
            if mapping.anchor is not None:
                self._refuse("what holds it has an anchor, which an alias may name")
            colon = self._colon(outer)
            self._edits.append(_Edit(colon, colon, " {}"))

    def _remove_in_braces(self, mapping: MappingNode, pair: Pair) -> None:
        at = next(number for number, each in enumerate(mapping.value) if each[0] is pair[0])
        start, end = pair[0].start_mark.index, self._end(*pair)
        if at > 0:
            start = self._end(*mapping.value[at - 1])
        elif len(mapping.value) > 1:
            end = mapping.value[1][0].start_mark.index
        if _COMMENT.search(self._text, start, end):
            self._refuse("there is a comment inside or beside it")
        self._edits.append(_Edit(start, end, ""))

    def _merge(self, node: MappingNode, wanted: Mapping[str, Value], old: object) -> None:
        added: dict[str, Value] = {}
        for key, value in wanted.items():
            was = old.get(key) if isinstance(old, dict) else None
            pair = _pair(node, key)
            if pair is None:
                added[key] = value
            elif repr(was) != repr(_merged(was, value)):
                self._change(node, pair, value, was)
        if added:
            self._add(node, added)

    def _change(self, around: MappingNode, pair: Pair, wanted: Value, old: object) -> None:
        key, node = pair
        if node.start_mark.index < key.end_mark.index:
            self._refuse("an alias stands there")
        if isinstance(wanted, Mapping):
            self._join(around, pair, wanted, old)
        elif isinstance(node, MappingNode) and isinstance(wanted, Reference) and _is_of_kind(node, wanted):
            self._merge(node, plain(wanted), old)
        elif isinstance(node, MappingNode | SequenceNode) and not node.flow_style:
            start, end = self._colon(key), self._end(key, node)
            if _COMMENT.search(self._text, start, end) or node.anchor is not None:
                self._refuse("there is a comment or an anchor inside")
            self._edits.append(_Edit(start, end, f" {written(wanted)}"))
        elif node.start_mark.index == node.end_mark.index:
            colon = self._colon(key)
            self._edits.append(_Edit(colon, colon, f" {written(wanted)}"))
        else:
            self.replace(node, written(wanted))

    def _join(self, around: MappingNode, pair: Pair, wanted: Mapping[str, Value], old: object) -> None:
        key, node = pair
        if isinstance(node, MappingNode) and node.value:
            self._merge(node, wanted, old)
        elif old or not _is_empty(node):
            self._refuse("what stands there is no mapping")
        elif not around.flow_style:
            self._fill(key, node, wanted)
        elif node.start_mark.index == node.end_mark.index:
            self._edits.append(_Edit(self._colon(key), self._colon(key), f" {written(wanted)}"))
        else:
            self.replace(node, written(wanted))

    def _fill(self, key: Node, node: Node, wanted: Mapping[str, Value]) -> None:
        """Put the lines of a mapping below the key whose value is empty: nothing, `~`, `null` or `{}`."""
        colon, column = self._colon(key), key.start_mark.column
        end = self._end(key, node)
        self._line_start(key)
        if end > colon:
            if "\n" in self._text[colon:end] or node.anchor is not None:
                self._refuse("there is an anchor or a line end inside")
            self._edits.append(_Edit(colon, end, ""))
        self._insert(self._after(end, column), self._lines(wanted, " " * (column + self._step)))

    def _add(self, mapping: MappingNode, added: Mapping[str, Value]) -> None:
        """Put new entries behind the last one of a mapping that has some."""
        last, value = mapping.value[-1]
        end = self._end(last, value)
        if mapping.flow_style:
            text = written(added)[1:-1]
            self._edits.append(_Edit(end, end, f", {text}"))
            return
        column = last.start_mark.column
        self._line_start(last)
        lines = self._lines(added, " " * column)
        if len(mapping.value) > 1 and self._has_gap(*mapping.value[-2:]):
            lines = ["", *lines]
        self._insert(self._after(end, column), lines)

    def _has_gap(self, one: Pair, other: Pair) -> bool:
        """Tell whether an empty line parts two entries."""
        between = self._text[self._end(*one) : other[0].start_mark.index]
        return any(not line.strip() for line in between.split("\n")[1:-1])

    def _lines(self, wanted: Mapping[str, Value], indent: str) -> list[str]:
        lines: list[str] = []
        for key, value in wanted.items():
            if isinstance(value, Mapping) and value:
                lines += [f"{indent}{written(key)}:", *self._lines(value, indent + " " * self._step)]
            else:
                lines.append(f"{indent}{written(key)}: {written(value)}")
        return lines

    def _insert(self, at: int, lines: list[str]) -> None:
        unfinished = at > 0 and self._text[at - 1] not in "\n\ufeff"
        text = "".join(f"{line}{self._line_end}" for line in lines)
        self._edits.append(_Edit(at, at, self._line_end + text if unfinished else text))

    def _line_start(self, key: Node) -> int:
        """Return where the line of `key` begins; nothing may stand before it there."""
        start = self._text.rfind("\n", 0, key.start_mark.index) + 1
        if self._text[start : key.start_mark.index].strip(" \ufeff"):
            self._refuse("something stands before it in its line")
        return start

    def _colon(self, key: Node) -> int:
        """Return where the colon behind `key` ends."""
        match = _COLON.match(self._text, key.end_mark.index)
        if match is None:
            self._refuse("there is no colon behind its name")
        return match.end()

    def _end(self, key: Node, value: Node) -> int:
        """Return where an entry ends: the place behind its last character that is no comment."""
        if value.start_mark.index < key.end_mark.index:
            alias = _ALIAS.match(self._text, self._colon(key))
            return self._refuse("an alias stands there") if alias is None else alias.end()
        if isinstance(value, MappingNode) and not value.flow_style:
            return self._end(*value.value[-1])
        if isinstance(value, SequenceNode) and not value.flow_style:
            return self._end_of_item(value.value[-1])
        return self._colon(key) if value.start_mark.index == value.end_mark.index else int(value.end_mark.index)

    def _end_of_item(self, item: Node) -> int:
        """Return where an item of a list ends; an alias ends where what it names does, and is found out later."""
        if isinstance(item, MappingNode) and not item.flow_style:
            return self._end(*item.value[-1])
        if isinstance(item, SequenceNode) and not item.flow_style:
            return self._end_of_item(item.value[-1])
        return int(item.end_mark.index)

    def _after(self, end: int, column: int) -> int:
        """Return where the next line begins, behind the comments that are deeper than `column`."""
        after = end if self._text[end - 1 : end] == "\n" else self._next_line(end)
        look = after
        while look < len(self._text):
            line = self._text[look : self._next_line(look)]
            bare = line.strip()
            if bare and not (bare.startswith("#") and len(line) - len(line.lstrip()) > column):
                break
            look += len(line)
            after = look if bare else after
        return after

    def _next_line(self, index: int) -> int:
        return self._text.find("\n", index) + 1 or len(self._text)

    def _refuse(self, why: str) -> NoReturn:
        rule = f"cannot be changed by program: {why}"
        problem = Problem(place_text(self._place), self._said.line(self._place), rule, self._by_hand)
        raise NotEditable(str(self._said.path), (problem,))


def _pair(node: Node | None, key: str) -> Pair | None:
    pairs: list[Pair] = node.value if isinstance(node, MappingNode) else []
    return next((pair for pair in pairs if isinstance(pair[0], ScalarNode) and pair[0].value == key), None)


def _is_empty(node: Node) -> bool:
    return str(node.tag).endswith(":null") or (isinstance(node, MappingNode | SequenceNode) and not node.value)


def _is_of_kind(node: MappingNode, reference: Reference) -> bool:
    return len(node.value) == 1 and _pair(node, reference.kind) is not None


def _step(root: Node | None) -> int:
    """Return by how much the file indents: the accounts and connectors first."""
    pairs: list[Pair] = root.value if isinstance(root, MappingNode) else []
    ours = [pair for pair in pairs if pair[0].value in {"accounts", "connectors"}]
    for key, value in [*ours, *pairs]:
        if isinstance(value, MappingNode) and not value.flow_style:
            step = value.value[0][0].start_mark.column - key.start_mark.column
            return step if step > 0 else _STEP
    return _STEP


def _around(place: Place, value: Value) -> Mapping[str, Value]:
    """Return the mapping that has `value` at `place`."""
    wanted: Mapping[str, Value] = {str(place[-1]): value}
    for key in reversed(place[:-1]):
        wanted = {str(key): wanted}
    return wanted


def _merged(old: object, value: Value) -> object:
    """Return what is to be in a tree where `old` is."""
    if isinstance(value, Reference):
        return plain(value)
    if not isinstance(value, Mapping):
        return value
    base = old if isinstance(old, dict) else {}
    return {**base, **{key: _merged(base.get(key), each) for key, each in value.items()}}


def _changed(tree: object, place: Place, become: Callable[[object], dict[object, object]]) -> dict[object, object]:
    """Return `tree` with what `become` makes of the value at `place` instead of the entry there."""
    changed: dict[object, object] = {}
    for key, value in tree.items() if isinstance(tree, dict) else ():
        if key != place[0]:
            changed[key] = value
        elif len(place) > 1:
            changed[key] = _changed(value, place[1:], become)
        else:
            changed.update(become(value))
    return changed
