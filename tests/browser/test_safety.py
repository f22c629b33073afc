"""What the setup's pages keep to themselves, and what they refuse, when a real browser asks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from consumer.simulator.portal import Portal
from tests.browser import steps
from tests.browser.conftest import REBOUND, Visit
from tests.browser.scene import Scene, acme, vip
from tests.browser.visitor import Visitor
from tests.real.kafka import Event

pytestmark = pytest.mark.process

CLIENT_SECRET = "close-barley"  # names of files hold what the others are called
REFRESH_TOKEN = "open-sesame"


@contextmanager
def elsewhere(body: str) -> Iterator[str]:
    """Serve a page of somebody else, at a name of theirs that leads to this machine; give its address.

    Chromium lets no page from further away reach this machine at all.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f'<!doctype html><html lang="en"><title>Prizes</title>{body}'.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{REBOUND}:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def go_through(scene: Scene, page: Page) -> Iterator[str]:
    """Set up a connector with a pasted client secret, and look back at it; yield each page as it is then."""
    page.goto(scene.url)
    yield page.content()
    steps.follow(page, "Add an account")
    page.get_by_label("Account name").fill("acme")
    page.get_by_label("Client id").fill("acme-app")
    page.get_by_label("I paste it here").check()
    page.get_by_label("Client secret", exact=True).fill(CLIENT_SECRET)
    steps.press(page, "Continue")
    yield page.content()
    steps.authorize(page)
    yield page.content()
    steps.follow(page, "Choose a list")
    yield page.content()
    steps.choose_list(page, "VIP")
    yield page.content()
    steps.choose_source(page, "Audience vip")
    steps.heading(page, "Review and save")
    yield page.content()
    steps.save(page, "vip")
    yield page.content()
    steps.follow(page, "Connector vip")
    yield page.content()
    page.goto(scene.url)
    yield page.content()
    steps.follow(page, "Change credentials of acme")
    steps.heading(page, "Change credentials of acme")
    yield page.content()


def test_nothing_secret_is_left_behind(scene: Scene, visitor: Visitor) -> None:
    """No page, no address, no entry of the history and no line of the log has code, state, secret or token."""

    def entrust(portal: Portal) -> None:
        account = portal.accounts["acme"]
        account.client_secret, account.refresh_token = CLIENT_SECRET, REFRESH_TOKEN

    scene.here.hubspot.call(entrust)
    scene.here.tell(Event(1))
    scene.write()
    scene.open()
    page, asked = visitor.page, list[str]()
    visitor.context.on("request", lambda request: asked.append(request.url))
    pages = list(go_through(scene, page))
    [callback] = [urlsplit(each) for each in asked if each.startswith(scene.redirect_uri)]
    given = parse_qs(callback.query)
    [code], [state] = given["code"], given["state"]
    secrets = (code, state, CLIENT_SECRET, REFRESH_TOKEN, "access-acme")
    assert [(secret, text) for secret in secrets for text in (*pages, scene.log()) if secret in text] == []
    history = visitor.context.new_cdp_session(page).send("Page.getNavigationHistory")["entries"]
    addresses = [each[key] for each in history for key in ("url", "userTypedURL")]
    assert any(each.startswith(f"{scene.url}authorized") for each in addresses)
    # HubSpot's own page has the state in its address: it is spent.
    assert [each for each in addresses if code in each or (state in each and each.startswith(scene.url))] == []
    file = scene.secret("acme-client-secret")
    assert (file.read_text().strip(), oct(file.stat().st_mode)[-3:]) == (CLIENT_SECRET, "600")


def test_the_way_back_from_the_callback_is_harmless(scene: Scene, visitor: Visitor) -> None:
    """The back button leads to where the person came from, never to the address that had the code."""
    page = visitor.page
    scene.write()
    scene.open()
    page.goto(scene.url)
    steps.add_account(page, "acme", "acme-app")
    steps.authorize(page)
    page.reload()
    steps.heading(page, "HubSpot is authorized")
    assert urlsplit(page.url).query == ""
    page.go_back()
    page.wait_for_url(steps.CONSENT)
    page.go_back()
    steps.heading(page, "Authorize HubSpot for acme")
    page.go_forward()
    page.go_forward()
    steps.heading(page, "HubSpot is authorized")
    assert urlsplit(page.url).query == ""


def test_another_site_cannot_send_a_form(scene: Scene, visitor: Visitor) -> None:
    """A page of somebody else that posts what our own form would is refused, and nothing is changed."""
    scene.write(accounts={"acme": acme()}, connectors={"vip": vip()})
    scene.open()
    visitor.page.goto(scene.url)
    form = f'<form method="post" action="{scene.url}connectors/vip/remove"><button>Win a prize</button></form>'
    page = visitor.context.new_page()  # the same browser, with its cookies
    with elsewhere(form) as place:
        page.goto(place)
        with visitor.expecting("status of 403"):
            steps.press(page, "Win a prize")
            steps.heading(page, "This was refused")
    assert set(scene.read()["connectors"]) == {"vip"}
    visitor.page.reload()
    expect(visitor.page.get_by_role("link", name="vip", exact=True)).to_be_visible()


def test_another_site_cannot_look_in(scene: Scene, visitor: Visitor) -> None:
    """A page of somebody else can neither frame the setup nor read what it answers."""
    scene.write()
    scene.open()
    visitor.page.goto(scene.url)
    page = visitor.context.new_page()
    before = len(visitor.problems)
    with elsewhere(f'<iframe src="{scene.url}"></iframe>') as place:
        page.goto(place)
        page.wait_for_load_state("networkidle")
        assert page.frames[-1].url == "chrome-error://chromewebdata/"
        assert page.evaluate("url => fetch(url).then(() => 'read', () => 'refused')", scene.url) == "refused"
    assert len(visitor.problems) > before
    del visitor.problems[before:]


@pytest.mark.parametrize("host", ["127.0.0.1", REBOUND])
def test_the_setup_answers_to_its_own_name_only(scene: Scene, visitor: Visitor, host: str) -> None:
    """A name that was bent to this machine shows nothing; the page says what the right address is."""
    scene.write()
    scene.open()
    with visitor.expecting("status of 421"):
        visitor.page.goto(f"http://{host}:{scene.port}/")
    steps.heading(visitor.page, "Wrong address")
    visitor.look()
    visitor.page.get_by_role("link", name=scene.url).click()
    steps.heading(visitor.page, "HubSpot list sync setup")


def test_a_second_browser_comes_too_late(scene: Scene, visit: Visit) -> None:
    """The browser that came first leads; another one is told so."""
    scene.write()
    scene.open()
    visit().page.goto(scene.url)
    second = visit()
    with second.expecting("status of 403"):
        second.page.goto(scene.url)
    steps.heading(second.page, "This was refused")
    second.look()


def test_the_pages_let_no_foreign_content_in(scene: Scene, visitor: Visitor) -> None:
    """The browser itself refuses a script or a style that somebody gets into a page."""
    scene.write()
    scene.open()
    visitor.page.goto(scene.url)
    with visitor.expecting("Content Security Policy"):
        ran = visitor.page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.ran = true";
                document.body.append(script);
                return Boolean(window.ran);
            }"""
        )
    assert ran is False
