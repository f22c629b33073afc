"""What goes wrong while one sets up, as a person reads it in the browser: what is the case, and what to do."""

import re

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from consumer.hubspot.oauth import TOKEN_PATH
from consumer.simulator.faults import Fault
from consumer.simulator.portal import Portal
from tests.browser import steps
from tests.browser.scene import Scene, acme, vip
from tests.browser.visitor import Visitor
from tests.real.processes import free_port
from tests.real.service import CLIENT_SECRET

pytestmark = pytest.mark.process


@pytest.fixture
def page(scene: Scene, visitor: Visitor) -> Page:
    """Give the first page, of a file without accounts."""
    scene.write()
    scene.open()
    visitor.page.goto(scene.url)
    return visitor.page


def told(page: Page, *words: str) -> None:
    """Hold that the page says these words where it says what is wrong, and names the problem in its title."""
    expect(page).to_have_title(re.compile("^Problem: "))
    for word in words:
        expect(steps.problem(page)).to_contain_text(word, ignore_case=True)


def test_a_wrong_state(scene: Scene, visitor: Visitor, page: Page) -> None:
    """An answer that belongs to no authorization under way is refused: somebody else may have made it."""
    steps.add_account(page, "acme", "acme-app")
    steps.to_hubspot(page)
    page.goto(f"{scene.redirect_uri}?code=stolen&state=forged")
    steps.heading(page, "HubSpot is not authorized")
    told(page, "no authorization that was begun here", "again")
    assert "forged" not in page.url + page.content()
    visitor.look()
    steps.follow(page, "Try again")
    steps.authorize(page)


def test_a_scope_that_is_missing(scene: Scene, visitor: Visitor, page: Page) -> None:
    """A scope that HubSpot did not grant is named."""

    def withhold(portal: Portal) -> None:
        portal.accounts["acme"].withheld_scopes.add("crm.lists.write")

    scene.here.hubspot.call(withhold)
    steps.add_account(page, "acme", "acme-app")
    steps.to_hubspot(page)
    steps.press(page, "Connect app")
    steps.heading(page, "HubSpot is not authorized")
    told(page, "crm.lists.write")
    visitor.look()


def test_a_wrong_client_secret(scene: Scene, visitor: Visitor, page: Page) -> None:
    """A client secret that HubSpot refuses is put right on the spot."""
    (scene.here.folder / "wrong").write_text("not-the-secret")
    steps.add_account(page, "acme", "acme-app", "wrong")
    steps.to_hubspot(page)
    steps.press(page, "Connect app")
    steps.heading(page, "HubSpot is not authorized")
    told(page, "client secret")
    assert "not-the-secret" not in page.content()
    steps.follow(page, "Change credentials")
    steps.heading(page, "Change credentials of acme")
    visitor.look()
    page.get_by_label("In a file").check()
    page.get_by_label("Path of the file").fill("client-secret")
    steps.press(page, "Continue")
    steps.authorize(page)


def test_a_secret_file_that_is_not_there(visitor: Visitor, page: Page) -> None:
    """What is wrong with a field is said at the field, which has the focus; what was typed is still there."""
    steps.add_account(page, "acme", "acme-app", "nowhere")
    steps.heading(page, "Add an account")
    told(page, "nowhere")
    field = page.get_by_label("Path of the file")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Account name")).to_have_value("acme")
    visitor.look()


def test_a_redirect_that_is_not_registered(scene: Scene, visitor: Visitor, page: Page) -> None:
    """HubSpot tells it on a page of its own; the page before names what to register, and registered it works."""

    def unregister(portal: Portal) -> None:
        portal.accounts["acme"].redirect_uris = {"http://localhost:1/oauth/callback"}

    def register(portal: Portal) -> None:
        portal.accounts["acme"].redirect_uris = {scene.redirect_uri}

    scene.here.hubspot.call(unregister)
    steps.add_account(page, "acme", "acme-app")
    with visitor.expecting("status of 400"):
        steps.to_hubspot(page)
    expect(page.get_by_role("main")).to_contain_text("redirect URL")
    page.go_back()
    expect(page.get_by_role("main")).to_contain_text(scene.redirect_uri)
    scene.here.hubspot.call(register)
    steps.authorize(page)


def test_a_code_that_was_used_already(scene: Scene, visitor: Visitor, page: Page) -> None:
    """Whoever was faster with the code has used it up; the page says to authorize again."""
    hubspot = scene.here.hubspot.url

    def use(route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        code = httpx.URL(answer.headers["location"]).params["code"]
        form = {"grant_type": "authorization_code", "client_id": "acme-app", "client_secret": CLIENT_SECRET}
        form |= {"code": code, "redirect_uri": scene.redirect_uri}
        assert httpx.post(hubspot + TOKEN_PATH, data=form, trust_env=False).is_success
        route.fulfill(response=answer)

    steps.add_account(page, "acme", "acme-app")
    steps.to_hubspot(page)
    visitor.context.route(f"{hubspot}/oauth/authorize**", use)
    steps.press(page, "Connect app")
    steps.heading(page, "HubSpot is not authorized")
    told(page, "code", "again")


def test_a_portal_without_the_lists_tool(scene: Scene, visitor: Visitor, page: Page) -> None:
    """A portal that has no lists is refused by HubSpot, which names the scope that it cannot grant."""

    def lacking(portal: Portal) -> None:
        portal.accounts["acme"].unavailable_scopes = {"crm.lists.read", "crm.lists.write"}

    scene.here.hubspot.call(lacking)
    steps.add_account(page, "acme", "acme-app")
    steps.to_hubspot(page)
    with visitor.expecting("status of 400"):
        steps.press(page, "Connect app")
        expect(page.get_by_role("alert")).to_contain_text("crm.lists.write")


def test_a_portal_that_lost_the_lists_tool(scene: Scene, visitor: Visitor) -> None:
    """An account whose token is good, and whose portal has no lists any more, is told so when a list is chosen."""

    def lacking(portal: Portal) -> None:
        portal.accounts["acme"].unavailable_scopes = {"crm.lists.read", "crm.lists.write"}

    page = visitor.page
    scene.here.hubspot.call(lacking)
    scene.write(accounts={"acme": acme()}, connectors={"vip": vip()})
    scene.open()
    page.goto(scene.url)
    steps.follow(page, "New connector for acme")
    steps.heading(page, "Choose a list")
    told(page, "lists")
    visitor.look()


def test_the_refresh_token_of_another_app(scene: Scene, visitor: Visitor) -> None:
    """A refresh token that another app was given does not work here; authorizing anew mends it."""
    scene.add_globex()

    def give(portal: Portal) -> None:
        portal.accounts["globex"].refresh_token = "globex-refresh-token"

    scene.here.hubspot.call(give)
    page = visitor.page
    (scene.here.folder / "refresh-token").write_text("globex-refresh-token")
    scene.write(accounts={"acme": acme()}, connectors={"vip": vip()})
    scene.open()
    page.goto(scene.url)
    steps.follow(page, "New connector for acme")
    steps.heading(page, "Choose a list")
    told(page, "app")
    expect(page.get_by_role("link", name="Change credentials")).to_be_visible()
    steps.follow(page, "Authorize HubSpot again")
    steps.authorize(page)
    steps.follow(page, "Choose a list")
    expect(page.get_by_role("radio", name="Churn")).to_be_enabled()


def test_hubspot_is_down(scene: Scene, visitor: Visitor) -> None:
    """While HubSpot does not answer the page says so, and offers to try again."""
    page = visitor.page
    scene.write(accounts={"acme": acme()}, connectors={"vip": vip()})
    scene.open()
    page.goto(scene.url)
    scene.here.inject(Fault("unavailable"))
    with visitor.expecting("status of 503"):
        steps.follow(page, "New connector for acme")
        steps.heading(page, "Choose a list")
    told(page, "HubSpot")
    visitor.look()
    scene.here.heal()
    steps.follow(page, "Try again")
    expect(page.get_by_role("radio", name="Churn")).to_be_enabled()


def test_kafka_is_down(scene: Scene, visitor: Visitor) -> None:
    """Without Kafka no source is seen; its id may be typed, the proof says what is unknown, and one may save."""
    page = visitor.page
    scene.write(accounts={"acme": acme()}, kafka=f"127.0.0.1:{free_port()}")
    scene.open()
    page.goto(scene.url)
    steps.follow(page, "New connector for acme")
    with visitor.expecting("status of 503"):
        steps.choose_list(page, "VIP")
        steps.heading(page, "Choose an audience or journey")
    told(page, "Kafka")
    visitor.look()
    steps.type_source(page, "Audience", "vip")
    steps.heading(page, "Review and save")
    expect(page.get_by_role("region", name="The request")).to_contain_text("It cannot be shown")
    visitor.look()
    steps.press(page, "Save")
    expect(page.get_by_label("Save although checks found problems")).to_be_focused()
    page.get_by_label("Save although checks found problems").check()
    steps.press(page, "Save")
    steps.heading(page, "vip is saved")


def test_a_name_that_is_taken(scene: Scene, visitor: Visitor) -> None:
    """The name of a list that is there already is refused at the field, which keeps what was typed."""
    page = visitor.page
    scene.write(accounts={"acme": acme()}, connectors={"vip": vip()})
    scene.open()
    page.goto(scene.url)
    steps.follow(page, "New connector for acme")
    steps.create_list(page, "Churn")
    expect(page.get_by_label("Name of the new list")).to_be_focused()
    told(page, "Churn")
    expect(page.get_by_label("Name of the new list")).to_have_value("Churn")
    visitor.look()


def test_the_file_changed_meanwhile(scene: Scene, visitor: Visitor) -> None:
    """What somebody else wrote into the file while one looked at the proof is not overwritten."""
    page = visitor.page
    scene.write(accounts={"acme": acme()}, connectors={"vip": vip()})
    scene.open()
    page.goto(scene.url)
    steps.follow(page, "New connector for acme")
    steps.choose_list(page, "Churn")
    steps.type_source(page, "Audience", "churn")
    steps.heading(page, "Review and save")
    meanwhile = "# Added meanwhile.\n"
    scene.file.write_text(meanwhile + scene.file.read_text())
    steps.press(page, "Save")
    steps.heading(page, "churn is saved")
    assert scene.file.read_text().startswith(meanwhile)
    assert set(scene.read()["connectors"]) == {"vip", "churn"}
