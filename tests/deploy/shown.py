"""What the dashboard shows of a run: its panels, each query asked of the Prometheus that has seen the run."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.grafana import dashboard
from tests.deploy.faulty_run import Seen
from tests.deploy.prometheus import fill

POINTS = 60  # of a graph, about

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What one query gave: for each set of labels points of time and value. One point, where only now is asked for."""

    target: Mapping[str, Any]
    series: Sequence[tuple[Labels, Sequence[tuple[float, float]]]]

    def legend(self, labels: Labels) -> str:
        """Name a series as the legend does."""
        return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), str(self.target.get("legendFormat", "")))

    @property
    def numbers(self) -> list[float]:
        """Every value that is a number: a ratio of nothing to nothing is none."""
        return [value for _, points in self.series for _, value in points if math.isfinite(value)]


def panels() -> list[dict[str, Any]]:
    """Give the panels of the dashboard's file, without rows."""
    return [panel for panel in _all() if panel["type"] != "row"]


def row_titles() -> list[dict[str, Any]]:
    """Give the rows of the dashboard's file, each of which is a title above panels."""
    return [panel for panel in _all() if panel["type"] == "row"]


def _all() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dashboard.FILE.read_text("utf-8"))["panels"]
    return found


def answers(seen: Seen, panel: Mapping[str, Any], **variables: str) -> Iterator[Answer]:
    """Ask every query of a panel as Grafana does; `variables` in place of those that choose everything."""
    for target in panel["targets"]:
        query = fill(target["expr"], {**seen.variables, **variables})
        yield Answer(target, series(seen, query, instant=bool(target.get("instant"))))


def series(seen: Seen, query: str, *, instant: bool = False) -> list[tuple[Labels, list[tuple[float, float]]]]:
    """Ask one query: of the end of the run, or of all of it."""
    if instant:
        found = seen.prometheus.ask("query", query=query, time=seen.end)["result"]
        return [(each["metric"], [_point(each["value"])]) for each in found]
    step = max(1.0, (seen.end - seen.start) / POINTS)
    found = seen.prometheus.ask("query_range", query=query, start=seen.start, end=seen.end, step=step)["result"]
    return [(each["metric"], [_point(value) for value in each["values"]]) for each in found]


def _point(told: Sequence[Any]) -> tuple[float, float]:
    return float(told[0]), float(told[1])
