"""Plans that once broke a law, cut down; each is a defect that the simulation found in the service."""

import pytest

from consumer.simulator.faults import Fault
from tests.simulation.plan import (
    Crash,
    Dawdle,
    Freeze,
    Hit,
    Join,
    Move,
    Pass,
    Plan,
    RefuseCommits,
    Setup,
    Stop,
    Tell,
    Withhold,
)
from tests.simulation.seeds import quiet
from tests.simulation.simulation import Simulation

REFUSED = ("REBALANCE_IN_PROGRESS",) * 6


@pytest.mark.parametrize("members", [1, 2])
def test_a_crash_before_the_first_commit(members: int) -> None:
    """What a member sent before the group had any offset, and then crashed, does not have the last word."""
    late = Fault("late", seconds=59.0, method="PUT", times=1)
    steps = (
        RefuseCommits(0, REFUSED),
        Tell(source=0, contact=1, enters=True),
        Pass(1.0),
        Hit(late),
        Pass(2.0),
        Crash(0, written=False),
        Tell(source=0, contact=1, enters=False),
        Join(),
        Pass(60.0),
    )
    with quiet():
        Simulation(Plan(1, Setup(partitions=1, members=members), steps)).run()


def test_a_token_that_ends_too_early_keeps_the_rate() -> None:
    """A refresh that nobody foresaw when the request was submitted waits for the rate like every other."""
    setup = Setup(sources=(0, 1, 2, 3), requests_per_10s=5, max_age="500ms")
    unavailable = Fault("unavailable", list_id=101)
    expired = Fault("token_expired", times=2)
    steps = (
        Pass(1.0),
        Hit(unavailable),
        Dawdle(4),
        Hit(expired),
        Pass(25.0),
    )
    with quiet():
        Simulation(Plan(1, setup, steps)).run()


def test_a_second_owner_that_stops_hands_the_doubt_on() -> None:
    """What the first owner sent takes effect late, two owners later: the third one still knows of it."""
    setup = Setup(sources=(0, 1, 0), accounts=2, partitions=3, members=2, max_contacts=2, max_age="2s", shutdown="8s")
    steps = (
        Tell(source=1, contact=2, enters=False),
        Pass(1.0),
        Join(),
        Hit(Fault("late", seconds=59.0, times=1)),
        Stop(member=0, twice=False),
        Pass(2.0),
        Stop(member=2, twice=False),
        Pass(25.0),
        Join(),
        Tell(source=1, contact=2, enters=True),
    )
    with quiet():
        Simulation(Plan(2_003_312, setup, steps)).run()


def test_a_commit_from_before_the_sleep_does_not_prove_membership() -> None:
    """Who slept while a commit was on its way is not taken for a member because its old answer comes at last."""
    setup = Setup(sources=(0, 1, 0, 1), max_contacts=1, max_age="500ms", requests_per_10s=4, members=2)
    steps = (
        Move(partition=0, member=3),
        Withhold("commits", on=True),
        Tell(source=1, contact=3, enters=False),
        Move(partition=1, member=0),
        Tell(source=1, contact=5, enters=False),
        Tell(source=0, contact=2, enters=False),
        Pass(2.0),
        Freeze(member=2, seconds=31.0, notice=3.0),
        Pass(25.0),
        Pass(5.0),
        Pass(3.0),
        Pass(3.0),
        Freeze(member=3, seconds=200.0, notice=0.5),
    )
    with quiet():
        Simulation(Plan(10_005_632, setup, steps)).run()


def test_a_contact_that_left_before_its_addition_was_sent_is_not_tried_again() -> None:
    """An exit that is read while its entry waits in a batch of several requests ends every try of the entry."""
    setup = Setup(partitions=3, members=2, max_contacts=1, max_age="500ms", messages=1, shutdown="2s", over="3500ms")
    steps = (
        Tell(source=0, contact=2, enters=False),
        Withhold(what="commits", on=True),
        Pass(10.0),
        Tell(source=0, contact=5, enters=True),
        Tell(source=0, contact=5, enters=False),
    )
    with quiet():
        Simulation(Plan(228, setup, steps)).run()
