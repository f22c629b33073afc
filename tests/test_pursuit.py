"""When a replay may let go of a contact."""

from consumer.pursuit import Pursuit

ANA, BOB = ("vip", 1), ("vip", 2)


def settled(_: tuple[str, int]) -> bool:
    """Say that nothing of the contact is on its way."""
    return True


def test_a_contact_is_let_go_of_after_a_look() -> None:
    """An answer alone does not do: only a look at the log that began after it ends the pursuit."""
    pursuit = Pursuit([ANA])
    pursuit.folded(ANA, 1)
    assert not pursuit.begin_look(settled)
    pursuit.applied(ANA, 1, "ADDED")
    assert pursuit.begin_look(settled)
    assert (pursuit.exposed, ANA in pursuit) == (True, True)
    pursuit.end_look()
    assert (pursuit.exposed, ANA in pursuit) == (False, False)
    assert pursuit.outcomes() == {"ADDED": 1}


def test_something_newer_keeps_it() -> None:
    """A newer change, found before or during the look, has to have its own answer and its own look."""
    pursuit = Pursuit([ANA])
    pursuit.folded(ANA, 1)
    pursuit.applied(ANA, 1, "ADDED")
    pursuit.begin_look(settled)
    pursuit.folded(ANA, 2)
    pursuit.end_look()
    assert ANA in pursuit
    assert pursuit.exposed
    assert pursuit.has_sent_older(ANA, 2)
    pursuit.applied(ANA, 1, "UNCHANGED")  # an echo of the older one ends nothing
    assert not pursuit.begin_look(settled)
    pursuit.applied(ANA, 2, "REMOVED")
    pursuit.begin_look(settled)
    pursuit.end_look()
    assert pursuit.outcomes() == {"REMOVED": 1}


def test_what_may_take_effect_late_is_kept() -> None:
    """A contact of which something is still on its way is not looked for yet; others are."""
    pursuit = Pursuit([ANA, BOB])
    for whom in (ANA, BOB):
        pursuit.folded(whom, 1)
        pursuit.applied(whom, 1, "ADDED")
    pursuit.begin_look(lambda whom: whom == BOB)
    pursuit.end_look()
    assert (ANA in pursuit, BOB in pursuit) == (True, False)


def test_the_first_outcome_of_a_change_counts() -> None:
    """A change that had to be sent twice did what its first answer said."""
    pursuit = Pursuit([ANA])
    pursuit.folded(ANA, 1)
    pursuit.applied(ANA, 1, "ADDED")
    pursuit.applied(ANA, 1, "UNCHANGED")
    assert pursuit.outcomes() == {"ADDED": 1}


def test_what_failed_is_counted_by_its_reason() -> None:
    """A contact whose newest change was refused failed, whatever was applied before; a success after that mends it."""
    pursuit = Pursuit([ANA, BOB])
    pursuit.folded(ANA, 1)
    pursuit.applied(ANA, 1, "ADDED")
    pursuit.folded(ANA, 2)
    pursuit.refused(ANA, 2, "FORBIDDEN")
    assert (pursuit.outcomes(), pursuit.failures(), pursuit.left()) == ({}, {"FORBIDDEN": 1}, 1)
    pursuit.applied(ANA, 2, "REMOVED")
    assert (pursuit.outcomes(), pursuit.failures()) == ({"REMOVED": 1}, {})


def test_what_the_log_does_not_tell_is_closed() -> None:
    """A contact of which the log told nothing is given back and not looked after."""
    pursuit = Pursuit([ANA, BOB])
    pursuit.folded(ANA, 1)
    assert pursuit.unseen() == [BOB]
    assert (len(pursuit), BOB in pursuit) == (1, False)
