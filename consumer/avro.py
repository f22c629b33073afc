"""Avro on the wire: what flows in is resolved to our schema, what goes out is encoded. No I/O, no registry.

- A message is framed as Confluent's serializers frame it: byte 0, four-byte schema id, body.
- Fields resolve by Avro's rules. The names of records and enums are not compared: every named type of the reader gets
  all names of the writer's types as aliases, which is Avro's own way of renaming.
- Logical types are dropped on both sides, so times are whole milliseconds and UUIDs strings. Only the unit of
  `occurred_at` is looked at: microseconds are brought to milliseconds.
- Nothing that a body holds makes decoding crash, hang or allocate: a schema with which it could is refused beforehand.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from io import BytesIO
from typing import Any, NamedTuple

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import to_parsing_canonical_form

from consumer.decoder import Decoder, compile_decoder

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
PER_MILLISECOND: Mapping[str | None, int] = {
    "timestamp-millis": 1,
    "timestamp-micros": 1_000,
    "timestamp-nanos": 1_000_000,
}

Node = str | list[Any] | dict[str, Any]
"""A schema as fastavro has it: a name, a union, or anything with properties."""

HEADER = 5
"""Bytes before the Avro body of a message."""

_HEADER = struct.Struct(">BI")
_REASON_LENGTH = 300  # fastavro quotes whole schemas


class IncompatibleSchema(Exception):  # noqa: N818 - says what the schema is, as the caller's branches do
    """Events of a writer's schema cannot be read. The message says why and what the writer must change."""


class Undecodable(Exception):  # noqa: N818 - says what the bytes are, as the caller's branches do
    """Bytes are not what their schema says. The message says where they differ."""


class MembershipEvent(NamedTuple):
    """A membership change as its event tells it: the fields of `membership_change.avsc`.

    `occurred_at` is in milliseconds since 1970, 0 where the writer did not say. `identifiers` is shared: read only.
    """

    event_id: str
    source_type: str
    source_id: str
    profile_id: str
    transition: str
    occurred_at: int
    identifiers: Mapping[str, str]


@dataclass(frozen=True, eq=False, slots=True)
class Schema:
    """One of our schemas: `text` is what the registry gets, `parsed` (logical types dropped) is for fastavro."""

    text: str = field(repr=False)
    parsed: Any = field(repr=False)

    @property
    def name(self) -> str:
        """Full name, with the namespace."""
        return str(self.parsed["name"])


@dataclass(frozen=True, eq=False, slots=True)
class WriterSchema:
    """A writer's schema made ready for reading: both sides as fastavro wants them; no `reader` if they are the same.

    `skips`: the writer has fields that the reader has not. `per_millisecond`: how many of the units in which the writer
    gives `occurred_at` make a millisecond. `decoder` is the schema's own,
    where it has one: it gives the fields of a MembershipEvent.
    """

    writer: Node = field(repr=False)
    reader: Node | None = field(repr=False)
    skips: bool
    per_millisecond: int
    decoder: Decoder | None = field(default=None, repr=False)


def schema_text(name: str) -> str:
    """Text of `schemas/<name>.avsc`, as shipped in the package."""
    return (resources.files("consumer") / "schemas" / f"{name}.avsc").read_text("utf-8")


def compile_writer(text: str, references: Sequence[tuple[str, str]] = (), reader: Schema | None = None) -> WriterSchema:
    """Make a writer's schema ready for reading as `reader` (default: CHANGE_SCHEMA).

    `references` are the (name, text) of the schemas it refers to, each after those it needs itself. Raises
    IncompatibleSchema. Types that do not resolve are found when a body is decoded, for a branch of a union may fit.
    """
    try:
        return _compile([each for _, each in references] + [text], reader or CHANGE_SCHEMA)
    except IncompatibleSchema:
        raise
    except Exception as error:  # malformed schemas make fastavro raise almost anything
        raise IncompatibleSchema(f"the writer's schema is not valid Avro: {_reason(error)}") from error


def split_wire(value: bytes) -> tuple[int, bytes]:
    """Take a message in the Confluent wire format apart: schema id and Avro body. Raises Undecodable."""
    if len(value) < _HEADER.size:
        raise Undecodable(f"the value has {len(value)} bytes, fewer than the {_HEADER.size} before an Avro body")
    magic, schema_id = _HEADER.unpack_from(value)
    if magic != 0:
        raise Undecodable(f"the value begins with byte {magic}, not with the 0 of the Confluent wire format")
    return schema_id, value[_HEADER.size :]


def decode_record(body: bytes, writer: WriterSchema) -> dict[str, Any]:
    """Read one record, resolved to the reader's schema. Raises Undecodable, whatever the bytes are."""
    stream = BytesIO(body)
    try:
        if writer.skips:
            # fastavro skips a number of fixed length without looking whether it is there, 2**40 of them if the body
            # says so; reading looks.
            schemaless_reader(BytesIO(body), writer.writer, None)
        record = schemaless_reader(stream, writer.writer, writer.reader)
    except Exception as error:  # bytes from outside make fastavro raise almost anything
        raise Undecodable(_reason(error)) from error
    if left := len(body) - stream.tell():
        raise Undecodable(f"{left} bytes are left over after the record")
    return record  # type: ignore[return-value]  # compile_writer took nothing but records


def decode(body: bytes, writer: WriterSchema) -> MembershipEvent:
    """Read one membership change; `writer` is compiled for CHANGE_SCHEMA. Raises Undecodable, whatever the bytes."""
    event = MembershipEvent(**decode_record(body, writer))
    if writer.per_millisecond == 1:
        return event
    return event._replace(occurred_at=event.occurred_at // writer.per_millisecond)


def encode(schema: Schema, record: Mapping[str, Any]) -> bytes:
    """Avro body of a record; times are ints, fields with a default may be left out. Raises ValueError for any other."""
    stream = BytesIO()
    schemaless_writer(stream, schema.parsed, record, strict_allow_default=True)
    return stream.getvalue()


def frame(schema_id: int, body: bytes) -> bytes:
    """Put an Avro body into the Confluent wire format."""
    return _HEADER.pack(0, schema_id) + body


def _compile(texts: Sequence[str], reader: Schema) -> WriterSchema:
    writer, named = _parse(texts)
    if not isinstance(writer, dict) or writer["type"] != "record":
        raise IncompatibleSchema(f"the writer's schema is not a record: make it one with the fields of {reader.name}")
    expanded, _ = _parse(texts, expand=True)
    _least_bytes(expanded)
    _require_fields(writer, reader)
    same = to_parsing_canonical_form(writer) == to_parsing_canonical_form(reader.parsed)
    for each in named.values():
        if each["type"] == "enum":
            # From a list, fastavro would take a negative index as one that counts from the end.
            each["symbols"] = dict(enumerate(each["symbols"]))
    # Reading without resolution takes less than half the time.
    resolved_to = None if same else _with_aliases(reader, named)
    skips = not _field_names(writer) <= _field_names(reader.parsed)
    per_millisecond = _per_millisecond(json.loads(texts[-1]))
    decoder = None
    if reader is CHANGE_SCHEMA:
        fields = reader.parsed["fields"]
        decoder = compile_decoder(expanded, fields, {"occurred_at": per_millisecond}, HEADER)
    return WriterSchema(writer, resolved_to, skips, per_millisecond, decoder)


def _parse(texts: Sequence[str], *, expand: bool = False) -> tuple[Node, dict[str, dict[str, Any]]]:
    """Parse schemas of which later ones may name types of earlier ones: the last one, and all named types."""
    named: dict[str, Any] = {}
    parsed = [parse_schema(json.loads(each, object_hook=_drop_logical_type), named, expand=expand) for each in texts]
    return parsed[-1], named


def _drop_logical_type(node: dict[str, Any]) -> dict[str, Any]:
    node.pop("logicalType", None)
    return node


def _least_bytes(schema: Node) -> int:
    """Fewest bytes that a value of an expanded schema takes.

    Refused are a type within itself, for fastavro would descend as deep as the body says and overflow the stack, and
    arrays of items without bytes, for a body of ten bytes could hold 2**62 of them.
    """
    if isinstance(schema, str):
        if schema not in PRIMITIVES:
            raise IncompatibleSchema(f"type {schema} contains itself: use a type of limited depth")
        return int(schema != "null")
    if isinstance(schema, list):
        return 1 + min(map(_least_bytes, schema), default=0)
    kind = schema["type"]
    parts = [schema[key] for key in ("items", "values") if key in schema]
    parts += [each["type"] for each in schema.get("fields", ())]
    sizes = [_least_bytes(part) for part in parts]
    if kind == "array" and sizes[0] <= 0:
        raise IncompatibleSchema("the items of an array take no bytes: leave the array out")
    if kind == "fixed":
        return int(schema["size"])
    return sum(sizes) if kind in ("record", "error") else int(kind != "null")


def _field_names(record: dict[str, Any]) -> set[str]:
    return {each["name"] for each in record["fields"]}


def _require_fields(writer: dict[str, Any], reader: Schema) -> None:
    required = [each["name"] for each in reader.parsed["fields"] if "default" not in each]
    if missing := [name for name in required if name not in _field_names(writer)]:
        raise IncompatibleSchema(f"the writer's schema lacks {', '.join(missing)}: {reader.name} has no default for it")


def _with_aliases(reader: Schema, named: Mapping[str, dict[str, Any]]) -> Node:
    """Parse the reader's schema so that its records and enums also go by every name the writer has for such a type."""

    def add_aliases(node: dict[str, Any]) -> dict[str, Any]:
        if node.get("type") in ("record", "enum"):
            node["aliases"] = [name for name, each in named.items() if each["type"] == node["type"]]
        return _drop_logical_type(node)

    return parse_schema(json.loads(reader.text, object_hook=add_aliases))


def _per_millisecond(writer: dict[str, Any]) -> int:
    """How many units of the top-level field `occurred_at` make a millisecond; 1 if there is no such field."""
    units: set[str | None] = set()
    for each in writer["fields"]:
        if each["name"] == "occurred_at":
            branches = each["type"] if isinstance(each["type"], list) else [each["type"]]
            # Some producers write the logical type beside the type rather than within it; they mean the same.
            units = {node.get("logicalType") for node in (each, *branches) if isinstance(node, dict)}
    known = units - {None}
    if len(known) > 1 or not known <= PER_MILLISECOND.keys():
        found = ", ".join(sorted(map(str, known)))
        raise IncompatibleSchema(
            f"field occurred_at is {found}: make it a timestamp in millis, micros or nanos, or a plain long of millis"
        )
    return PER_MILLISECOND[known.pop()] if known else 1


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the body ends before its record does, or gives a length that is not there"
    return f"{type(error).__name__}: {error}"[:_REASON_LENGTH]


def _load(name: str) -> Schema:
    text = schema_text(name)
    return Schema(text, parse_schema(json.loads(text, object_hook=_drop_logical_type)))


CHANGE_SCHEMA = _load("membership_change")
RESULT_SCHEMA = _load("membership_result")
DEAD_LETTER_SCHEMA = _load("dead_letter")
