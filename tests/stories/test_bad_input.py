"""Bad input in bulk, on the whole service: any mixture of bad events and bad answers, and good events among them."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from consumer import avro
from consumer.intake import MOST_SCHEMAS
from consumer.simulator.faults import KINDS, Fault
from tests.fakes.service import SCHEMA_ID, Member, world

GOOD = range(1, 40)  # contacts whose events are good
ODD = 8  # id of a schema that the registry has, and which is no schema of ours

ODD_SCHEMAS = ("", "[]", "null", '"string"', "{", '{"type": "record", "name": "r", "fields": []}', "[" * 5_000)
IDENTIFIERS = st.one_of(
    st.sampled_from(
        ("0", "-1", "", "1e3", "9" * 5_000, "9223372036854775808", "\N{DIGIT ONE}x", "\N{ARABIC-INDIC DIGIT ONE}")
    ),
    st.text(max_size=20).filter(lambda text: not text.isdecimal()),
)


def _body(**fields: Any) -> bytes:  # noqa: ANN401 - fields of the event
    event = {
        "event_id": "",
        "source_type": "AUDIENCE",
        "source_id": "0",
        "profile_id": "p",
        "transition": "ENTER",
        "occurred_at": 0,
        "identifiers": {},
        **fields,
    }
    return avro.encode(avro.CHANGE_SCHEMA, event)


ANY = st.binary(max_size=60)
# Values of events of which nothing can come. Each has one end.
BAD = st.one_of(
    ANY.map(lambda body: b"\x01" + body),
    st.binary(max_size=4),
    ANY.map(lambda body: avro.frame(SCHEMA_ID, b"\xff" * 12 + body)),
    st.integers(0, 30).map(lambda end: avro.frame(SCHEMA_ID, _body(identifiers={"2006": "1"})[:end])),
    ANY.map(lambda body: avro.frame(ODD, body)),
    st.tuples(st.sampled_from((0, 2**32 - 1)), ANY).map(lambda both: avro.frame(*both)),
    IDENTIFIERS.map(lambda identifier: avro.frame(SCHEMA_ID, _body(identifiers={"2006": identifier}))),
    st.tuples(st.text(max_size=9), st.integers(-(2**63), 2**63 - 1)).map(
        lambda both: avro.frame(SCHEMA_ID, _body(source_id=both[0] + "!", occurred_at=both[1]))
    ),
    st.sampled_from((None, avro.frame(SCHEMA_ID, _body()))),
)


def _ends(member: Member) -> float:
    """Count the ends that events came to, by the metrics: added or collapsed, skipped, dead letters."""
    folded = sum(
        member.metric(f"contacts_{end}_total") for end in ("added", "removed", "unchanged", "not_found", "failed")
    )
    undecodable = member.metric("dead_letters_total", reason="UNDECODABLE")
    return folded + member.metric("events_collapsed_total") + member.metric("events_skipped_total") + undecodable


@settings(max_examples=15)
@given(
    st.lists(BAD, max_size=12),
    st.sampled_from(ODD_SCHEMAS),
    st.lists(st.sampled_from(sorted(KINDS)), max_size=2),
)
def test_any_mixture_of_bad_events_and_bad_answers_comes_to_an_end(
    bad: list[bytes | None], odd: str, faults: list[str]
) -> None:
    """Every event has one end, which is counted; nothing is left over, and good events are applied or given up."""
    with world() as w:
        w.registry.schemas[ODD] = odd
        member = w.member()
        member.source.slack = 0.5
        for name in faults:
            w.portal.inject(Fault(name, seconds=1.0, times=2))
        for number, contact in enumerate(GOOD):
            w.tell("ENTER", contact)
            for value in bad[number :: len(GOOD)]:
                w.tell_raw(value, number % w.broker.partitions)
        member.run_until(w.all_committed, within=7_200)
        member.run_for(5)
        told = member.metric("events_consumed_total")
        assert told == len(GOOD) + len(bad)
        assert _ends(member) == told
        assert member.metric("pending_contacts") == 0
        given_up = {
            int(each.record_id)
            for letter in w.sink.dead_letters
            if letter.reason != "INVALID_RECORD_ID"
            for each in letter.contacts
        }
        assert w.members() | given_up == set(GOOD)
        assert member.metric("dead_letters_total") == len(w.sink.dead_letters)
        assert w.sink.pending == 0


def test_a_flood_of_schemas_fills_no_memory() -> None:
    """Whoever writes each event with a schema of its own is read, but no more than some schemas are kept."""
    with world() as w:
        member = w.member()
        flood = range(SCHEMA_ID + 1, SCHEMA_ID + MOST_SCHEMAS + 51)
        for number in (*flood, flood[0]):
            w.registry.schemas[number] = avro.CHANGE_SCHEMA.text
            w.tell_raw(avro.frame(number, _body(identifiers={"2006": str(number)})))
        member.run_until(w.all_committed)
        assert w.members() == set(flood)
        assert len(member.loop._intake._schemas) == MOST_SCHEMAS
