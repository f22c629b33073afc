"""The whole service under random plans, and the planted defects that they must notice."""

import pytest

from tests.simulation.defects import DEFECTS
from tests.simulation.plan import make_plan
from tests.simulation.seeds import explain, first_failure, play, quiet
from tests.simulation.shrink import failure, kind, shrink

FEW = 10
SEEDS = 1_000


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


@pytest.mark.parametrize(("defect", "seed"), [(name, seed) for name, (_, seed) in DEFECTS.items()])
def test_a_planted_defect_is_found(defect: str, seed: int) -> None:
    """A defect in the service breaks a law in one of the seeds that are played: `seed` is the first of them."""
    with quiet(), DEFECTS[defect][0]():
        found = next((each for each in (seed, *range(SEEDS)) if failure(make_plan(each)) is not None), None)
    assert found == seed, f"found by seed {found}: write that down"


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
