"""What is kept of a measure, and how it is shown."""

from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.measure import Contender, Goal, Measure, Outcome, Spread
from tests.bench.report import Record, Results

MEASURE = Measure(
    "races",
    "Races",
    "Who is faster.",
    (Contender("hare", lambda _: {}), Contender("tortoise", lambda _: {})),
    {"speed": "km/h", "naps": ""},
    (
        Goal("speed, hare to tortoise", lambda of: of["hare"]["speed"] / of["tortoise"]["speed"], at_least=100),
        Goal("naps", lambda of: of["hare"]["naps"], at_most=2),
    ),
)
ROUNDS = [
    {"hare": {"speed": 30.0, "naps": 3}, "tortoise": {"speed": 0.25}},
    {"hare": {"speed": 25.0, "naps": 1}, "tortoise": {"speed": 0.25}},
    {"hare": {"speed": 20.0, "naps": 4}, "tortoise": {"speed": 0.25}},
]


def record(machine: str = "a machine") -> Record:
    """Give the record of three rounds."""
    return Record.of(Outcome(MEASURE, [*ROUNDS]), date="2026-11-26", commit="abc", machine=machine)


def test_figures_are_shown_as_median_least_and_most() -> None:
    """A contender has a row, a figure a column with its unit; a figure that somebody does not have stays empty."""
    lines = report.figures(record())
    assert lines.head == ["", "speed, km/h", "naps"]
    assert lines.rows == [["hare", "25 (20–30)", "3 (1–4)"], ["tortoise", "0.25", ""]]  # noqa: RUF001 - a dash


def test_the_median_of_the_rounds_meets_a_goal_or_misses_it() -> None:
    """Of each goal it is told what was asked, what was seen, and whether that is enough."""
    rows = report.goals(record()).rows
    assert rows == [
        ["speed, hare to tortoise", "at least 100", "100 (80–120)", "met"],  # noqa: RUF001 - a dash
        ["naps", "at most 2", "3 (1–4)", "missed"],  # noqa: RUF001 - a dash
    ]
    assert not record().met


def test_what_is_kept_is_shown_as_before(tmp_path: Path) -> None:
    """The README's section is made of the file alone."""
    results = Results(measures={"races": record()})
    results.write(tmp_path / "results.json", ["races"])
    assert report.section(Results.read(tmp_path / "results.json")) == report.section(results)


def test_measures_are_kept_in_their_order_as_long_as_they_exist(tmp_path: Path) -> None:
    """A measure that is measured anew keeps its place; one that is no more is forgotten."""
    results = Results(measures={"gone": record(), "second": record(), "first": record()})
    results.write(tmp_path / "results.json", ["first", "second", "third"])
    assert list(Results.read(tmp_path / "results.json").measures) == ["first", "second"]


def test_the_machine_is_told_once_if_there_is_one() -> None:
    """Where all was measured on one machine it stands at the top, else with each measure."""
    alike = report.section(Results(measures={"one": record(), "two": record()}))
    assert alike.count("a machine") == 1
    mixed = report.section(Results(measures={"one": record(), "two": record("another")}))
    assert "abc, on a machine." in mixed
    assert "abc, on another." in mixed
    assert "Measured on" not in mixed


def test_the_section_replaces_what_is_between_the_markers() -> None:
    """What stands around the section stays; what is put in is found again."""
    results = Results(measures={"races": record()})
    readme = report.put(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", results)
    assert readme.startswith(f"before\n{report.BEGIN}\n\nMeasured on a machine.\n\n### Races\n")
    assert readme.endswith(f"abc.\n\n{report.END}\nafter\n")
    assert report.found(readme) == report.section(results)
    assert report.put(readme, results) == readme


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567.8, "1,234,568"),
        (100, "100"),
        (99.95, "100"),
        (12.34, "12.3"),
        (2.0, "2"),
        (0.01234, "0.0123"),
    ],
)
def test_numbers_have_three_digits_or_their_whole_part(value: float, text: str) -> None:
    """What no measurement is good for is not shown."""
    assert report.number(value) == text


def test_a_spread_of_equal_numbers_is_one_number() -> None:
    """Where all rounds agree there is nothing to tell of least and most."""
    assert report.spread(Spread(2, 2, 2)) == "2"
