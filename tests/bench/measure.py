"""What a measure is: some contenders that run in turn, the figures of each run, and the goals that these must meet.

Machines are noisy, and no two are alike: so a goal looks at the figures of one round, in which every contender ran
once, one right after the other; what counts is the median over the rounds. Absolute figures are context.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.real.kafka_broker import Broker
from tests.real.registry_server import RegistryServer

Values = Mapping[str, float]
"""The figures of one run, by name."""

Round = Mapping[str, Values]
"""The figures of every contender, by its name, from runs one right after the other."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What all measures share: a real broker, a real registry, and a folder for what a run leaves behind."""

    broker: Broker
    registry: RegistryServer
    folder: Path


@dataclass(frozen=True, slots=True)
class Contender:
    """One thing that is measured. `run` does it once; AssertionError if it did not do its work right."""

    name: str
    run: Callable[[Parts], Values]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a round's figures must say; the median over the rounds lies between `at_least` and `at_most`."""

    text: str
    value: Callable[[Round], float]
    at_least: float = float("-inf")
    at_most: float = float("inf")


@dataclass(frozen=True, slots=True)
class Measure:
    """Contenders that are compared. `units` are those of the figures, in the order in which the table shows them."""

    name: str
    title: str
    about: str
    contenders: Sequence[Contender]
    units: Mapping[str, str]
    goals: Sequence[Goal] = ()
    rounds: int = 5


class Spread(NamedTuple):
    """The median of some values, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Sum values up; there is at least one."""
        return cls(median(values), min(values), max(values))


@dataclass(slots=True)
class Outcome:
    """What the rounds of a measure came to."""

    measure: Measure
    rounds: list[Round] = field(default_factory=list)


def take(measure: Measure, parts: Parts, told: Callable[[str], None], rounds: int | None = None) -> Outcome:
    """Run all contenders in turn, round after round; `told` hears what runs."""
    outcome = Outcome(measure)
    for number in range(1, (rounds or measure.rounds) + 1):
        done: dict[str, Values] = {}
        for contender in measure.contenders:
            told(f"{measure.name}, round {number}: {contender.name}")
            done[contender.name] = contender.run(parts)
        outcome.rounds.append(done)
    return outcome
