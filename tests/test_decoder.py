"""A schema's own decoder says what the general one says, or nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer import avro
from consumer.avro import CHANGE_SCHEMA, Undecodable
from tests.test_avro import DECODED, EVENT, enum, written

TEXT = st.text(max_size=80)
LONGS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**42), st.just(1_780_000_000_000), st.integers(-200, 200)
)
INTS = st.integers(-(2**31), 2**31 - 1)
SYMBOLS = st.permutations(["AUDIENCE", "JOURNEY", "UNKNOWN", "CAMPAIGN"])
MANY = [f"S{number}" for number in range(70)]

# Of each field of ours: the types that a writer may give it, with values of each.
OURS: dict[str, list[tuple[Any, st.SearchStrategy[Any]]]] = {
    "event_id": [("string", TEXT), ({"type": "string", "logicalType": "uuid"}, TEXT), (["null", "string"], TEXT)],
    "source_type": [
        (enum("SourceType", "AUDIENCE", "JOURNEY"), st.sampled_from(["AUDIENCE", "JOURNEY"])),
        (enum("Kind", *MANY, "JOURNEY"), st.sampled_from([*MANY, "JOURNEY"])),
    ],
    "source_id": [("string", TEXT), ("bytes", TEXT.map(str.encode))],
    "profile_id": [("string", TEXT)],
    "transition": [
        (enum("Transition", "ENTER", "EXIT"), st.sampled_from(["ENTER", "EXIT"])),
        (enum("Direction", "STAY", "EXIT", "ENTER"), st.sampled_from(["ENTER", "EXIT"])),
    ],
    "occurred_at": [
        ("long", LONGS),
        ("int", INTS),
        ({"type": "long", "logicalType": "timestamp-micros"}, LONGS),
        (["null", "long"], LONGS),
    ],
    "identifiers": [
        ({"type": "map", "values": "string"}, st.dictionaries(TEXT, TEXT, max_size=4)),
        ({"type": "map", "values": "string"}, st.just({str(number): "x" for number in range(70)})),
    ],
}
OTHERS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("string", TEXT),
    ("long", LONGS),
    ("int", INTS),
    ("boolean", st.booleans()),
    ("double", st.floats(allow_nan=False)),
    ("bytes", st.binary(max_size=8)),
    (enum("Other", "A", "B"), st.sampled_from(["A", "B"])),
    ({"type": "map", "values": "string"}, st.dictionaries(TEXT, TEXT, max_size=2)),
    ({"type": "map", "values": "long"}, st.dictionaries(TEXT, LONGS, max_size=2)),
]
OPTIONAL = ("event_id", "occurred_at", "identifiers")


@st.composite
def writers(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give a schema that a writer may have, and a record of it."""
    usual = draw(st.booleans())  # or else hardly any schema would be one that has its own decoder
    fields, record = [], {}
    for name, kinds in OURS.items():
        if name in OPTIONAL and draw(st.integers(0, 5)) == 0:
            continue
        kind, values = kinds[0] if usual else draw(st.sampled_from(kinds))
        fields.append({"name": name, "type": kind})
        record[name] = draw(values)
    for number in range(draw(st.integers(0, 2))):
        kind, values = draw(st.sampled_from(OTHERS[: 4 if usual else None]))
        named = {**kind, "name": f"Other{number}"} if isinstance(kind, dict) and kind["type"] == "enum" else kind
        fields.append({"name": f"other_{number}", "type": named})
        record[f"other_{number}"] = draw(values)
    return {"type": "record", "name": "Change", "fields": draw(st.permutations(fields))}, record


def general(body: bytes, writer: avro.WriterSchema) -> avro.MembershipEvent | None:
    """Read a body as the general decoder does; None: it cannot be."""
    try:
        return avro.decode(body, writer)
    except Undecodable:
        return None


def own(body: bytes, writer: avro.WriterSchema) -> avro.MembershipEvent | None:
    """Read a body as the schema's own decoder does; None: it does not, or there is none."""
    read = None if writer.decoder is None else writer.decoder(avro.frame(7, body))
    return None if read is None else avro.MembershipEvent(*read)


@given(writers())
def test_it_agrees_with_the_general_decoder(drawn: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Whatever a writer's schema and record are, a schema's own decoder gives the same event, or leaves it alone."""
    schema, record = drawn
    writer = avro.compile_writer(json.dumps(schema))
    body = written(schema, record)
    assert own(body, writer) in (general(body, writer), None)


@given(writers(), st.data())
def test_it_takes_nothing_for_an_event_that_is_none(
    drawn: tuple[dict[str, Any], dict[str, Any]], data: st.DataObject
) -> None:
    """Of a damaged body, too, it gives what the general decoder gives, or nothing."""
    schema, record = drawn
    writer = avro.compile_writer(json.dumps(schema))
    body = bytearray(written(schema, record))
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.integers(0, len(body)))
        match data.draw(st.integers(0, 2)):
            case 0:
                body[where : where + 1] = bytes([data.draw(st.integers(0, 255))])
            case 1:
                del body[where : where + data.draw(st.integers(1, 20))]
            case _:
                body[where:where] = data.draw(st.binary(max_size=12))
    read = own(bytes(body), writer)
    assert read is None or read == general(bytes(body), writer)


BODY = written(json.loads(CHANGE_SCHEMA.text), EVENT)
AT = BODY.index(b"profile-7") + len("profile-7") + 1  # where occurred_at begins, and takes six bytes
MAP = AT + 6  # where the identifiers begin
ODD = [0, BODY.index(b"vip") - 1, BODY.index(b"profile-7") - 1, *(BODY.index(each) - 1 for each in (b"2006", b"101"))]


@pytest.mark.parametrize(
    "body",
    [
        *(BODY[:at] + bytes([BODY[at] | 1]) + BODY[at + 1 :] for at in ODD),
        b"\xc8\x80\x00" + BODY[1:],
        b"\xc9\x00" + BODY[1:],
        BODY[:AT] + b"\xff" * 9 + b"\x01" + BODY[MAP:],
        BODY[:AT] + b"\xff" * 10 + b"\x01" + BODY[MAP:],
        BODY[:AT] + b"\xff" * 20 + b"\x01" + BODY[MAP:],
        BODY[:MAP] + b"\x03\x02\x02\x02\x00\x00",
        BODY[:MAP] + b"\x03\x14" + BODY[MAP + 1 :],
        BODY[:MAP] + b"\x84\x00" + BODY[MAP + 1 :],
    ],
)
def test_what_no_usual_writer_sends(body: bytes) -> None:
    """Negative lengths and counts, and numbers of more bytes than they need: as the general decoder says, or none."""
    writer = avro.compile_writer(CHANGE_SCHEMA.text)
    read = own(body, writer)
    assert read is None or read == general(body, writer)


@pytest.mark.parametrize(
    "occurred_at", [0, 1, 63, 64, 8191, 2**30, 2**34, 1_780_000_000_000, 2**41 - 1, 2**41, 2**55, -1]
)
def test_what_writers_send_needs_no_general_decoder(occurred_at: int) -> None:
    """Our own schema's decoder reads any time, and texts of up to 8,191 bytes: no other test passes for want of it."""
    writer = avro.compile_writer(CHANGE_SCHEMA.text)
    event = DECODED._replace(occurred_at=occurred_at, profile_id="x" * 8_191, source_id="é" * 32)
    assert own(written(json.loads(CHANGE_SCHEMA.text), event._asdict()), writer) == event


def test_a_symbol_that_we_do_not_know_is_the_general_decoders() -> None:
    """What an unknown symbol becomes is told by our schema's default, which only the general decoder heeds."""
    schema = json.loads(CHANGE_SCHEMA.text)
    schema["fields"][1]["type"] = enum("SourceType", "AUDIENCE", "CAMPAIGN")
    writer = avro.compile_writer(json.dumps(schema))
    assert own(written(schema, {**EVENT, "source_type": "CAMPAIGN"}), writer) is None
    assert own(written(schema, EVENT), writer) == DECODED


def test_microseconds_become_milliseconds() -> None:
    """The writer's unit is brought to ours, as the general decoder does."""
    schema = json.loads(CHANGE_SCHEMA.text)
    schema["fields"][5]["type"]["logicalType"] = "timestamp-micros"
    body = written(schema, {**EVENT, "occurred_at": 1_700_000_000_123_999})
    assert own(body, avro.compile_writer(json.dumps(schema))) == DECODED


def test_the_order_of_fields_does_not_matter() -> None:
    """A writer with other fields between ours, in another order, has its own decoder as well."""
    schema = json.loads(CHANGE_SCHEMA.text)
    fields = [*reversed(schema["fields"]), {"name": "score", "type": "long"}, {"name": "test", "type": "boolean"}]
    schema["fields"] = fields
    body = written(schema, {**EVENT, "score": -70_000, "test": True})
    assert own(body, avro.compile_writer(json.dumps(schema))) == DECODED


@pytest.mark.parametrize("kind", ["double", "bytes", ["null", "string"], {"type": "array", "items": "long"}])
def test_a_type_that_it_does_not_know_leaves_all_to_the_general_decoder(kind: object) -> None:
    """It is made for what writers usually send; a schema with anything else has none."""
    schema = json.loads(CHANGE_SCHEMA.text)
    schema["fields"].append({"name": "more", "type": kind})
    assert avro.compile_writer(json.dumps(schema)).decoder is None
