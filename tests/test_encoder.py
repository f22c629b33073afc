"""The results' own encoder writes what fastavro would."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from consumer import avro
from consumer.changes import Action, Assignment, Change
from consumer.encoder import encode_contacts, encode_long
from consumer.flight import Outcomes
from consumer.outcomes import ContactOutcome, Outcome

HEAD = {
    "connector": "vip",
    "account": "acme",
    "list_id": 10,
    "request_id": "1",
    "status": 200,
    "correlation_id": None,
    "sent_at": 1,
    "answered_at": 2,
}
LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-300, 300), st.integers(0, 2**43))
PLACES = st.sampled_from([Assignment("changes", 0, 1), Assignment("ändern", 11, 1), Assignment("", -1, 0)])


@st.composite
def outcomes(draw: st.DrawFn) -> ContactOutcome:
    """Give any contact of a result."""
    action, outcome = draw(st.sampled_from(Action)), draw(st.sampled_from(Outcome))
    change = Change(draw(st.integers(0, 2**63)), action, draw(PLACES), draw(LONGS), draw(LONGS), draw(LONGS))
    return ContactOutcome(draw(LONGS), outcome, change)


def fields(told: ContactOutcome) -> dict[str, Any]:
    """Give a contact as fastavro wants it."""
    change = told.change
    return {
        "record_id": told.contact,
        "action": change.action.value,
        "outcome": told.outcome.value,
        "topic": change.assignment.topic,
        "partition": change.assignment.partition,
        "offset": change.offset,
        "occurred_at": change.occurred_at,
    }


@given(st.lists(outcomes(), max_size=100))
def test_contacts_are_encoded_as_fastavro_encodes_them(told: list[ContactOutcome]) -> None:
    """Byte for byte, whatever the contacts are; they are the last field of a result."""
    body = avro.encode(avro.RESULT_SCHEMA, {**HEAD, "contacts": [fields(each) for each in told]})
    empty = avro.encode(avro.RESULT_SCHEMA, {**HEAD, "contacts": []})
    assert empty.removesuffix(encode_contacts(Outcomes.of(()))) + encode_contacts(Outcomes.of(told)) == body


@given(LONGS)
@example(2**63 - 1)
@example(-(2**63))
def test_a_number_is_as_long_as_it_needs_to_be(number: int) -> None:
    """Seven bits a byte, the sign in the lowest: at most ten bytes."""
    encoded = encode_long(number)
    value = sum((byte & 127) << 7 * place for place, byte in enumerate(encoded))
    assert (value >> 1) ^ -(value & 1) == number
    assert [byte > 127 for byte in encoded] == [True] * (len(encoded) - 1) + [False]
    assert len(encoded) == max(1, -(-(2 * abs(number) - (number < 0)).bit_length() // 7))
