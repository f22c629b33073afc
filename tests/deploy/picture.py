"""The dashboard's panels with the data of a run, drawn into one picture.

`python -m tests.deploy.picture` plays a faulty run and writes it. It is drawn by the few lines below, not by Grafana.
"""

import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tests.deploy.faulty_run import seen
from tests.deploy.shown import Answer, answers, panels, row_titles
from tests.house.tree import ROOT
from tests.real.authority import Authority
from tests.real.kafka_broker import any_broker
from tests.real.registry_server import RegistryServer
from tests.real.service import world

FILE = ROOT / "deploy" / "grafana" / "dashboard.svg"
SECONDS = 300.0

COLUMN, LINE, GAP = 58, 20, 6  # of Grafana's grid, and between two panels, in pixels
COLORS = ("#0550ae", "#1a7f37", "#bc4c00", "#8250df", "#bf3989", "#9a6700", "#57606a", "#0a7ea4", "#a40e26")
TEXT, FRAME, RED = "#24292f", "#d0d7de", "#cf222e"
MOST_NAMED = 4  # series in a legend
MOST_ROWS = 5  # of a table
LETTER = 5.6  # pixels of a letter in a legend, about

Shown = tuple[Mapping[str, Any], Sequence[Answer]]


def draw(shown: Sequence[Shown], rows_of_panels: Sequence[Mapping[str, Any]] = ()) -> str:
    """Draw panels where the dashboard has them, and the titles of its rows."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in shown)
    width, height = 24 * COLUMN, rows * LINE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
    parts = [f'{head} aria-label="The dashboard" font-family="sans-serif" font-size="12" fill="{TEXT}">']
    parts.append(f'<rect width="{width}" height="{height}" fill="#f6f8fa"/>')
    title = 'font-size="13" font-weight="bold"'
    parts += [_text(4, row["gridPos"]["y"] * LINE + 14, row["title"], title) for row in rows_of_panels]
    for panel, given in shown:
        place = panel["gridPos"]
        box = _Box(place["w"] * COLUMN - GAP, place["h"] * LINE - GAP)
        parts.append(f'<g transform="translate({place["x"] * COLUMN} {place["y"] * LINE})">')
        parts.append(f'<rect width="{box.width}" height="{box.height}" rx="4" fill="#fff" stroke="{FRAME}"/>')
        parts.append(_text(10, 20, panel["title"], 'font-weight="bold"'))
        parts += _KINDS[panel["type"]](panel, given, box)
        parts.append("</g>")
    return "\n".join((*parts, "</svg>\n"))


class _Box:
    """Where a panel is drawn: its size, and the part for points."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.left, self.right, self.top, self.bottom = 52, width - 10, 32, height - 26


def _text(left: float, top: float, text: str, more: str = "") -> str:
    return f'<text x="{left:.0f}" y="{top:.0f}" {more}>{escape(text)}</text>'


def number(value: float, unit: str) -> str:
    """Write a value with its unit, short."""
    if not math.isfinite(value):
        return ""
    match unit:
        case "percentunit":
            return f"{100 * value:.3g} %"
        case "bytes":
            return f"{value / 2**20:.0f} MiB"
        case "s":
            return f"{value:.3g} s"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(panel: Mapping[str, Any], given: Sequence[Answer], box: _Box) -> Iterator[str]:
    renamed = panel["transformations"][1]["options"]["renameByName"]
    hidden = panel["transformations"][1]["options"]["excludeByName"]
    rows: dict[tuple[tuple[str, str], ...], dict[str, str]] = defaultdict(dict)
    for answer in given:
        name = "Value" if len(given) == 1 else f"Value #{answer.target['refId']}"
        unit = "percentunit" if renamed.get(name) == "Within 2 minutes" else panel["fieldConfig"]["defaults"]["unit"]
        for labels, points in answer.series:
            told = {label: value for label, value in labels.items() if label not in ("job", "__name__")}
            rows[tuple(sorted(told.items()))] |= told | {name: number(points[-1][1], unit)}
    columns = [each for each in dict.fromkeys(name for row in rows.values() for name in row) if each not in hidden]
    heads = {column: renamed.get(column, column) for column in columns}
    letters = {
        column: 3 + max(len(heads[column]), *(len(row.get(column, "")) for row in rows.values())) for column in columns
    }
    apart = min(9.0, (box.width - 20) / sum(letters.values()))
    left = 10.0
    for column in columns:
        yield _text(left, 44, heads[column], 'font-weight="bold" font-size="11"')
        for down, row in enumerate(list(rows.values())[:MOST_ROWS]):
            yield _text(left, 66 + 18 * down, row.get(column, ""), 'font-size="11"')
        left += apart * letters[column]


def _stat(panel: Mapping[str, Any], given: Sequence[Answer], box: _Box) -> Iterator[str]:
    value = given[0].series[0][1][-1][1]
    last = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]
    steps = [each["color"] for each in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    color = steps[-1] if value >= last["value"] else steps[0]
    told = number(value, panel["fieldConfig"]["defaults"]["unit"])
    yield _text(box.width / 2, box.height / 2 + 12, told, f'font-size="32" text-anchor="middle" fill="{color}"')


def _graph(panel: Mapping[str, Any], given: Sequence[Answer], box: _Box) -> Iterator[str]:
    lines = [
        (answer.legend(labels), [(at, value) for at, value in points if math.isfinite(value)])
        for answer in given
        for labels, points in answer.series
    ]
    lines = [line for line in lines if any(value for _, value in line[1])] or [line for line in lines if line[1]]
    stacked = panel["fieldConfig"]["defaults"]["custom"].get("drawStyle") == "bars"
    bars = list(_stack([points for _, points in lines])) if stacked else []
    values = [value for _, points in lines for _, value in points] + [
        end for bar in bars for _, *ends in bar for end in ends
    ]
    times = [at for _, points in lines for at, _ in points]
    low, high = min(0.0, *values), max(0.0, *values)
    high = high if high > low else 1.0
    first, span = min(times), max(times) - min(times) or 1.0

    def at(when: float, value: float) -> tuple[float, float]:
        right = box.left + (when - first) / span * (box.right - box.left)
        return right, box.bottom - (value - low) / (high - low) * (box.bottom - box.top)

    for mark in sorted({low, 0.0, high}):
        height = at(first, mark)[1]
        told = number(mark, panel["fieldConfig"]["defaults"]["unit"])
        yield f'<path d="M{box.left} {height:.0f}H{box.right}" stroke="{FRAME}"/>'
        yield _text(box.left - 4, height + 4, told, 'text-anchor="end" font-size="10"')
    limit = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
    if limit is not None and limit <= high:
        yield f'<path d="M{box.left} {at(first, limit)[1]:.0f}H{box.right}" stroke="{RED}" stroke-dasharray="4"/>'
    for color, (_, points) in zip(_colors(), lines if not stacked else (), strict=False):
        path = " ".join("{:.0f},{:.0f}".format(*at(*point)) for point in points)
        yield f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>'
    for color, bar in zip(_colors(), bars, strict=False):
        path = "".join("M{:.0f} {:.0f}V{:.0f}".format(*at(when, start), at(when, end)[1]) for when, start, end in bar)
        yield f'<path d="{path}" stroke="{color}" stroke-width="4"/>'
    yield from _legend([name for name, _ in lines], box)


def _colors() -> Iterator[str]:
    while True:
        yield from COLORS


def _stack(lines: Sequence[Sequence[tuple[float, float]]]) -> Iterator[list[tuple[float, float, float]]]:
    """Put lines on top of each other, what is below 0 downwards: time, start and end of each bar that has a height."""
    tops: dict[tuple[float, bool], float] = defaultdict(float)
    for points in lines:
        bar = []
        for when, value in points:
            start = tops[when, value > 0]
            tops[when, value > 0] += value
            if value:
                bar.append((when, start, start + value))
        yield bar


def _legend(names: Sequence[str], box: _Box) -> Iterator[str]:
    named = list(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        named.append(f"and {len(names) - MOST_NAMED} more")
    left, most = 10.0, max(4, int((box.width - 20) / len(named) / LETTER) - 4)
    for place, (name, color) in enumerate(zip(named, _colors(), strict=False)):
        told = name if len(name) <= most else f"{name[: most - 1]}…"
        if place < MOST_NAMED:
            yield f'<rect x="{left:.0f}" y="{box.height - 14}" width="8" height="3" fill="{color}"/>'
        yield _text(left + 11, box.height - 9, told, 'font-size="10"')
        left += (len(told) + 4) * LETTER


_KINDS = {"table": _table, "stat": _stat, "timeseries": _graph}


def main() -> None:
    """Play a run and write the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with (
            any_broker(folder, Authority(folder)) as broker,
            RegistryServer(folder) as registry,
            world(broker, registry, folder) as here,
            seen(here, SECONDS, folder) as done,
        ):
            FILE.write_text(draw([(panel, list(answers(done, panel))) for panel in panels()], row_titles()), "utf-8")
    sys.stdout.write(f"{FILE.relative_to(ROOT)}: {FILE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
