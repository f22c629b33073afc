"""A line over time, drawn as SVG: legible on a light page and on a dark one, for it brings its own background."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 40, 52  # margins
STEPS = 5  # of the upper axis, at least
TEXT, GRID, LINE = "#24292f", "#d0d7de", "#0550ae"


class Axis(NamedTuple):
    """What an axis says, where it ends, and the distance of its marks; it begins at 0."""

    text: str
    end: float
    step: float

    @classmethod
    def for_values(cls, text: str, values: Iterable[float]) -> "Axis":
        """Give one that goes a little beyond the highest value, with round marks."""
        most = max(values)
        step = next(size for size in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000) if size * STEPS >= most)
        return cls(text, step * (most // step + 1), step)

    @property
    def marks(self) -> list[float]:
        """Give the values that are marked."""
        return [number * self.step for number in range(int(self.end / self.step) + 1)]


def line(title: str, x: Axis, y: Axis, points: Sequence[tuple[float, float]]) -> str:
    """Draw one line through the points."""

    def at(right: float, up: float) -> tuple[float, float]:
        """Give where a point lies in the picture."""
        return (
            LEFT + right / x.end * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up / y.end * (HEIGHT - TOP - BOTTOM),
        )

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#fff" stroke="{GRID}"/>', _text(LEFT, 24, title)]
    for mark in y.marks:
        left, height = at(0, mark)
        parts.append(f'<path d="M{left:.1f} {height:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>')
        parts.append(_text(left - 8, height + 4, f"{mark:g}", "end"))
    parts += [_text(at(mark, 0)[0], HEIGHT - BOTTOM + 18, f"{mark:g}", "middle") for mark in x.marks]
    parts.append(_text(WIDTH / 2, HEIGHT - 12, x.text, "middle"))
    parts.append(_text(16, HEIGHT / 2, y.text, "middle", f' transform="rotate(-90 16 {HEIGHT / 2:g})"'))
    path = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}"'
    return "\n".join((f'{head} font-family="sans-serif" font-size="13" fill="{TEXT}">', *parts, "</svg>\n"))


def _text(left: float, height: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{left:.1f}" y="{height:.1f}" text-anchor="{anchor}"{more}>{text}</text>'
