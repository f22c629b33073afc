"""Setting up, told as stories: real Chromium, broker and registry, the setup's own process; HubSpot is simulated."""

import re
from functools import partial

import pytest
from playwright.sync_api import expect

from consumer.simulator.accounts import ContactList
from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from tests.browser import steps
from tests.browser.conftest import Visit
from tests.browser.scene import COMMENT, GLOBEX, Scene, acme, churn, vip
from tests.browser.visitor import Visitor
from tests.real.kafka import Event
from tests.real.processes import until
from tests.real.service import CHURN, VIP

pytestmark = pytest.mark.process

TUNING = """
# Nothing takes long.
window: {max_age: 200ms}
admin: {address: "127.0.0.1:0"}
"""


def named(name: str, portal: Portal) -> ContactList:
    """Give the list of a name."""
    found = portal.accounts["acme"].list_named(name)
    assert found
    return found


def test_a_first_connector_from_nothing_to_a_running_service(scene: Scene, visitor: Visitor) -> None:
    """Without any file a person ends with a list that the service keeps: filled first, and then with each event."""
    here, page, source = scene.here, visitor.page, f"vip-{scene.here.group}"
    scene.use_default_topics()
    here.tell(*(Event(contact, source_id=source) for contact in range(1, 31)), Event(7, "EXIT", source))
    scene.lead_to_the_simulator(visitor)
    scene.open()
    page.goto(scene.url)
    steps.heading(page, "HubSpot list sync setup")
    visitor.look()
    steps.connect_kafka(page, here.broker.bootstrap, here.group, here.registry.url)
    visitor.look()
    steps.add_account(page, "acme", "acme-app")
    steps.heading(page, "Authorize HubSpot for acme")
    expect(page.get_by_role("main")).to_contain_text(scene.redirect_uri)
    for scope in ("crm.lists.read", "crm.lists.write", "crm.objects.contacts.read", "crm.objects.contacts.write"):
        expect(page.get_by_role("main")).to_contain_text(scope)
    visitor.look()
    steps.to_hubspot(page)
    visitor.look()
    steps.press(page, "Connect app")
    steps.heading(page, "HubSpot is authorized")
    visitor.look()
    steps.follow(page, "Choose a list")
    steps.heading(page, "Choose a list")
    visitor.look()
    steps.create_list(page, "VIP customers")
    steps.heading(page, "Choose an audience or journey")
    visitor.look()
    steps.choose_source(page, f"Audience {source}")
    steps.heading(page, "Review and save")
    expect(page.get_by_role("main")).to_contain_text("recordIdsToAdd")
    visitor.look()
    assert not scene.file.exists()
    steps.save(page, "vip-customers")
    visitor.look()
    made = here.hubspot.call(partial(named, "VIP customers"))
    assert made.members == frozenset()
    assert oct(scene.secret("acme-refresh-token").stat().st_mode)[-3:] == "600"

    scene.file.write_text(scene.file.read_text() + TUNING)
    here.environ["HUBSPOT_BASE_URL"] = here.hubspot.url
    service = here.start_file(scene.file)
    service.until_said("started")
    steps.fill(page, "vip-customers")
    visitor.look()
    assert here.members(made.list_id) == set(range(1, 31)) - {7}
    here.tell(Event(99, source_id=source), Event(1, "EXIT", source))
    until(lambda: here.members(made.list_id) == set(range(2, 31)) - {7} | {99}, service.process)


def test_consent_that_is_denied_leads_on(scene: Scene, visitor: Visitor) -> None:
    """Who presses Cancel at HubSpot reads that nothing was granted, and what to do; the next try succeeds."""
    page = visitor.page
    scene.write()
    scene.open()
    page.goto(scene.url)
    steps.add_account(page, "acme", "acme-app")
    steps.to_hubspot(page)
    steps.press(page, "Cancel")
    steps.heading(page, "HubSpot is not authorized")
    expect(page).to_have_title(re.compile("^Problem: "))
    visitor.look()
    steps.follow(page, "Try again")
    steps.authorize(page)
    expect(page.get_by_role("link", name="Choose a list")).to_be_visible()


def test_a_second_list_on_the_same_account(scene: Scene, visitor: Visitor) -> None:
    """A connector is added to an account that is authorized; the rest of the file stays, and both lists are synced."""
    here, page = scene.here, visitor.page
    here.tell(Event(1), Event(2, source_id="churn"))
    scene.write(accounts={"acme": acme()}, connectors={"vip": vip()})
    scene.open()
    page.goto(scene.url)
    visitor.look()
    steps.follow(page, "New connector for acme")
    page.get_by_label("Search by name").fill("active")
    expect(page.get_by_role("radio", name="Churn")).to_have_count(0)  # found as one types
    expect(page.get_by_role("status")).to_have_text("1 list")
    expect(page.get_by_role("radio", name="Active buyers")).to_be_disabled()
    visitor.look()
    page.get_by_label("Search by name").fill("")
    steps.press(page, "Search")
    expect(page.get_by_role("radio", name="VIP")).to_be_disabled()  # a list has one connector
    steps.choose_list(page, "Churn", search="chu")
    steps.choose_source(page, "Audience churn")
    steps.save(page, "churn")
    assert scene.file.read_text().startswith(COMMENT)
    assert set(scene.read()["connectors"]) == {"vip", "churn"}
    service = here.start_file(scene.file)
    until(lambda: here.members(VIP) == {1} and here.members(CHURN) == {2}, service.process)


def test_a_revoked_token_is_repaired_in_the_pages(scene: Scene, visitor: Visitor) -> None:
    """After the account is authorized again the service goes on by itself with all that waited meanwhile."""
    here, page = scene.here, visitor.page

    def revoke(portal: Portal) -> int:
        portal.accounts["acme"].refresh_token = None
        return portal.inject(Fault("token_expired", account="acme"))

    scene.write(accounts={"acme": acme()}, connectors={"vip": vip()})
    service = here.start_file(scene.file)
    here.tell(Event(1))
    until(lambda: here.members() == {1}, service.process)
    fault = here.hubspot.call(revoke)
    here.tell(Event(2))
    service.until_said("refused")
    here.tell(Event(3))

    page.goto(service.until_said("started")["admin"])
    expect(page.get_by_role("region", name="Connectors")).to_contain_text("Needs attention")
    scene.open()
    page.goto(scene.url)
    steps.follow(page, "New connector for acme")
    expect(steps.problem(page)).to_contain_text("revoked")
    visitor.look()
    here.hubspot.call(lambda portal: portal.heal(fault))
    steps.follow(page, "Authorize HubSpot again")
    steps.authorize(page)
    visitor.look()
    steps.follow(page, "Choose a list")
    expect(page.get_by_role("radio", name="Churn")).to_be_enabled()
    # The service probes 30 s after the refusal.
    until(lambda: 3 in here.members(), service.process, within=90)
    until(lambda: service.total("needs_attention") == 0, service.process)


def test_several_accounts(scene: Scene, visitor: Visitor) -> None:
    """Two accounts, each with an app of its own, are authorized one after the other, and their lists kept apart."""
    here, page = scene.here, visitor.page
    here.tell(Event(1), Event(2, source_id="globex"))
    scene.add_globex()
    scene.write()
    scene.open()
    page.goto(scene.url)
    steps.add_account(page, "acme", "acme-app")
    steps.authorize(page)
    steps.follow(page, "Choose a list")
    steps.choose_list(page, "VIP")
    steps.choose_source(page, "Audience vip")
    steps.save(page, "vip")
    page.goto(scene.url)
    steps.add_account(page, "globex", "globex-app", "globex-secret")
    steps.authorize(page, "globex")
    steps.follow(page, "Choose a list")
    expect(page.get_by_role("radio", name="Churn")).to_have_count(0)
    steps.choose_list(page, "Customers of Globex")
    steps.choose_source(page, "Audience globex")
    steps.save(page, "customers-of-globex")
    page.goto(scene.url)
    for name in ("acme", "globex"):
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    visitor.look()
    service = here.start_file(scene.file)
    until(lambda: here.members(VIP) == {1} and scene.globex() == {2}, service.process)
    assert GLOBEX not in here.hubspot.call(lambda portal: portal.accounts["acme"].lists)


def test_a_connector_is_changed_disabled_and_removed(scene: Scene, visitor: Visitor) -> None:
    """What is there already is edited in the same pages; a list that loses its connector stays as it is."""
    here, page = scene.here, visitor.page
    here.tell(Event(1), Event(2, source_id="churn"))
    scene.write(accounts={"acme": acme()}, connectors={"vip": vip(), "churn": churn()})
    scene.open()
    page.goto(scene.url)
    steps.follow(page, "churn")
    steps.heading(page, "Connector churn")
    visitor.look()

    steps.follow(page, "Choose another source or slot")
    steps.type_source(page, "Journey", "win back")
    steps.save(page, "churn")
    assert scene.read()["connectors"]["churn"]["source"] == "journey:win back"

    page.goto(f"{scene.url}connectors/churn")
    steps.press(page, "Disable")
    expect(page.get_by_role("button", name="Enable")).to_be_visible()
    assert scene.read()["connectors"]["churn"]["enabled"] is False
    visitor.look()
    steps.press(page, "Enable")
    expect(page.get_by_role("button", name="Disable")).to_be_visible()

    steps.follow(page, "Remove")
    steps.heading(page, "Remove churn?")
    visitor.look()
    steps.follow(page, "Keep it")
    steps.heading(page, "Connector churn")
    steps.follow(page, "Remove")
    steps.press(page, "Remove churn")
    expect(page.get_by_role("link", name="vip")).to_be_visible()
    assert set(scene.read()["connectors"]) == {"vip"}
    assert scene.file.read_text().startswith(COMMENT)


def test_all_works_with_scripts_turned_off(scene: Scene, visit: Visit) -> None:
    """The whole setup, the search among it, needs no script."""
    here = scene.here
    here.tell(Event(1, source_id="churn"))
    scene.write()
    scene.open()
    page = visit(java_script_enabled=False).page
    page.goto(scene.url)
    steps.add_account(page, "acme", "acme-app")
    steps.authorize(page)
    steps.follow(page, "Choose a list")
    steps.choose_list(page, "Churn", search="chu")
    steps.choose_source(page, "Audience churn")
    steps.save(page, "churn")
    steps.fill(page, "churn")
    assert here.members(CHURN) == {1}
