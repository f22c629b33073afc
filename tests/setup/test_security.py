"""Who is let in: the pages' own name, the first browser, its own forms; and what every answer carries."""

import logging
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from consumer.setup.pages import application
from consumer.setup.security import MAX_BODY
from consumer.setup.site import ASSETS
from consumer.web import PAGE_HEADERS
from tests.fakes.setup_session import FakeSession
from tests.setup.visitor import HOME, PORT, Page, Visitor

pytestmark = pytest.mark.process  # steps run in worker threads

POSTS = [
    "/kafka",
    "/accounts/new",
    "/accounts/acme/credentials",
    "/list/create",
    "/save",
    "/connectors/kept/switch",
    "/connectors/kept/remove",
    "/connectors/kept/fill",
]
FORM = {"name": "x", "client_id": "x", "connector": "x", "state": "off", "account": "acme"}
CHANGES = {"connect_kafka", "add_account", "create_list", "save", "commands", "enable", "remove", "fill"}


@pytest.fixture
def session() -> FakeSession:
    """Return a setup with one connector."""
    return FakeSession.with_connector()


@pytest.fixture
def visitor(session: FakeSession) -> Visitor:
    """Return who comes first and opens the start page."""
    visitor = Visitor(application(session, PORT, f"{HOME}/oauth/callback"))
    visitor.get("/")
    return visitor


def stranger(visitor: Visitor, home: str = HOME) -> Visitor:
    """Return another browser at the same pages."""
    return Visitor(visitor._app, home)


def token(visitor: Visitor) -> str:
    """Return what a form of these pages carries."""
    return visitor.get("/accounts/new").forms[-1].fields["token"]


def changed(session: FakeSession) -> set[object]:
    """Return what was changed."""
    return {call[0] for call in session.calls} & CHANGES


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        f"127.0.0.1:{PORT}",
        f"[::1]:{PORT}",
        "localhost",
        "localhost:9999",
        f"localhost.evil.example:{PORT}",
        f"localhost:{PORT}.evil.example",
        f"x@localhost:{PORT}",
        f"localhost:{PORT}/style.css?",
        f"evil.example:{PORT}/style.css#",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/list/found", "/oauth/callback?code=c&state=s", "/nothing"])
def test_another_name_is_refused(session: FakeSession, host: str, path: str) -> None:
    """Whatever name was bent to this machine, the pages have but one, and say which."""
    visitor = Visitor(application(session, PORT, f"{HOME}/oauth/callback"))
    page = visitor.get(path, Host=host)
    assert (page.status, page.headings) == (421, ["Wrong address"])
    assert page.links[f"{HOME}/"] == f"{HOME}/"
    assert "set-cookie" not in page.headers
    assert session.calls == []


def test_the_name_is_not_case_sensitive(visitor: Visitor) -> None:
    """Names of hosts never were."""
    assert visitor.get("/", Host=f"LocalHost:{PORT}").status == 200


def test_the_port_that_browsers_leave_out(session: FakeSession) -> None:
    """At port 80 the name stands alone."""
    visitor = Visitor(application(session, 80, "http://localhost/oauth/callback"), "http://localhost")
    assert visitor.get("/").status == 200


def test_the_first_browser_is_the_only_one(visitor: Visitor, session: FakeSession) -> None:
    """Whoever comes later is sent to the start page, which says that another browser leads the setup."""
    other = stranger(visitor)
    for path in ("/", "/accounts/new", "/connectors/kept", "/nothing"):
        page = other.get(path)
        assert (page.url, page.status) == (f"{HOME}/", 403)
        assert "Another browser leads this setup." in page.words
        assert "set-cookie" not in page.headers
    for path in POSTS:
        assert other.post(path, {**FORM, "token": token(visitor)}).status == 403
    assert changed(session) == set()
    assert visitor.get("/").status == 200


def test_a_callback_in_another_browser_uses_no_code(visitor: Visitor, session: FakeSession) -> None:
    """It is not taken, and the code leaves the address bar."""
    other = stranger(visitor)
    page = other.get("/oauth/callback?code=c0de&state=s", **{"Sec-Fetch-Site": "cross-site"})
    assert (page.url, page.status) == (f"{HOME}/", 403)
    assert "finish" not in [call[0] for call in session.calls]


def test_a_callback_that_comes_first_is_no_way_in(session: FakeSession) -> None:
    """After a restart of the command the old consent leads to the start page, and is not taken."""
    visitor = Visitor(application(session, PORT, f"{HOME}/oauth/callback"))
    page = visitor.get("/oauth/callback?code=c0de&state=s", **{"Sec-Fetch-Site": "cross-site"})
    assert (page.url, page.status) == (f"{HOME}/", 200)
    assert "finish" not in [call[0] for call in session.calls]


def test_a_cookie_that_was_made_up_is_none(visitor: Visitor) -> None:
    """A guess, and bytes that are no text, are refused like no cookie."""
    other = stranger(visitor)
    for guess in ("x", "é", ""):
        answer = other.request("GET", "/", headers={"Cookie": f"hubspot-list-sync-{PORT}={guess}".encode()})
        assert answer.status_code == 403


def test_the_cookie_is_for_these_pages_alone(session: FakeSession) -> None:
    """No script reads it, no other site's picture or form brings it, and it ends with the browser; it is set once."""
    visitor = Visitor(application(session, PORT, f"{HOME}/oauth/callback"))
    first, second = visitor.get("/"), visitor.get("/")
    cookie = first.headers["set-cookie"]
    assert re.fullmatch(rf"hubspot-list-sync-{PORT}=[\w-]{{43}}; Path=/; HttpOnly; SameSite=Lax", cookie)
    assert "set-cookie" not in second.headers


def test_what_is_no_navigation_does_not_take_the_first_place(session: FakeSession) -> None:
    """A picture or frame of another site, which would come before the person, gets no cookie."""
    visitor = Visitor(application(session, PORT, f"{HOME}/oauth/callback"))
    for headers in (
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    ):
        answer = visitor.request("GET", "/", headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    assert visitor.request("HEAD", "/").status_code != 200
    assert visitor.get("/", **{"Sec-Fetch-Site": "cross-site"}).status == 200, "a link to the setup is none of these"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": HOME},
        {"Origin": "https://evil.example"},
        {"Origin": f"http://localhost:{PORT + 1}"},
        {"Origin": f"https://localhost:{PORT}"},
    ],
)
def test_a_form_of_another_site_is_refused(
    visitor: Visitor, session: FakeSession, path: str, headers: dict[str, str]
) -> None:
    """Even with the cookie and the token: the browser says where it comes from."""
    page = visitor.post(path, {**FORM, "token": token(visitor)}, **headers)
    assert (page.status, page.headings) == (403, ["This was refused"])
    assert changed(session) == set()


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("wrong", [None, "", "x", "é", "right twice"])
def test_a_form_without_the_token_is_refused(
    visitor: Visitor, session: FakeSession, path: str, wrong: str | None
) -> None:
    """A form that these pages have not shown changes nothing, and whoever sent it hears what to do."""
    right = token(visitor)
    form = {**FORM} if wrong is None else {**FORM, "token": right * 2 if wrong == "right twice" else wrong}
    page = visitor.post(path, form)
    assert page.status == 403
    assert "Go back, load the page anew and send the form again." in page.words
    assert changed(session) == set()


@pytest.mark.parametrize("path", POSTS)
def test_what_changes_something_is_no_link(visitor: Visitor, session: FakeSession, path: str) -> None:
    """Nothing is changed by opening an address."""
    visitor.get(f"{path}?token={token(visitor)}&name=x&account=acme&connector=x&state=off")
    assert changed(session) == set()


@pytest.mark.parametrize("origin", ["null", HOME])
def test_own_forms_are_taken(visitor: Visitor, session: FakeSession, origin: str) -> None:
    """Browsers say `null` where no referrer is to be told, and the pages' own name otherwise."""
    visitor.post("/connectors/kept/switch", {"state": "off", "token": token(visitor)}, Origin=origin)
    assert changed(session) == {"enable"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"state": "off"}', "application/json"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
    ],
)
def test_what_is_no_form_is_refused(visitor: Visitor, session: FakeSession, content: bytes, kind: str) -> None:
    """Other bodies are read as forms without a token."""
    answer = visitor.request("POST", "/connectors/kept/switch", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 403
    assert changed(session) == set()


def test_a_form_has_so_many_fields_and_no_more(visitor: Visitor, session: FakeSession) -> None:
    """No form of the pages has as many; with them even the token is not looked at."""
    form = {"state": "off", "token": token(visitor)}
    more = {f"field{number}": "x" for number in range(60)}
    assert visitor.post("/connectors/kept/switch", {**form, **more}).status == 403
    assert changed(session) == set()
    visitor.post("/connectors/kept/switch", form)
    assert changed(session) == {"enable"}


def test_a_body_is_read_so_far_and_no_further(visitor: Visitor, session: FakeSession) -> None:
    """Whoever sends too much is stopped, also where no length is told."""
    sent = 0

    async def without_length() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10 * MAX_BODY // 1024):
            sent += 1024
            yield b"x" * 1024

    answer = visitor.request("POST", "/connectors/kept/switch", content=without_length())
    assert (answer.status_code, Page(answer).headings) == (413, ["This was refused"])
    assert MAX_BODY < sent <= MAX_BODY + 2048
    assert changed(session) == set()


@pytest.mark.parametrize("path", ["/", "/connectors/kept", "/nothing", "/review", "/kafka", "/oauth/callback"])
def test_every_page_carries_what_protects_it(visitor: Visitor, path: str) -> None:
    """Pages, errors and redirects: fresh, framed by nobody, without a referrer, loading nothing of anybody else."""
    answer = visitor.request("GET", path)
    assert {name: answer.headers[name] for name in PAGE_HEADERS} == dict(PAGE_HEADERS)
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "script-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_refusals_carry_it_too(visitor: Visitor) -> None:
    """What is refused at the gate is protected like any page."""
    for answer in (
        stranger(visitor).request("GET", "/"),
        visitor.request("GET", "/", headers={"Host": "evil.example"}),
        visitor.request("POST", "/kafka"),
    ):
        assert answer.status_code in {403, 421}
        assert {name: answer.headers[name] for name in PAGE_HEADERS} == dict(PAGE_HEADERS)


@pytest.mark.parametrize("name", ASSETS)
def test_style_and_script_are_for_everybody(visitor: Visitor, name: str) -> None:
    """They hold nothing of the setup, so a refusal is styled, too; their address names their content."""
    page = visitor.get("/list?account=acme")
    [href] = [
        given.get("href") or given.get("src", "")
        for _, given in page.tags
        if name in (given.get("href") or given.get("src", ""))
    ]
    answer = stranger(visitor, "http://evil.example").request("GET", href)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/connectors/kept/more", 404),
        ("PUT", "/", 405),
        ("DELETE", "/connectors/kept", 405),
        ("OPTIONS", "/", 405),
        ("GET", "/save", 405),
    ],
)
def test_what_is_not_there_has_a_page(visitor: Visitor, method: str, path: str, status: int) -> None:
    """A wrong address is told in words, and leads to the start."""
    answer = visitor.request(method, path)
    page = Page(answer)
    page.hold()
    assert (page.status, page.headings) == (status, ["There is no such page"])
    assert page.links[f"{HOME}/"] == f"{HOME}/"


def test_what_breaks_shows_nothing_of_it(
    visitor: Visitor, session: FakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake of the program has a page of words; what it was stands in the terminal."""
    session.problems["connector"] = RuntimeError("wh4t it was")
    caplog.set_level(logging.DEBUG)
    page = visitor.get("/connectors/kept")
    assert (page.status, page.headings) == (500, ["Something broke"])
    assert "wh4t" not in page.html
    assert "Traceback" not in page.html
    assert {name: page.headers[name] for name in PAGE_HEADERS} == dict(PAGE_HEADERS)


def test_no_address_ever_holds_a_secret(session: FakeSession) -> None:
    """Through the whole setup no address carries the token, what was pasted, or HubSpot's code after the callback."""
    visitor = Visitor(application(session, PORT, f"{HOME}/oauth/callback"))
    session.accounts.clear()
    visitor.get("/")
    secret = token(visitor)
    visitor.submit("Continue", name="acme", client_id="c", secret_from="pasted", secret_pasted="p4sted")
    visitor.get("/oauth/callback?code=c0de&state=s", **{"Sec-Fetch-Site": "cross-site"})
    callback = len(visitor.seen) - 1
    pages = [visitor.follow("Choose a list"), visitor.submit("Search", q="v"), visitor.submit("Continue", list="4711")]
    pages += [visitor.submit("Continue", source="audience:vip"), visitor.submit("Check again", connector="other")]
    pages += [visitor.submit("Save"), visitor.submit("Fill the list now")]
    for page in pages:
        assert "p4sted" not in page.html
        assert "c0de" not in page.html
    for number, url in enumerate(visitor.seen):
        assert secret not in url
        assert "p4sted" not in url
        assert "c0de" not in url or number == callback - 1, url


def test_every_run_has_its_own_words(session: FakeSession) -> None:
    """Cookie and token of one run are worth nothing in another."""
    first, second = (Visitor(application(session, PORT, f"{HOME}/oauth/callback")) for _ in range(2))
    first.get("/")
    second.get("/")
    assert token(first) != token(second)
    second.cookies = httpx.Cookies(first.cookies)
    assert second.get("/").status == 403
