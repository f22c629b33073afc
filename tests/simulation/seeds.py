"""Many seeds: in this process, in several, or on and on."""

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import count
from multiprocessing import get_context
from typing import NamedTuple

import structlog

from tests.simulation.plan import make_plan
from tests.simulation.shrink import failure, shrink
from tests.simulation.simulation import Simulation

CHUNK = 25  # seeds that a process plays at once


@contextmanager
def quiet() -> Iterator[None]:
    """Let the service log nothing: to write it takes longer than the simulation."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def first_failure(seeds: Iterable[int]) -> int | None:
    """Play these seeds; give the first that fails."""
    with quiet():
        return next((seed for seed in seeds if failure(make_plan(seed)) is not None), None)


def digest(seed: int) -> str:
    """Play a seed; give a digest of all that HubSpot saw of it."""
    simulation = Simulation(make_plan(seed))
    with quiet():
        simulation.run()
    return hashlib.sha256(repr(simulation.world.portal.log).encode()).hexdigest()


def explain(seed: int) -> str:
    """Tell what fails with a seed, in as few steps as that takes, and how to see it again."""
    with quiet():
        small = shrink(make_plan(seed))
        problem = failure(small)
    if problem is None:
        return f"seed {seed} does not fail"
    again = f"again: python -m tests.simulation --seed {seed}"
    return f"seed {seed} fails: {type(problem).__name__}: {problem}\n{small}\n{again}"


class Played(NamedTuple):
    """How many seeds passed before the first that failed, if any did."""

    passed: int
    failed: int | None


def play(
    start: int, *, number: int | None = None, seconds: float = float("inf"), processes: int = 2
) -> Iterator[Played]:
    """Play seeds from `start` on in several processes: so many, or for so long. Gives word after every chunk.

    Ends with the first failure.
    """
    deadline = time.monotonic() + seconds
    chunks = count(start, CHUNK) if number is None else iter(range(start, start + number, CHUNK))
    end = float("inf") if number is None else start + number
    passed = 0
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        waiting: dict[Future[int | None], int] = {}
        while True:
            while len(waiting) < 2 * processes and time.monotonic() < deadline:
                first = next(chunks, None)
                if first is None:
                    break
                size = int(min(CHUNK, end - first))
                waiting[pool.submit(first_failure, range(first, first + size))] = size
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for each in done:
                size, failed = waiting.pop(each), each.result()
                if failed is not None:
                    for other in waiting:
                        other.cancel()
                    yield Played(passed, failed)
                    return
                passed += size
                yield Played(passed, None)
