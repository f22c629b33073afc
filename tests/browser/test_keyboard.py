"""The whole setup without a mouse."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import steps
from tests.browser.scene import Scene
from tests.browser.visitor import Visitor
from tests.real.kafka import Event
from tests.real.service import CHURN

pytestmark = pytest.mark.process

FAR = 60  # more than any page has that takes the focus
_FOCUSED = "element => element === document.activeElement"
_RING = "element => getComputedStyle(element).outlineStyle"


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until something has the focus, and see that this can be seen."""
    expect(target).to_be_visible()
    for _ in range(FAR):
        if target.evaluate(_FOCUSED):
            assert target.evaluate(_RING) != "none", f"nobody sees that {target} has the focus"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {target}")


def write(page: Page, label: str, text: str) -> None:
    """Type over what is in a field."""
    tab_to(page, page.get_by_label(label, exact=True))
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def follow(page: Page, name: str) -> None:
    """Follow a link."""
    tab_to(page, page.get_by_role("link", name=name, exact=True))
    page.keyboard.press("Enter")


def press(page: Page, name: str) -> None:
    """Press a button, as Space does."""
    tab_to(page, page.get_by_role("button", name=name, exact=True))
    page.keyboard.press("Space")


def choose(page: Page, name: str) -> None:
    """Choose one of a group: Tab leads to its first or to the chosen one, arrows to the others."""
    wanted = page.get_by_role("radio", name=name)
    group = page.get_by_role("radio", disabled=False)
    for _ in range(FAR):
        if page.evaluate("document.activeElement.type === 'radio'"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    for _ in range(group.count()):
        if wanted.is_checked():
            break
        page.keyboard.press("ArrowDown")
    expect(wanted).to_be_checked()


def test_the_whole_setup_without_a_mouse(scene: Scene, visitor: Visitor) -> None:
    """Who has a keyboard only gets from the first page to a filled list, and always sees where the focus is."""
    here, page = scene.here, visitor.page
    here.tell(Event(1), Event(2, source_id="churn"), Event(3, source_id="churn"))
    scene.write()
    scene.open()
    page.goto(scene.url)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    follow(page, "Add an account")
    write(page, "Account name", "acme")
    write(page, "Client id", "acme-app")
    choose(page, "In a file")
    write(page, "Path of the file", "client-secret")
    page.keyboard.press("Enter")
    steps.heading(page, "Authorize HubSpot for acme")
    follow(page, "Authorize HubSpot")
    page.wait_for_url(steps.CONSENT)
    press(page, "Connect app")
    steps.heading(page, "HubSpot is authorized")
    follow(page, "Choose a list")
    write(page, "Search by name", "chu")
    page.keyboard.press("Enter")
    expect(page.get_by_role("radio", name="VIP")).to_have_count(0)
    choose(page, "Churn")
    press(page, "Continue")
    steps.heading(page, "Choose an audience or journey")
    choose(page, "Audience churn")
    press(page, "Continue")
    steps.heading(page, "Review and save")
    write(page, "Connector name", "churners")
    tab_to(page, page.get_by_label("Enabled"))
    page.keyboard.press("Space")
    press(page, "Check again")
    expect(page.get_by_role("status")).to_contain_text("Nothing is saved yet")
    tab_to(page, page.get_by_label("Enabled"))
    page.keyboard.press("Space")
    press(page, "Check again")
    press(page, "Save")
    steps.heading(page, "churners is saved")
    press(page, "Fill the list now")
    expect(page.get_by_role("main")).to_contain_text("The list is filled.")
    assert here.members(CHURN) == {2, 3}
