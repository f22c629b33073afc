"""When a replay may let go of a contact, and what it tells of each in the end."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.changes import Action, TopicPartition
from consumer.history import Position
from consumer.intents import Intent
from consumer.pursuit import Pursuit

ANA, BOB = 1, 2
PLACE = TopicPartition("journey.membership", 0)


def settled(_: int) -> bool:
    """Say that nothing of the contact is on its way."""
    return True


def tell(pursuit: Pursuit, contact: int, offset: int = 0, action: Action = Action.ADD) -> None:
    """Let the log tell of a contact."""
    pursuit.told(contact, action, PLACE, offset, 0)


def hand_on(pursuit: Pursuit, number: int) -> int:
    """Hand on what waits, which is one contact; give it."""
    contact, _ = pursuit.hand_on(number)
    assert not pursuit.waiting
    return contact


def look(pursuit: Pursuit) -> bool:
    """Look at the log, which holds nothing new; False if there was nothing to look for."""
    began = pursuit.begin_look(settled)
    pursuit.end_look()
    return began


def test_a_contact_is_let_go_of_after_a_look() -> None:
    """An answer alone does not do: only a look at the log that began after it ends the pursuit."""
    pursuit = Pursuit([ANA])
    tell(pursuit, ANA)
    assert hand_on(pursuit, 1) == ANA
    assert not pursuit.begin_look(settled)
    pursuit.applied(ANA, 1, "ADDED")
    assert pursuit.begin_look(settled)
    assert (pursuit.exposed, ANA in pursuit) == (True, True)
    pursuit.end_look()
    assert (pursuit.exposed, ANA in pursuit, len(pursuit)) == (False, False, 0)
    assert pursuit.outcomes() == {"ADDED": 1}


def test_something_newer_keeps_it() -> None:
    """A newer change, found before or during the look, has to have its own answer and its own look."""
    pursuit = Pursuit([ANA])
    tell(pursuit, ANA)
    hand_on(pursuit, 1)
    pursuit.applied(ANA, 1, "ADDED")
    pursuit.begin_look(settled)
    tell(pursuit, ANA, 7, Action.REMOVE)
    pursuit.end_look()
    assert ANA in pursuit
    assert pursuit.exposed
    assert pursuit.hand_on(2) == (ANA, Intent(Action.REMOVE, Position(*PLACE, 7), 0))
    assert pursuit.has_sent_older(ANA, 2)
    pursuit.applied(ANA, 1, "UNCHANGED")  # an echo of the older one ends nothing
    assert not pursuit.begin_look(settled)
    pursuit.applied(ANA, 2, "REMOVED")
    assert look(pursuit)
    assert pursuit.outcomes() == {"REMOVED": 1}


def test_an_answer_does_not_end_what_waits() -> None:
    """A contact whose newer change was read and not handed on yet is not let go of when the older one is answered."""
    pursuit = Pursuit([ANA])
    tell(pursuit, ANA)
    hand_on(pursuit, 1)
    tell(pursuit, ANA, 7, Action.REMOVE)
    pursuit.applied(ANA, 1, "ADDED")
    assert not look(pursuit)
    assert ANA in pursuit


def test_what_may_take_effect_late_is_kept() -> None:
    """A contact of which something is still on its way is not looked for yet; others are."""
    pursuit = Pursuit([ANA, BOB])
    for number, contact in enumerate((ANA, BOB)):
        tell(pursuit, contact)
        hand_on(pursuit, number)
        pursuit.applied(contact, number, "ADDED")
    pursuit.begin_look(lambda contact: contact == BOB)
    pursuit.end_look()
    assert (ANA in pursuit, BOB in pursuit) == (True, False)


def test_the_first_outcome_of_a_change_counts() -> None:
    """A change that had to be sent twice did what its first answer said."""
    pursuit = Pursuit([ANA])
    tell(pursuit, ANA)
    hand_on(pursuit, 1)
    pursuit.applied(ANA, 1, "ADDED")
    pursuit.applied(ANA, 1, "UNCHANGED")
    assert pursuit.outcomes() == {"ADDED": 1}


def test_what_failed_is_counted_by_its_reason() -> None:
    """A contact whose newest change was refused failed, whatever was applied before; a success after that mends it."""
    pursuit = Pursuit([ANA, BOB])
    tell(pursuit, ANA)
    hand_on(pursuit, 1)
    pursuit.applied(ANA, 1, "ADDED")
    tell(pursuit, ANA, 7, Action.REMOVE)
    hand_on(pursuit, 2)
    pursuit.refused(ANA, 2, "FORBIDDEN")
    assert (pursuit.outcomes(), pursuit.failures(), pursuit.left()) == ({}, {"FORBIDDEN": 1}, 1)
    pursuit.applied(ANA, 2, "REMOVED")
    assert (pursuit.outcomes(), pursuit.failures()) == ({"REMOVED": 1}, {})
    look(pursuit)
    assert (pursuit.outcomes(), pursuit.failures()) == ({"REMOVED": 1}, {})


def test_what_the_log_does_not_tell_is_closed() -> None:
    """A contact of which the log told nothing up to its end is counted and not looked after."""
    pursuit = Pursuit([ANA, BOB])
    tell(pursuit, ANA)
    assert pursuit.caught_up() == 1
    assert (len(pursuit), BOB in pursuit) == (1, False)


def test_everyone_is_everyone_up_to_the_end() -> None:
    """Who is told of before the log's end is looked after; who first comes later is the service's."""
    pursuit = Pursuit(everyone=True)
    tell(pursuit, ANA)
    pursuit.caught_up()
    tell(pursuit, BOB)
    tell(pursuit, ANA, 7, Action.REMOVE)
    assert (len(pursuit), pursuit.contacts, BOB in pursuit) == (1, 1, False)
    _, intent = pursuit.hand_on(1)
    assert intent.action is Action.REMOVE


def test_who_was_let_go_of_stays_so() -> None:
    """What is written of a contact after it was let go of is the service's to send."""
    pursuit = Pursuit([ANA])
    tell(pursuit, ANA)
    hand_on(pursuit, 1)
    pursuit.applied(ANA, 1, "ADDED")
    look(pursuit)
    tell(pursuit, ANA, 7, Action.REMOVE)
    assert (len(pursuit), pursuit.waiting) == (0, 0)


def test_what_waits_is_abandoned_but_not_what_was_begun() -> None:
    """When a list refuses, what waits for it fails; of a contact whose older change is out the newer one still goes."""
    pursuit = Pursuit(everyone=True)
    tell(pursuit, ANA)
    hand_on(pursuit, 1)
    tell(pursuit, ANA, 7, Action.REMOVE)
    tell(pursuit, BOB)
    pursuit.abandon("FORBIDDEN")
    assert (pursuit.failures(), len(pursuit), pursuit.left()) == ({"FORBIDDEN": 1}, 1, 1)
    assert pursuit.hand_on(2) == (ANA, Intent(Action.REMOVE, Position(*PLACE, 7), 0))


def test_what_a_stop_leaves_is_counted() -> None:
    """What was not handed on when somebody asked to stop is left, and is no failure."""
    pursuit = Pursuit(everyone=True)
    for contact in (ANA, BOB):
        tell(pursuit, contact)
    pursuit.abandon(None)
    assert (pursuit.failures(), len(pursuit), pursuit.left()) == ({}, 0, 2)


KINDS = ("told", "hand_on", "applied", "refused", "look", "abandon")
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 4)))


@given(STEPS)
def test_every_contact_is_counted_once(steps: list[tuple[str, int]]) -> None:
    """Whatever happens in whatever order, each contact is open, applied, failed or left, and none is two of them."""
    pursuit, sent = Pursuit(everyone=True), {}
    for number, (step, contact) in enumerate(steps):
        match step:
            case "told":
                tell(pursuit, contact, number)
            case "hand_on" if pursuit.waiting:
                handed, _ = pursuit.hand_on(number)
                sent[handed] = number
            case "applied" if contact in sent:
                pursuit.applied(contact, sent[contact], "ADDED")
            case "refused" if contact in sent:
                pursuit.refused(contact, sent[contact], "FORBIDDEN")
            case "look":
                look(pursuit)
            case "abandon":
                pursuit.abandon(None if contact % 2 else "FORBIDDEN")
        assert len(pursuit) == sum(each in pursuit for each in range(1, 5))
        counted = pursuit.outcomes().total() + pursuit.failures().total() + pursuit.left()
        assert counted == pursuit.contacts
