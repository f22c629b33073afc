"""Packed changes are the changes that they were, and cost little."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from consumer.changes import Assignment, Change
from consumer.flight import Outcomes
from consumer.offsets import Offsets
from consumer.outcomes import ContactOutcome, Outcome
from consumer.packed import PackedChanges, number_of, pack, packed, timestamps, unpacked
from tests.strategies import ACTIONS, ADD

PARTITIONS = tuple(Assignment("changes", number, 1) for number in range(3))
LONGS = st.integers(-(2**63), 2**63 - 1)
CHANGES = st.builds(
    Change, st.integers(0, 2**64 - 1), ACTIONS, st.sampled_from(PARTITIONS), LONGS, LONGS, st.integers(0, 2**63 - 1)
)
MOST = 150  # bytes of a waiting contact
CONTACTS = 131_000


def _offsets() -> Offsets:
    offsets = Offsets()
    for each in PARTITIONS:
        offsets.assign(each)
    return offsets


@given(CHANGES)
def test_a_change_comes_back(change: Change) -> None:
    """Whatever its numbers are, all of it."""
    offsets = _offsets()
    assert unpacked(packed(change, offsets), offsets) == change
    assert number_of(packed(change, offsets)) == change.number
    assert timestamps([packed(change, offsets)]) == [change.timestamp]


@given(CHANGES, CHANGES)
def test_the_greater_is_the_newer(one: Change, other: Change) -> None:
    """Packed changes are ordered by their numbers."""
    offsets = _offsets()
    if one.number != other.number:
        assert (packed(one, offsets) < packed(other, offsets)) == (one.number < other.number)


def test_what_was_revoked_can_still_be_told() -> None:
    """An answer may come after its partition has gone and others have come: its changes are what they were."""
    offsets = _offsets()
    change = Change(1, ADD, PARTITIONS[0], 5, 6, 7)
    kept = packed(change, offsets)
    offsets.revoke(PARTITIONS[0])
    offsets.assign(Assignment("changes", 0, 2))
    assert unpacked(kept, offsets) == change


@given(st.dictionaries(st.integers(1, 50), CHANGES), st.sampled_from(PARTITIONS))
def test_what_is_not_ours_is_left_out(changes: dict[int, Change], gone: Assignment) -> None:
    """A copy without what came from partitions that went away; the original keeps all."""
    offsets = _offsets()
    kept = PackedChanges(offsets)
    kept.update(changes)
    offsets.revoke(gone)
    ours = {contact: each for contact, each in changes.items() if each.assignment is not gone}
    assert kept.ours() == ours
    assert kept == changes
    assert kept.ours().packed is not kept.packed
    kept.forget(gone)
    assert kept == ours


@given(st.lists(st.builds(ContactOutcome, st.integers(1, 2**63 - 1), st.sampled_from(Outcome), CHANGES)), st.data())
def test_outcomes_in_columns_read_like_a_list(told: list[ContactOutcome], data: st.DataObject) -> None:
    """One by one, in parts, and counted."""
    columns = Outcomes.of(told)
    assert list(columns) == told
    part = slice(data.draw(st.integers(0, len(told))), data.draw(st.integers(0, len(told))))
    assert list(columns[part]) == told[part]
    assert {outcome: number for outcome, number in columns.counts().items() if number} == {
        outcome: number for outcome in Outcome if (number := sum(each.outcome is outcome for each in told))
    }
    assert columns.timestamps() == [each.change.timestamp for each in told]


def test_a_waiting_contact_takes_few_bytes() -> None:
    """Record id, change and share of a table that is three quarters full, as it is on the average."""
    tracemalloc.start()
    try:
        waiting = {
            50_000_000_000 + number: pack(2**40 + number, 2**40 + number, 1_780_000_000_000, 1_780_000_000_000, 3)
            for number in range(CONTACTS)
        }
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(waiting) == CONTACTS
    assert taken / CONTACTS <= MOST
