"""What measures came to, kept as JSON, and shown: as tables for people, and as a section of the README."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tests.bench.measure import Outcome, Spread

BEGIN = "<!-- bench -->"
END = "<!-- /bench -->"

_WIDTH = 120
_EXACT = 100  # from here on digits behind the point say nothing


class Asked(BaseModel):
    """A goal, and what was seen of it in each round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    at_least: float | None
    at_most: float | None
    seen: tuple[float, ...]

    @property
    def spread(self) -> Spread:
        """What was seen, summed up."""
        return Spread.of(self.seen)

    @property
    def met(self) -> bool:
        """Tell whether the median is as it must be."""
        least, most = self.at_least, self.at_most
        return (least is None or self.spread.median >= least) and (most is None or self.spread.median <= most)

    @property
    def bounds(self) -> str:
        """What is asked, in words."""
        least = [] if self.at_least is None else [f"at least {number(self.at_least)}"]
        most = [] if self.at_most is None else [f"at most {number(self.at_most)}"]
        return ", ".join(least + most)


class Record(BaseModel):
    """What a measure came to, with all that it takes to show it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    about: str
    date: str
    commit: str
    machine: str
    units: dict[str, str]
    rounds: tuple[dict[str, dict[str, float]], ...]
    goals: tuple[Asked, ...]

    @classmethod
    def of(cls, outcome: Outcome, *, date: str, commit: str, machine: str) -> "Record":
        """Make the record of an outcome."""
        measure = outcome.measure
        return cls(
            title=measure.title,
            about=measure.about,
            date=date,
            commit=commit,
            machine=machine,
            units=dict(measure.units),
            rounds=tuple({name: dict(values) for name, values in each.items()} for each in outcome.rounds),
            goals=tuple(
                Asked(
                    text=goal.text,
                    at_least=_finite(goal.at_least),
                    at_most=_finite(goal.at_most),
                    seen=tuple(goal.value(each) for each in outcome.rounds),
                )
                for goal in measure.goals
            ),
        )

    @property
    def met(self) -> bool:
        """Tell whether all goals are met."""
        return all(each.met for each in self.goals)


class Results(BaseModel):
    """The records of all measures, by name."""

    model_config = ConfigDict(extra="forbid")

    measures: dict[str, Record] = {}

    @classmethod
    def read(cls, file: Path) -> "Results":
        """Read them; there are none where there is no file."""
        return cls.model_validate_json(file.read_text("utf-8")) if file.exists() else cls()

    def write(self, file: Path, order: Sequence[str]) -> None:
        """Write them, in the order of all measures there are; what is no measure any more goes."""
        self.measures = {name: self.measures[name] for name in order if name in self.measures}
        file.write_text(self.model_dump_json(indent=1) + "\n", "utf-8")


class Lines(NamedTuple):
    """A table: its head, and rows of as many cells."""

    head: list[str]
    rows: list[list[str]]


def figures(record: Record) -> Lines:
    """Give the table of figures: one row for each contender."""
    contenders = dict.fromkeys(name for each in record.rounds for name in each)
    head = ["", *(f"{name}, {unit}" if unit else name for name, unit in record.units.items())]
    rows = []
    for contender in contenders:
        cells = []
        for name in record.units:
            seen = [each[contender][name] for each in record.rounds if name in each.get(contender, {})]
            cells.append(spread(Spread.of(seen)) if seen else "")
        rows.append([contender, *cells])
    return Lines(head, rows)


def goals(record: Record) -> Lines:
    """Give the table of goals."""
    head = ["goal", "asked", "seen", ""]
    return Lines(
        head, [[each.text, each.bounds, spread(each.spread), "met" if each.met else "missed"] for each in record.goals]
    )


def shown(record: Record) -> RenderableType:
    """Give the tables of a measure for a terminal."""
    tables: list[RenderableType] = [Text(record.title, style="bold")]
    for lines in (figures(record), goals(record)):
        if lines.rows:
            table = Table(*lines.head)
            for row in lines.rows:
                table.add_row(*row)
            tables.append(table)
    return Group(*tables)


def section(results: Results) -> str:
    """Give the text between the README's markers."""
    records = results.measures.values()
    if not records:
        return "\nNothing is measured yet.\n\n"
    first, *others = dict.fromkeys(each.machine for each in records)
    blocks = [] if others else [_wrapped(f"Measured on {first}.")]
    for record in records:
        where = f", on {record.machine}" if others else ""
        rounds = f"{len(record.rounds)} round{'s'[: len(record.rounds) > 1]}"
        blocks += [f"### {record.title}", _wrapped(record.about)]
        blocks += [_markdown(lines) for lines in (figures(record), goals(record)) if lines.rows]
        blocks.append(_wrapped(f"{rounds} on {record.date}, commit {record.commit}{where}."))
    return "\n" + "\n\n".join(blocks) + "\n\n"


def put(readme: str, results: Results) -> str:
    """Give the README with the present section between its markers."""
    before, _, rest = readme.partition(f"{BEGIN}\n")
    _, _, after = rest.partition(f"{END}\n")
    return f"{before}{BEGIN}\n{section(results)}{END}\n{after}"


def found(readme: str) -> str:
    """Give what stands between the markers of the README."""
    return readme.partition(f"{BEGIN}\n")[2].partition(f"{END}\n")[0]


def number(value: float) -> str:
    """Write a number with three digits that say something, or all of its whole part."""
    if value == 0 or abs(value) >= _EXACT:
        return f"{value:,.0f}"
    behind = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{behind}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def spread(seen: Spread) -> str:
    """Write the median, and the least and the most where they look different."""
    median, least, most = map(number, seen)
    return median if least == most else f"{median} ({least}–{most})"  # noqa: RUF001 - a dash between numbers


def _wrapped(text: str) -> str:
    return fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _markdown(lines: Lines) -> str:
    rows: Iterable[list[str]] = [lines.head, ["---"] * len(lines.head), *lines.rows]
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
