"""The pictures on the README are those of the pages, and small."""

import pytest

from tests.browser.conftest import Visit
from tests.browser.pictures import COLOURS, palette_png, pixels_of
from tests.browser.screenshots import FOLDER, PAGES, rows
from tests.house.tree import ROOT

LARGEST = 60_000  # bytes of one picture
ALL = 1_000_000


def test_the_readme_shows_every_page() -> None:
    """Each page stands in the README, on a desktop and on a phone, and each picture is shown."""
    assert f"| page | desktop | phone |\n|---|---|---|\n{rows()}\n" in (ROOT / "README.md").read_text("utf-8")
    shown = {f"{name}-{size}.png" for name in PAGES for size in ("desktop", "phone")}
    assert {each.name for each in FOLDER.iterdir()} == shown


def test_the_pictures_are_small() -> None:
    """Who clones the repository does not wait for its pictures."""
    sizes = [each.stat().st_size for each in FOLDER.iterdir()]
    assert max(sizes) <= LARGEST
    assert sum(sizes) <= ALL


@pytest.mark.process
def test_a_picture_keeps_its_colours(visit: Visit) -> None:
    """A picture with few colours is the same when it is made small; what is rare becomes what is like it."""
    page = visit().page
    few = b"".join(bytes((9 * number, 255 - number, 7, 255)) for number in range(12))
    assert pixels_of(page, palette_png(4, 3, few)) == (4, 3, few)
    frequent = [bytes((3 * number, 0, 0, 255)) for number in range(COLOURS)]
    rare = bytes((31, 0, 0, 255))
    found = pixels_of(page, palette_png(2 * COLOURS + 1, 1, b"".join((*frequent, *frequent, rare))))
    assert found == (2 * COLOURS + 1, 1, b"".join((*frequent, *frequent, frequent[10])))
