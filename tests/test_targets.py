"""What dead letters ask of a replay, and what results, retention and the configuration say to that."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer import targets
from consumer.changes import TopicPartition
from consumer.router import Route, Router
from consumer.targets import Key, Place, Selection, Span, Word

LISTS = {"vip": ("acme", 10), "churn": ("acme", 11)}
ROUTER = Router([Route("vip", "AUDIENCE", "vip", "2006", enabled=True)])
ANA = Key("vip", 7, "changes", 0)
WHOLE = {TopicPartition("changes", 0): Span(0, 100)}


class Event(NamedTuple):
    """An event of audience:vip, unless said otherwise."""

    identifiers: dict[str, str]
    transition: str = "EXIT"
    source_type: str = "AUDIENCE"
    source_id: str = "vip"
    occurred_at: int = 5


def contact(record_id: object = 7, offset: int = 4, **more: object) -> dict[str, Any]:
    """Give a contact of a dead letter."""
    decided = {"topic": "changes", "partition": 0, "offset": offset, "occurred_at": 500}
    return {"record_id": str(record_id), "action": "ADD", **decided, **more}


def letter(*contacts: dict[str, Any], **more: object) -> dict[str, Any]:
    """Give a dead letter of list vip, recorded at second 2."""
    what = {"reason": "FORBIDDEN", "recorded_at": 2_000, "contacts": contacts, "event": None}
    return {"connector": "vip", "account": "acme", "list_id": 10, **what, **more}


def undecodable(offset: int = 6, *, truncated: bool = False) -> dict[str, Any]:
    """Give the dead letter of an event that could not be read."""
    event = {"topic": "changes", "partition": 0, "offset": offset, "value": b"bytes", "truncated": truncated}
    return letter(connector=None, account=None, list_id=None, reason="UNDECODABLE", event=event)


def selection(*letters: dict[str, Any]) -> Selection:
    """Give the selection of these dead letters."""
    made = Selection(LISTS, ["changes"])
    for each in letters:
        made.take(each)
    return made


def test_a_contact_is_a_target_from_its_newest_dead_letter_on() -> None:
    """Of several dead letters of a contact the newest in the log counts, in whatever order they were written."""
    for offsets in ((4, 9), (9, 4)):
        made = selection(*(letter(contact(offset=offset)) for offset in offsets))
        plan = made.plan(WHOLE, 0.0)
        assert plan.starts == {ANA.place: 9}
        assert plan.takes(ANA, 9)
        assert not plan.takes(ANA, 8)
        assert not plan.takes(ANA._replace(partition=1), 9)


@pytest.mark.parametrize(
    ("given_letter", "why"),
    [
        (letter(contact(), connector="gone"), targets.NO_CONNECTOR),
        (letter(contact(), list_id=99), targets.NO_CONNECTOR),
        (letter(contact(topic="another")), targets.NO_TOPIC),
        (letter(contact(topic="", partition=-1, offset=-1)), targets.NO_EVENT),
        (letter(contact(partition=3)), targets.NOT_THERE),
        (letter(contact(offset=100)), targets.NOT_THERE),
    ],
)
def test_what_cannot_be_replayed_is_told(given_letter: dict[str, Any], why: str) -> None:
    """A dead letter whose connector, list, topic or place is not there any more is named with the reason."""
    made = selection(given_letter)
    assert made.plan(WHOLE, 0.0).targets == {}
    assert made.impossible == {why: 1}


def test_what_retention_took_is_told_by_its_dead_letter() -> None:
    """A change that is gone from the log is recalled from its dead letter while no later result can be missing."""
    spans = {ANA.place: Span(50, 100)}
    made = selection(letter(contact()))
    plan = made.plan(spans, complete_from=2.0)
    assert (list(plan.recalled), plan.starts) == ([ANA], {ANA.place: 50})
    unsure = selection(letter(contact()))
    assert unsure.plan(spans, complete_from=2.1).targets == {}
    assert unsure.impossible == {targets.UNSURE: 1}


def test_an_event_is_read_anew() -> None:
    """An event that can be read by now makes its contact a target from there on."""
    made = selection(undecodable())
    [(place, anew)] = made.anew.items()
    assert anew.value == b"bytes"
    made.read(place, Event({"2006": "007"}), ROUTER)
    assert made.plan(WHOLE, 0.0).starts == {ANA.place: 6}
    assert made.targets[ANA].action == "REMOVE"


@pytest.mark.parametrize(
    ("event", "failed", "skipped"),
    [
        (None, {"UNDECODABLE": 1}, 0),
        (Event({"2006": "nobody"}), {"INVALID_RECORD_ID": 1}, 0),
        (Event({}), {}, 1),
        (Event({"2006": "7"}, source_id="other"), {}, 1),
    ],
)
def test_an_event_that_is_of_no_use_still(event: Event | None, failed: dict[str, int], skipped: int) -> None:
    """What still cannot be read, or bears no record id, failed again; what concerns nobody is skipped."""
    made = selection(undecodable())
    made.read(Place("changes", 0, 6, None), event, ROUTER)
    assert (made.failed, made.skipped, made.targets, made.anew) == (failed, skipped, {}, {})


def test_a_wrong_record_id_is_looked_at_anew_for_its_connector() -> None:
    """A dead letter INVALID_RECORD_ID asks for its event again, which the dead letter does not hold."""
    made = selection(letter(contact("nobody"), reason="INVALID_RECORD_ID"))
    [(place, anew)] = made.anew.items()
    assert (place.connector, anew.value) == ("vip", None)
    made.give_up_reading([place], targets.TAKEN)
    assert made.impossible == {targets.TAKEN: 1}


def test_a_cut_event_is_not_read_from_its_dead_letter() -> None:
    """Of an event that was cut down the dead letter's bytes are not used."""
    assert [anew.value for anew in selection(undecodable(truncated=True)).anew.values()] == [None]


def test_what_was_applied_since_is_left_out() -> None:
    """A result of a change at the dead letter's offset or after it supersedes the target, an older one does not."""
    for offset, left in ((3, 1), (4, 0), (9, 0)):
        made = selection(letter(contact()))
        word = Word()
        word.heard(offset, 10, 11)
        made.supersede({ANA: word})
        assert (len(made.targets), made.superseded) == (left, 1 - left)


def test_an_older_change_that_was_answered_later_supersedes_nothing() -> None:
    """Where an older change may have taken effect after the newer one, the newer one is sent again."""
    word = Word()
    word.heard(9, sent_at=20, answered_at=21)
    word.heard(4, sent_at=15, answered_at=30)
    assert not word.supersedes(4)
    word.heard(9, sent_at=40, answered_at=41)
    assert word.supersedes(4)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 3)), min_size=1), st.randoms())
def test_the_last_word_does_not_depend_on_the_order_of_results(
    results: list[tuple[int, int, int]],
    random: Any,  # noqa: ANN401 - hypothesis's
) -> None:
    """Results are written by several members, so in whatever order they are read the answer is the same."""
    shuffled = list(results)
    random.shuffle(shuffled)
    words = []
    for order in (results, shuffled):
        word = Word()
        for offset, sent_at, took in order:
            word.heard(offset, sent_at, sent_at + took)
        words.append([word.supersedes(offset) for offset in range(6)])
    assert words[0] == words[1]
