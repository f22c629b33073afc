"""How the contenders of a measure run, and which measures there are."""

from pathlib import Path
from typing import cast

import pytest

from tests.bench.measure import Contender, Measure, Parts, Values, take
from tests.bench.suite import SUITE, choose, measures


def test_contenders_run_in_turn() -> None:
    """In each round every contender runs once, one right after the other."""
    ran: list[str] = []

    def running(name: str) -> Contender:
        def run(_: Parts) -> Values:
            ran.append(name)
            return {"place": len(ran)}

        return Contender(name, run)

    measure = Measure("race", "Race", "", (running("hare"), running("tortoise")), {"place": ""})
    outcome = take(measure, cast("Parts", Path()), lambda _: None, rounds=2)
    assert ran == ["hare", "tortoise"] * 2
    assert outcome.rounds == [
        {"hare": {"place": 1}, "tortoise": {"place": 2}},
        {"hare": {"place": 3}, "tortoise": {"place": 4}},
    ]


def test_names_are_of_one_measure_each() -> None:
    """No name is taken twice, be it of a measure or of a module."""
    names = [*SUITE, *(each.name for each in measures())]
    assert len(set(names)) == len(names)


def test_measures_are_chosen_by_name_or_by_module() -> None:
    """A module's name stands for all its measures; without a name all run; they keep their order."""
    assert choose([]) == measures()
    assert choose(["growth", "throughput-new"]) == [
        each for each in measures() if each.name == "throughput-new" or each.name.startswith("growth")
    ]
    with pytest.raises(KeyError, match="speed"):
        choose(["speed"])
