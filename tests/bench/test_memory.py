"""What the measures of memory make of what they see."""

from xml.etree import ElementTree as ET

from tests.bench.memory import early, growth, late
from tests.bench.plot import Axis, line


def test_growth_is_that_of_the_last_ten_minutes_over_those_after_the_first_ten() -> None:
    """What is there at the start does not count, and one high minute makes no growth."""
    samples = [1.0] * 10 + [100.0] * 10 + [500.0] + [100.0] * 30 + [110.0] * 10
    seen = {"service": {"blocks, early": early(samples), "blocks, late": late(samples)}}
    assert growth("blocks")(seen) == 1.1


def test_an_axis_goes_beyond_the_highest_value_with_round_marks() -> None:
    """Nothing of a line is cut off, and each mark can be read."""
    assert Axis.for_values("MB", [3, 104]).marks == [0, 25, 50, 75, 100, 125]
    assert Axis.for_values("MB", [5.0]).marks == [0, 1, 2, 3, 4, 5, 6]


def test_a_line_is_an_svg_with_what_its_axes_say() -> None:
    """The picture is well-formed, begins at 0, and tells its units."""
    svg = ET.fromstring(line("Memory", Axis("minutes", 60, 10), Axis("MB", 100, 20), [(0, 0), (60, 100)]))  # noqa: S314 - our own text
    texts = [each.text for each in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Memory", "minutes", "MB", "0", "60", "100"} <= set(texts)
    (drawn,) = svg.iter("{http://www.w3.org/2000/svg}polyline")
    assert drawn.get("points") == "64.0,248.0 696.0,40.0"
