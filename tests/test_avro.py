"""What flows in is resolved to our schema or refused; what goes out is what the schemas say."""

import json
from contextlib import suppress
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer import avro
from consumer.avro import CHANGE_SCHEMA, DEAD_LETTER_SCHEMA, RESULT_SCHEMA, IncompatibleSchema, Undecodable

EVENT = {
    "event_id": "0b9b1b1c-6c1a-4c4c-9d3f-0d6f6f0f4b11",
    "source_type": "AUDIENCE",
    "source_id": "vip",
    "profile_id": "profile-7",
    "transition": "ENTER",
    "occurred_at": 1_700_000_000_123,
    "identifiers": {"2006": "101", "1": "x"},
}
DECODED = avro.MembershipEvent(**EVENT)  # type: ignore[arg-type]  # a dict tells no types
OURS = avro.compile_writer(CHANGE_SCHEMA.text)
RENAMED = avro.compile_writer(CHANGE_SCHEMA.text.replace("journey.orchestration", "copied.elsewhere"))
both_paths = pytest.mark.parametrize("writer", [OURS, RENAMED], ids=["as it is", "resolved"])


def change_schema(**types: object) -> dict[str, Any]:
    """Our schema as another writer may have it: fields get another type, are left out (None) or are added in front."""
    schema: dict[str, Any] = json.loads(CHANGE_SCHEMA.text)
    known = {field["name"]: field for field in schema["fields"]}
    added = [{"name": name, "type": kind} for name, kind in types.items() if name not in known]
    kept = [{"name": name, "type": types.get(name, field["type"])} for name, field in known.items()]
    schema["fields"] = added + [field for field in kept if field["type"] is not None]
    return schema


def written(schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    """Write a record by fastavro itself."""
    stream = BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), record)
    return stream.getvalue()


def transferred(schema: dict[str, Any], **values: object) -> avro.MembershipEvent:
    """Write EVENT, with other values, by a writer's schema and read it as we do."""
    body = written(schema, {**EVENT, **values})
    return avro.decode(body, avro.compile_writer(json.dumps(schema)))


def enum(name: str, *symbols: str) -> dict[str, Any]:
    """Give an enum without a default."""
    return {"type": "enum", "name": name, "symbols": list(symbols)}


def test_our_own_schema() -> None:
    """An event written by our own schema arrives with text ids and whole milliseconds."""
    assert transferred(json.loads(CHANGE_SCHEMA.text)) == DECODED


def test_newer_writer() -> None:
    """Fields that a newer writer added are passed over, whatever their type."""
    nested = {
        "type": "record",
        "name": "Origin",
        "fields": [{"name": "tags", "type": {"type": "array", "items": "int"}}],
    }
    schema = change_schema(region="string", origin=["null", nested], fixed={"type": "fixed", "name": "F", "size": 3})
    assert transferred(schema, region="eu", origin={"tags": [1, 2]}, fixed=b"abc") == DECODED


def test_older_writer() -> None:
    """What an older writer did not know gets its default, and nothing that decides an event has one."""
    event = transferred(change_schema(event_id=None, occurred_at=None, identifiers=None))
    assert event == DECODED._replace(event_id="", occurred_at=0, identifiers={})


@pytest.mark.parametrize("name", ["source_type", "source_id", "profile_id", "transition"])
def test_missing_required_field(name: str) -> None:
    """A writer that leaves out what decides an event is refused, by the name of the field."""
    with pytest.raises(IncompatibleSchema, match=f"lacks {name}: journey.orchestration.MembershipChange"):
        avro.compile_writer(json.dumps(change_schema(**{name: None})))


def test_fields_in_another_order() -> None:
    """Fields are matched by name, not by place."""
    schema = change_schema()
    schema["fields"].reverse()
    assert transferred(schema) == DECODED


@pytest.mark.parametrize("namespace", ["", "com.example.v2"])
def test_other_record_name(namespace: str) -> None:
    """The writer's record name and namespace, and with it that of its enums, are not compared."""
    assert transferred({**change_schema(), "name": "Moved", "namespace": namespace}) == DECODED


def test_other_enum_names() -> None:
    """The names of nested enums are not compared, be they defined at the field, referred to or part of a union."""
    kind = {**enum("Kind", "JOURNEY", "AUDIENCE"), "namespace": "elsewhere"}
    schema = change_schema(
        first_type=kind, source_type="elsewhere.Kind", transition=["null", enum("x.Direction", "EXIT", "ENTER")]
    )
    assert transferred(schema, first_type="JOURNEY") == DECODED


def test_references() -> None:
    """Types may come from other schemas, which may refer to further ones."""
    base = json.dumps(enum("types.Kind", "AUDIENCE", "JOURNEY"))
    fields = [{"name": "kind", "type": "types.Kind"}]
    middle = json.dumps({"type": "record", "name": "types.Origin", "fields": fields})
    schema = change_schema(origin="types.Origin", source_type="types.Kind")
    whole = change_schema(origin={**json.loads(middle), "fields": [{"name": "kind", "type": json.loads(base)}]})
    whole["fields"][2]["type"] = "types.Kind"
    writer = avro.compile_writer(json.dumps(schema), [("types.Kind", base), ("types.Origin", middle)])
    assert avro.decode(written(whole, {**EVENT, "origin": {"kind": "JOURNEY"}}), writer) == DECODED


def test_missing_reference() -> None:
    """A schema that refers to one which is not there is refused by its name."""
    with pytest.raises(IncompatibleSchema, match=r"not valid Avro: UnknownType: types\.Kind"):
        avro.compile_writer(json.dumps(change_schema(source_type="types.Kind")))


def test_unknown_source_type() -> None:
    """A source type that came after our schema arrives as UNKNOWN."""
    schema = change_schema(source_type=enum("SourceType", "AUDIENCE", "JOURNEY", "CAMPAIGN"))
    assert transferred(schema, source_type="CAMPAIGN") == DECODED._replace(source_type="UNKNOWN")


def test_unknown_transition() -> None:
    """A transition that came after our schema makes the event undecodable, while known ones still arrive."""
    schema = change_schema(transition=enum("Transition", "ENTER", "EXIT", "PAUSE"))
    assert transferred(schema, transition="EXIT") == DECODED._replace(transition="EXIT")
    with pytest.raises(Undecodable, match="PAUSE not found"):
        transferred(schema, transition="PAUSE")


def test_nullable_fields() -> None:
    """A nullable field of the writer arrives where it holds a value, and is undecodable where it is null."""
    schema = change_schema(source_id=["null", "string"], identifiers=["null", {"type": "map", "values": "string"}])
    assert transferred(schema) == DECODED
    with pytest.raises(Undecodable):
        transferred(schema, source_id=None)


def test_promotions() -> None:
    """An int is read as a long and bytes as a string."""
    event = transferred(change_schema(occurred_at="int", source_id="bytes"), occurred_at=5, source_id=b"vip")
    assert event == DECODED._replace(occurred_at=5)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ({"type": "long", "logicalType": "timestamp-millis"}, 1_700_000_000_123),
        ({"type": "long", "logicalType": "timestamp-micros"}, 1_700_000_000_123_999),
        ({"type": "long", "logicalType": "timestamp-nanos"}, 1_700_000_000_123_999_999),
        (["null", {"type": "long", "logicalType": "timestamp-micros"}], 1_700_000_000_123_999),
        ("long", 1_700_000_000_123),
    ],
)
def test_units_of_time(kind: object, value: int) -> None:
    """Times in finer units are brought to milliseconds, and a plain long is taken for them."""
    assert transferred(change_schema(occurred_at=kind), occurred_at=value) == DECODED


def test_unit_beside_the_type() -> None:
    """A logical type that a writer put beside the type instead of within it counts as well."""
    schema = change_schema(occurred_at="long")
    schema["fields"][5]["logicalType"] = "timestamp-micros"
    assert transferred(schema, occurred_at=1_700_000_000_123_999) == DECODED


@pytest.mark.parametrize("logical", ["local-timestamp-millis", "time-micros", "furlongs"])
def test_unknown_unit_of_time(logical: str) -> None:
    """A time whose unit or zone is not known is refused rather than guessed."""
    with pytest.raises(IncompatibleSchema, match=f"occurred_at is {logical}: make it a timestamp"):
        avro.compile_writer(json.dumps(change_schema(occurred_at={"type": "long", "logicalType": logical})))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "7",
        "null",
        "{}",
        '"journey.Change"',
        '{"type": "object"}',
        '{"type": "record"}',
        '{"type": ["record"]}',
        '{"type": "record", "name": "R", "fields": [7]}',
    ],
    ids=lambda text: text[:50],
)
def test_not_a_schema(text: str) -> None:
    """What is not an Avro schema is refused."""
    with pytest.raises(IncompatibleSchema, match="not valid Avro"):
        avro.compile_writer(text)


@pytest.mark.parametrize(
    "schema", ["string", ["null", change_schema()], enum("E", "A"), {"type": "array", "items": "int"}]
)
def test_not_a_record(schema: object) -> None:
    """A schema that is not a record is refused, and told what it should be."""
    with pytest.raises(IncompatibleSchema, match=r"not a record: make it one with the fields of journey"):
        avro.compile_writer(json.dumps(schema))


def test_recursive_type() -> None:
    """A type within itself is refused, for a body could make the process overflow its stack."""
    node = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
    with pytest.raises(IncompatibleSchema, match="Node contains itself"):
        avro.compile_writer(json.dumps(change_schema(chain=node)))


@pytest.mark.parametrize("items", ["null", {"type": "record", "name": "Empty", "fields": []}])
def test_items_without_bytes(items: object) -> None:
    """An array whose items take no bytes is refused, for ten bytes could hold 2**62 of them."""
    with pytest.raises(IncompatibleSchema, match="take no bytes"):
        avro.compile_writer(json.dumps(change_schema(extra={"type": "array", "items": items})))


def test_type_that_does_not_resolve() -> None:
    """A field whose type cannot be read as ours makes its events undecodable."""
    with pytest.raises(Undecodable, match="SchemaResolutionError"):
        transferred(change_schema(profile_id="long"), profile_id=7)


@both_paths
def test_truncated(writer: avro.WriterSchema) -> None:
    """A body cut short anywhere is undecodable."""
    body = avro.encode(CHANGE_SCHEMA, EVENT)
    for length in range(len(body)):
        with pytest.raises(Undecodable):
            avro.decode(body[:length], writer)


@both_paths
def test_trailing_bytes(writer: avro.WriterSchema) -> None:
    """Bytes after the record make it undecodable."""
    with pytest.raises(Undecodable, match="2 bytes are left over"):
        avro.decode(avro.encode(CHANGE_SCHEMA, EVENT) + b"\x00\x00", writer)


@pytest.mark.parametrize("length", [2**40, 2**62, -1, -(2**62)])
@pytest.mark.parametrize(
    "kind",
    [
        "string",
        {"type": "array", "items": "long"},
        {"type": "array", "items": "double"},
        {"type": "array", "items": {"type": "fixed", "name": "F", "size": 4}},
        {"type": "map", "values": "int"},
    ],
)
def test_absurd_length(kind: object, length: int) -> None:
    """A length that cannot be is undecodable at once and allocates nothing, in our fields and in skipped ones."""
    stream = BytesIO()
    fastavro.schemaless_writer(stream, "long", length)
    absurd = stream.getvalue() + b"abc"
    with pytest.raises(Undecodable):
        avro.decode(absurd, avro.compile_writer(json.dumps(change_schema(extra=kind))))
    with pytest.raises(Undecodable):
        avro.decode(absurd, OURS)


@both_paths
@pytest.mark.parametrize("index", [2, -1])
def test_enum_index_out_of_range(index: int, writer: avro.WriterSchema) -> None:
    """An enum index that the writer's schema does not have is undecodable, also a negative one."""
    as_int = change_schema(transition="int")
    body = written(as_int, {**EVENT, "transition": 1})
    assert avro.decode(body, writer).transition == "EXIT"
    with pytest.raises(Undecodable, match="KeyError"):
        avro.decode(written(as_int, {**EVENT, "transition": index}), writer)


def test_invalid_text() -> None:
    """Text that is not UTF-8 is undecodable."""
    with pytest.raises(Undecodable, match="UnicodeDecodeError"):
        transferred(change_schema(source_id="bytes"), source_id=b"\xff\xfe")


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    """Whatever the bytes are, they are an event or undecodable."""
    newer = {"type": "array", "items": ["null", "string", {"type": "map", "values": "bytes"}]}
    for writer in (OURS, avro.compile_writer(json.dumps(change_schema(extra=newer)))):
        with suppress(Undecodable):
            assert avro.decode(body, writer).transition in {"ENTER", "EXIT"}


@both_paths
@given(data=st.data())
def test_damaged_event(writer: avro.WriterSchema, data: st.DataObject) -> None:
    """An event with any one byte changed is an event or undecodable."""
    body = bytearray(avro.encode(CHANGE_SCHEMA, EVENT))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Undecodable):
        assert avro.decode(bytes(body), writer).transition in {"ENTER", "EXIT"}


@given(st.integers(0, 2**32 - 1), st.binary())
def test_wire_format(schema_id: int, body: bytes) -> None:
    """What is framed comes apart again, and begins with byte 0 and the id in network order."""
    framed = avro.frame(schema_id, body)
    assert framed[:5] == b"\x00" + schema_id.to_bytes(4, "big")
    assert avro.split_wire(framed) == (schema_id, body)


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x00\x00\x00\x01", b"\x01\x00\x00\x00\x01body", b'{"event_id": 1}'])
def test_not_the_wire_format(value: bytes) -> None:
    """A value that is too short or begins with another byte is undecodable."""
    with pytest.raises(Undecodable, match="the value"):
        avro.split_wire(value)


RESULT: dict[str, Any] = {
    "connector": "vip",
    "account": "acme",
    "list_id": 2**40,
    "request_id": "r-1",
    "status": 200,
    "correlation_id": None,
    "sent_at": 1_700_000_000_123,
    "answered_at": 1_700_000_001_456,
    "contacts": [
        {
            "record_id": 2**63 - 1,
            "action": action,
            "outcome": outcome,
            "topic": "journey.membership",
            "partition": 3,
            "offset": 2**50,
            "occurred_at": 1_700_000_000_000,
        }
        for action in ("ADD", "REMOVE")
        for outcome in ("ADDED", "REMOVED", "UNCHANGED", "NOT_FOUND", "MERGED")
    ],
}
CONTACT = {
    "record_id": "not a number",
    "action": "REMOVE",
    "topic": "journey.membership",
    "partition": 3,
    "offset": 2**50,
    "occurred_at": 1_700_000_000_000,
}
RAW_EVENT = {
    "topic": "journey.membership",
    "partition": 0,
    "offset": 9,
    "timestamp": 1_700_000_000_000,
    "key": b"\xff",
    "value": b"\x01\x02",
    "headers": [{"name": "h", "value": None}, {"name": "h", "value": b"\xfe"}],
    "value_length": 2,
    "value_sha256": "a12871fee210fb8619291eaea194581cbd2531e4b23759d225f6806923f63222",
    "truncated": False,
}
DEAD_LETTER: dict[str, Any] = {
    "reason": "BAD_REQUEST",
    "connector": "vip",
    "account": "acme",
    "list_id": 4711,
    "request_id": "r-1",
    "status": 400,
    "category": "VALIDATION_ERROR",
    "message": "Invalid input",
    "correlation_id": "c-1",
    "recorded_at": 1_700_000_000_123,
    "contacts": [CONTACT],
    "event": RAW_EVENT,
}


@pytest.mark.parametrize(("schema", "record"), [(RESULT_SCHEMA, RESULT), (DEAD_LETTER_SCHEMA, DEAD_LETTER)])
def test_records_come_back(schema: avro.Schema, record: dict[str, Any]) -> None:
    """Results and dead letters are read back as they were written, by readers under whatever name."""
    body = avro.encode(schema, record)
    renamed = schema.text.replace("hubspot.membership", "copied.elsewhere")
    assert avro.decode_record(body, avro.compile_writer(schema.text, reader=schema)) == record
    assert avro.decode_record(body, avro.compile_writer(renamed, reader=schema)) == record


def test_undecodable_event_alone() -> None:
    """A dead letter of an event that could not be understood needs no connector, request or contact."""
    letter = {"reason": "UNDECODABLE", "recorded_at": 5, "event": RAW_EVENT}
    read = avro.decode_record(
        avro.encode(DEAD_LETTER_SCHEMA, letter), avro.compile_writer(DEAD_LETTER_SCHEMA.text, reader=DEAD_LETTER_SCHEMA)
    )
    absent = dict.fromkeys(DEAD_LETTER, None)
    assert read == {**absent, "contacts": [], **letter}


@pytest.mark.parametrize("wrong", [{"outcome": "LOST"}, {"record_id": "7"}, {"extra": 1}, {"record_id": 2**63}])
def test_record_that_does_not_fit(wrong: dict[str, Any]) -> None:
    """A record that the schema does not describe is not written."""
    record = {**RESULT, "contacts": [{**RESULT["contacts"][0], **wrong}]}
    with pytest.raises((ValueError, TypeError, OverflowError)):
        avro.encode(RESULT_SCHEMA, record)


def nodes(schema: avro.Schema) -> list[dict[str, Any]]:
    """Every JSON object of a schema's text."""
    found: list[dict[str, Any]] = []

    def keep(node: dict[str, Any]) -> dict[str, Any]:
        found.append(node)
        return node

    json.loads(schema.text, object_hook=keep)
    return found


@pytest.mark.parametrize("schema", [CHANGE_SCHEMA, RESULT_SCHEMA, DEAD_LETTER_SCHEMA])
def test_every_field_is_explained(schema: avro.Schema) -> None:
    """Every field, record and enum of our schemas has a doc, and optional fields have a default."""
    named = [each for each in nodes(schema) if "name" in each]
    assert [each["name"] for each in named if not each.get("doc", "").endswith(".")] == []
    optional = [each for each in named if isinstance(each["type"], list)]
    assert [each["name"] for each in optional if each["type"][0] != "null" or each["default"] is not None] == []


@pytest.mark.parametrize("schema", [CHANGE_SCHEMA, RESULT_SCHEMA, DEAD_LETTER_SCHEMA])
def test_times_are_marked(schema: avro.Schema) -> None:
    """The registered text marks every time as timestamp-millis, though we handle times as ints."""
    times = [each for each in nodes(schema) if each.get("name", "").endswith("_at")]
    assert times
    assert {each["type"]["logicalType"] for each in times} == {"timestamp-millis"}
