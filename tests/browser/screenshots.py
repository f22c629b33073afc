"""`python -m tests.browser.screenshots` makes the pictures of all pages that the README shows, of the real parts."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, ViewportSize, sync_playwright

from consumer.setup.server import PORT
from consumer.simulator.accounts import ContactList, ProcessingType
from consumer.simulator.portal import Portal
from tests.browser import steps
from tests.browser.conftest import launched
from tests.browser.pictures import palette_png, pixels_of
from tests.browser.scene import Scene
from tests.browser.visitor import PHONE, Visitor
from tests.real.authority import Authority
from tests.real.kafka import Event
from tests.real.kafka_broker import any_broker
from tests.real.processes import until
from tests.real.registry_server import RegistryServer
from tests.real.service import VIP, world

FOLDER: Final = Path(__file__).with_name("screenshots")
PAGES: Final = {
    "overview-first-day": "The first day",
    "account": "Account",
    "authorize": "Authorize",
    "not-authorized": "Consent denied",
    "authorized": "Authorized",
    "list": "List",
    "source": "Source",
    "review": "Review: the checks",
    "request": "Review: the request",
    "kubernetes": "Commands for Kubernetes",
    "saved": "Activate",
    "filling": "Filling the list",
    "overview": "Accounts and connectors",
    "connector": "Connector",
    "remove": "Remove",
    "status": "Status page of the service",
}
"""In the order of the README: a picture's name, to which `-desktop.png` or `-phone.png` is added, and what it shows."""

DESKTOP_WIDTH: Final = 320  # pixels, of the README's table
PHONE_WIDTH: Final = 110

_SIZES: Final = {"desktop": ViewportSize(width=960, height=720), "phone": PHONE}


def rows() -> str:
    """Give the rows of the README's table."""
    return "".join(
        f"| {told} | {_image(name, 'desktop', DESKTOP_WIDTH)} | {_image(name, 'phone', PHONE_WIDTH)} |\n"
        for name, told in PAGES.items()
    )


def _image(name: str, size: str, width: int) -> str:
    told = f"{PAGES[name]}, on a {size}"
    return f'<img src="tests/browser/screenshots/{name}-{size}.png" width="{width}" alt="{told}">'


class Camera:
    """Takes pictures of a visitor's page."""

    def __init__(self, visitor: Visitor) -> None:
        self._page = visitor.page
        self._blank = visitor.context.new_page()
        self.taken: list[str] = []

    def take(self, name: str, *, below: str = "") -> None:
        """Take the page as it is now, at both sizes; from the heading `below` on, if there is one."""
        for size, viewport in _SIZES.items():
            self._page.set_viewport_size(viewport)
            if below:
                self._page.get_by_role("heading", name=below).evaluate("heading => heading.scrollIntoView()")
            (FOLDER / f"{name}-{size}.png").write_bytes(palette_png(*pixels_of(self._blank, self._page.screenshot())))
        self.taken.append(name)


@contextmanager
def _scene() -> Iterator[Scene]:
    """Give a scene whose names are those of every other installation: the usual port, the usual topics."""
    with (
        tempfile.TemporaryDirectory() as folder,
        any_broker(_made(folder, "broker"), Authority(_made(folder, "authority"))) as broker,
        RegistryServer(_made(folder, "registry"), guarded=False) as registry,
        world(broker, registry, _made(folder, "here")) as here,
    ):
        scene = Scene(here, port=PORT)
        scene.use_default_topics()
        here.group = "hubspot-list-sync"
        # Pages name files as the command did, and nobody wants to read of this machine's folders.
        scene.file = Path(scene.file.name)
        with chdir(here.folder):
            yield scene


def _made(folder: str, name: str) -> Path:
    made = Path(folder) / name
    made.mkdir()
    return made


def _fill_portal(portal: Portal) -> None:
    account = portal.accounts["acme"]
    account.lists.clear()
    lists: tuple[tuple[int, str, int, ProcessingType], ...] = (
        (VIP, "VIP customers", 35, "MANUAL"),
        (4712, "Newsletter readers", 28_113, "MANUAL"),
        (4713, "Opened an e-mail this month", 9_310, "DYNAMIC"),
        (4714, "Trade fair in Hanover", 312, "SNAPSHOT"),
    )
    for list_id, name, size, kind in lists:
        account.add_list(ContactList(list_id, name, processing_type=kind, members=range(1, size + 1)))


def take_account(scene: Scene, page: Page, camera: Camera) -> None:
    """Go from the first page of all to an account that is authorized."""
    scene.open()
    page.goto(scene.url)
    camera.take("overview-first-day")
    scene.write()
    page.reload()
    steps.follow(page, "Add an account")
    page.get_by_label("Account name").fill("acme")
    page.get_by_label("Client id").fill("acme-app")
    page.get_by_label("Path of the file").fill("client-secret")
    camera.take("account")
    steps.press(page, "Continue")
    camera.take("authorize")
    steps.to_hubspot(page)
    steps.press(page, "Cancel")
    steps.heading(page, "HubSpot is not authorized")
    camera.take("not-authorized")
    steps.follow(page, "Try again")
    steps.authorize(page)
    camera.take("authorized")


def take_connector(page: Page, camera: Camera) -> None:
    """Go on to a connector that is saved."""
    steps.follow(page, "Choose a list")
    steps.heading(page, "Choose a list")
    page.get_by_role("radio", name="VIP customers").check()
    camera.take("list")
    steps.press(page, "Continue")
    steps.heading(page, "Choose an audience or journey")
    page.get_by_role("radio", name="Audience vip").check()
    camera.take("source")
    steps.press(page, "Continue")
    steps.heading(page, "Review and save")
    camera.take("review")
    camera.take("request", below="The request")
    steps.press(page, "Show commands for Kubernetes")
    steps.heading(page, "Commands for Kubernetes")
    camera.take("kubernetes")
    page.go_back()
    steps.save(page, "vip-customers")
    camera.take("saved")


def take_service(scene: Scene, page: Page, camera: Camera) -> None:
    """Go on to a list that is filled, and to the page of the service that keeps it."""
    here = scene.here
    steps.fill(page, "vip-customers")
    camera.take("filling")
    service = here.start_file(scene.file)
    page.goto(scene.url)
    camera.take("overview")
    steps.follow(page, "vip-customers")
    steps.heading(page, "Connector vip-customers")
    camera.take("connector")
    steps.follow(page, "Remove")
    steps.heading(page, "Remove vip-customers?")
    camera.take("remove")
    here.tell(Event(50))
    until(lambda: 50 in here.members(VIP), service.process)
    page.goto(service.until_said("started")["admin"])
    camera.take("status")


def main() -> None:
    """Make all pictures anew."""
    FOLDER.mkdir(exist_ok=True)
    for each in FOLDER.glob("*.png"):
        each.unlink()
    with (
        _scene() as scene,
        sync_playwright() as playwright,
        launched(playwright) as browser,
        browser.new_context(color_scheme="light", locale="en-GB") as context,
    ):
        visitor = Visitor(context)
        camera = Camera(visitor)
        scene.here.hubspot.call(_fill_portal)
        scene.here.tell(*(Event(contact) for contact in range(1, 41)), Event(7, "EXIT"))
        scene.here.tell(*(Event(contact, source_id="churn-risk") for contact in range(1, 13)))
        take_account(scene, visitor.page, camera)
        take_connector(visitor.page, camera)
        take_service(scene, visitor.page, camera)
    assert camera.taken == list(PAGES)
    total = sum(each.stat().st_size for each in FOLDER.glob("*.png"))
    sys.stdout.write(f"{2 * len(PAGES)} pictures, {total / 1000:.0f} kB, in {FOLDER}\n")


if __name__ == "__main__":
    main()
