"""From a plan that fails to a small one that fails for the same reason."""

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.plan import Plan
from tests.simulation.simulation import Simulation
from tests.simulation.truth import Broken

MOST_TRIES = 2_000


def failure(plan: Plan) -> Exception | None:
    """Play a plan; give what it failed with."""
    try:
        Simulation(plan).run()
    except Exception as problem:  # noqa: BLE001 - whatever the service raises is a failure
        return problem
    return None


def kind(problem: Exception) -> str:
    """Name what failed, whatever the details."""
    return problem.law if isinstance(problem, Broken) else type(problem).__name__


def shrink(plan: Plan, fails: Callable[[Plan], Exception | None] = failure) -> Plan:
    """Leave out steps, many at once and then single ones, as long as what is left fails alike."""
    problem = fails(plan)
    if problem is None:
        return plan
    wanted = kind(problem)
    tries = 0
    size = max(1, len(plan.steps) // 2)
    while tries < MOST_TRIES:
        start, smaller = 0, False
        while start < len(plan.steps) and tries < MOST_TRIES:
            cut = replace(plan, steps=plan.steps[:start] + plan.steps[start + size :])
            tries += 1
            problem = fails(cut)
            if problem is not None and kind(problem) == wanted:
                plan, smaller = cut, True
            else:
                start += size
        if size == 1 and not smaller:
            break
        size = size if smaller and size == 1 else max(1, size // 2)
    return plan
