"""The picture in the README: drawn from what Prometheus answered, with every panel of the dashboard."""

import math
from html import escape
from xml.etree import ElementTree as ET

from tests.deploy import picture
from tests.deploy.shown import Answer, panels, row_titles


def made_up() -> list[picture.Shown]:
    """Give two series of three points for each query; one point, where only now is asked for, and one is no number."""
    shown: list[picture.Shown] = []
    for panel in panels():
        given = []
        for target in panel["targets"]:
            points = [(0.0, 1.0)] if target.get("instant") else [(0.0, 1.0), (60.0, math.nan), (120.0, -250.0)]
            series = [({"connector": name, "list_name": f"<{name}>"}, points) for name in ("vip", "churn")]
            given.append(Answer(target, series))
        shown.append((panel, given))
    return shown


def texts(svg: str) -> list[str]:
    """Give what a picture says; it must be well-formed."""
    return [each.text or "" for each in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own picture


def test_every_panel_is_drawn() -> None:
    """Each panel has its title, its series' names and its highest value, and names cannot break the picture."""
    said = texts(picture.draw(made_up(), row_titles()))
    assert {each["title"] for each in (*panels(), *row_titles())} <= set(said)
    assert "<vip> (vip)" in said
    assert "-250" in said
    assert "nan" not in said


def test_nothing_but_zeros_can_be_drawn() -> None:
    """A panel on which nothing has happened has a scale all the same."""
    [panel, *_] = [each for each in panels() if each["type"] == "timeseries"]
    zeros = [Answer(target, [({}, [(0.0, 0.0), (60.0, 0.0)])]) for target in panel["targets"]]
    assert "1" in texts(picture.draw([(panel, zeros)]))


def test_values_are_short() -> None:
    """A value has its unit and no more than three digits that matter."""
    told = [("percentunit", 0.98765), ("bytes", 99e6), ("s", 12.345), ("short", 1234.5), ("short", 0.12345)]
    assert [picture.number(value, unit) for unit, value in told] == ["98.8 %", "94 MiB", "12.3 s", "1234", "0.123"]
    assert picture.number(math.nan, "s") == ""


def test_the_picture_in_the_tree_has_every_panel() -> None:
    """Whoever adds a panel draws the picture anew."""
    drawn = picture.FILE.read_text("utf-8")
    assert [panel["title"] for panel in panels() if f">{escape(panel['title'])}<" not in drawn] == []
