"""Plans that once broke a law, cut down; each is a defect that the simulation found in the service."""

import pytest

from consumer.simulator.faults import Fault
from tests.simulation.plan import Crash, Hit, Join, Pass, Plan, RefuseCommits, Setup, Tell
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
