"""Intents: small in memory, and nothing of them is lost in packing."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.changes import Action, TopicPartition
from consumer.history import Position
from consumer.intents import EVERYBODY, IdRange, Intent, Intents

PLACE = TopicPartition("journey.membership", 3)
MOST_BYTES = 150  # of one contact
LARGEST = 2**63 - 1


@given(
    st.lists(
        st.tuples(
            st.integers(1, 5),
            st.sampled_from(Action),
            st.builds(TopicPartition, st.sampled_from(["a", "b"]), st.integers(0, 40)),
            st.integers(0, LARGEST),
            st.integers(-LARGEST - 1, LARGEST),
        )
    )
)
def test_the_last_change_of_each_contact_stays(
    changes: list[tuple[int, Action, TopicPartition, int, int]],
) -> None:
    """Whatever is noted, each contact has the intent of its last change, to the bit."""
    intents, wanted = Intents(), {}
    for contact, action, place, offset, occurred_at in changes:
        intents.note(contact, action, place, offset, occurred_at)
        wanted[contact] = Intent(action, Position(*place, offset), occurred_at)
    assert {contact: intents[contact] for contact in intents} == wanted
    assert len(intents) == len(wanted)


def test_what_is_taken_is_gone() -> None:
    """Each contact is taken once, with its intent; then there is none."""
    intents = Intents()
    intents.note(7, Action.ADD, PLACE, 5, 0)
    intents.note(8, Action.REMOVE, PLACE, 6, 0)
    intents.discard(8)
    intents.discard(9)
    assert intents.take() == (7, Intent(Action.ADD, Position(*PLACE, 5), 0))
    assert intents.get(7) is None
    with pytest.raises(KeyError):
        intents.take()


def test_what_is_asked_for_a_contact() -> None:
    """Whether a contact is to be on the list is told without the rest, and nothing of one that nobody knows."""
    intents = Intents()
    intents.note(7, Action.ADD, PLACE, 5, 0)
    intents.note(8, Action.REMOVE, PLACE, 6, 0)
    assert [intents.action(contact) for contact in (7, 8, 9)] == [Action.ADD, Action.REMOVE, None]


def test_ranges_of_record_ids_that_follow_each_other_share_nobody() -> None:
    """Each record id is in one of two ranges of which the second begins where the first ends; all are in the widest."""
    first, second = IdRange(up_to=5), IdRange(above=5)
    assert [(each in first, each in second) for each in (1, 5, 6, LARGEST)] == [
        (True, False),
        (True, False),
        (False, True),
        (False, True),
    ]
    assert all(each in EVERYBODY for each in (1, LARGEST))
    assert 0 not in EVERYBODY


def test_a_contact_takes_little_memory() -> None:
    """Of five million contacts none takes more than 150 bytes: with real ids, offsets and times."""
    number = 100_000
    tracemalloc.start()
    try:
        intents = Intents()
        for each in range(number):
            intents.note(10**10 + each, Action.ADD, PLACE, 10**9 + each, 1_780_000_000_000 + each)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / number <= MOST_BYTES
