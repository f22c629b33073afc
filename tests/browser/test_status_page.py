"""The status page of the running service, in a real browser."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import expect
from prometheus_client import CollectorRegistry

from consumer.admin import AdminServer
from consumer.status import Attention, ListStatus, PartitionStatus, ServiceStatus
from tests.browser.conftest import Visit
from tests.browser.visitor import PHONE, Visitor

pytestmark = pytest.mark.process

GONE = Attention("LIST_NOT_FOUND", "HubSpot no longer has this list.", "a1b2c3d4-0000", time.time() - 300)
HELD = Attention("GUARD", "This flush would remove 900 of 1,000 contacts.", None, time.time() - 60)

ENDLESS = "A-name-that-has-no-end" * 4


def status() -> ServiceStatus:
    """Give a status in which there is one of everything."""
    now = time.time()
    vip = ListStatus("vip", "acme", 4711, "VIP <customers>", "audience:vip", enabled=True, waiting=1234)
    vip = replace(vip, hub_id=1001, app_url="https://app.hubspot.com")
    churn = ListStatus("churn", "acme", 4712, "Churn", "journey:churn", enabled=True, waiting=0, attention=GONE)
    held = ListStatus("held", "globex", 4713, ENDLESS, "audience:x", enabled=True, waiting=9, hold=HELD)
    off = ListStatus("off", "globex", 4714, None, "audience:off", enabled=False, waiting=0)
    return ServiceStatus(
        lists=(vip, churn, held, off),
        partitions=(PartitionStatus("journey.membership", 3, 100, 142, 42),),
        paused=False,
        draining=False,
        ready=True,
        last_turn=time.monotonic(),
        started_at=now - 7200,
        version="0.1.0",
    )


@pytest.fixture
def admin() -> Iterator[AdminServer]:
    """Yield the server of a service that does not release anything."""
    with AdminServer("127.0.0.1", 0, CollectorRegistry(), status, lambda _, told: told(None)) as server:
        yield server


def sees_everything(visitor: Visitor) -> None:
    """Hold that the page tells of each connector what a person has to know."""
    page = visitor.page
    expect(page.get_by_role("heading", level=1)).to_contain_text("HubSpot list sync")
    connectors = page.get_by_role("region", name="Connectors")
    for name in ("vip", "churn", "held", "off"):
        expect(connectors.get_by_role("row").filter(has_text=name).first).to_be_visible()
    vip = connectors.get_by_role("row").filter(has_text="audience:vip")
    expect(vip.get_by_role("link", name="VIP <customers>")).to_be_visible()
    expect(vip).to_contain_text("1,234")
    expect(page.get_by_text("a1b2c3d4-0000").first).to_be_visible()
    expect(page.get_by_role("region", name="Partitions").get_by_text("journey.membership")).to_be_visible()


def test_the_status_page_is_readable_for_all(visitor: Visitor, admin: AdminServer) -> None:
    """A person sees each connector and what needs attention; nothing is in the way of a screen reader or a phone."""
    visitor.page.goto(admin.url)
    sees_everything(visitor)
    visitor.look(but="meta-refresh")  # who cannot read so fast stops it, as follows
    visitor.page.get_by_role("link", name="Stop refreshing").click()
    sees_everything(visitor)
    visitor.look()


@pytest.mark.parametrize("width", [320, PHONE["width"], 1280])
def test_the_status_page_needs_no_script(visit: Visit, admin: AdminServer, width: int) -> None:
    """With scripts turned off the page says the same, on narrow screens too, without any scrolling to the side."""
    reader = visit(java_script_enabled=False, viewport={"width": width, "height": 800})
    reader.page.goto(admin.url)
    sees_everything(reader)
    assert reader.page.locator("script").count() == 0
    assert reader.sideways() == 0
