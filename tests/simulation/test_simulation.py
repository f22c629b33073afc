"""The whole service under random plans, and the planted defects that they must notice."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.simulation.defects import DEFECTS
from tests.simulation.plan import make_plan
from tests.simulation.seeds import digest, explain, first_failure, play, quiet
from tests.simulation.shrink import failure, kind, shrink

FEW = 10
SEEDS = 1_000
ALIKE = 40


def test_the_laws_hold_in_a_few_seeds() -> None:
    """Whatever happens in the first plans, no law is broken and each list ends as the log says."""
    failed = first_failure(range(FEW))
    assert failed is None, explain(failed)


@pytest.mark.process
def test_the_laws_hold_in_a_thousand_seeds() -> None:
    """Whatever happens in a thousand plans, no law is broken and each list ends as the log says."""
    *_, last = play(0, number=SEEDS)
    assert last.failed is None, explain(last.failed)
    assert last.passed == SEEDS


@pytest.mark.process
def test_a_seed_plays_alike_in_every_process() -> None:
    """What fails once fails again: HubSpot sees the same of a seed, to the byte, in whatever process it is played."""
    played = []
    for _ in range(2):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # with a hash seed of its own
            played.append([*pool.map(digest, range(ALIKE))])
    assert played[0] == played[1]


@pytest.mark.process
def test_planted_defects_are_found() -> None:
    """Each defect breaks a law in one of the thousand plans: in that of the seed that stands beside it."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        found = dict(zip(DEFECTS, pool.map(_finds, DEFECTS), strict=True))
    assert found == {name: seed for name, (_, seed) in DEFECTS.items()}


def _finds(defect: str) -> int | None:
    """Give a seed that finds a defect: the one beside it, or else the first."""
    make, seed = DEFECTS[defect]
    with quiet(), make():
        return next((each for each in (seed, *range(SEEDS)) if failure(make_plan(each)) is not None), None)


def test_a_failing_plan_is_cut_down() -> None:
    """What is shown of a failure is a plan of a few steps that fails for the same reason."""
    make, seed = DEFECTS["commits the newest offset of a batch"]
    with quiet(), make():
        plan = make_plan(seed)
        small = shrink(plan)
        before, after = failure(plan), failure(small)
    assert before is not None
    assert after is not None
    assert kind(after) == kind(before)
    assert len(small.steps) <= 8
