"""A browser without scripts, which sends what a real one sends, and holds of every page what everybody needs of it."""

import asyncio
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from starlette.types import ASGIApp

PORT = 8765
HOME = f"http://localhost:{PORT}"

_VOID = frozenset({"meta", "link", "input", "br"})
_APART = frozenset({"div", "td", "th", "ins", "del", "span"})  # what is shown beside or below what came before
_NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"}


@dataclass
class Form:
    """A form: where it goes, what its fields hold, and its buttons with what they add."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, dict[str, str]] = field(default_factory=dict)


class Page(HTMLParser):
    """One answer, read as a browser reads it. What a screen reader and the Content-Security-Policy need is held."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.status, self.headers, self.html = answer.status_code, answer.headers, answer.text
        self.url = str(answer.request.url)
        self.title = self.text = ""
        self.headings: list[str] = []
        self.links: dict[str, str] = {}
        self.forms: list[Form] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self._words = ""
        if answer.headers.get("content-type", "").startswith("text/html"):
            self.feed(answer.text)
            self.close()
            assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element, and what it adds to its form."""
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag not in _VOID:
            self._open.append((tag, given))
        if tag in {"a", "button", "h1", "title"}:
            self._words = ""
        if tag in _APART:
            self.text += " "
        if tag == "form":
            self.forms.append(Form(given["action"], given["method"]))
        if tag == "input" and given.get("name") and "disabled" not in given:
            ticks = given["type"] in {"radio", "checkbox"}
            if not ticks or "checked" in given:
                self.forms[-1].fields[given["name"]] = given.get("value", "on")
        if tag == "option":
            [select] = (attributes for name, attributes in self._open if name == "select")
            fields = self.forms[-1].fields
            if "selected" in given or select["name"] not in fields:
                fields[select["name"]] = given["value"]

    def handle_endtag(self, tag: str) -> None:
        """Hold that what opened last closes first, and note what it said."""
        opened, given = self._open.pop()
        assert opened == tag
        words = " ".join(self._words.split())
        if tag == "a":
            self.links[words] = given["href"]
        if tag == "button":
            self.forms[-1].buttons[words] = {given["name"]: given["value"]} if "name" in given else {}
        if tag == "h1":
            self.headings.append(words)
        if tag == "title":
            self.title = words

    def handle_data(self, data: str) -> None:
        """Keep what is shown."""
        self._words += data
        self.text += data

    @property
    def words(self) -> str:
        """What is shown, with one space between words."""
        return " ".join(self.text.split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """Give the attributes of such elements."""
        return [given for name, given in self.tags if name == tag and attributes.items() <= given.items()]

    def by_id(self, name: str) -> dict[str, str]:
        """Give the attributes of one element."""
        [found] = (given for _, given in self.tags if given.get("id") == name)
        return found

    def hold(self) -> None:
        """Hold what everybody needs of a page."""
        ids = [given["id"] for _, given in self.tags if "id" in given]
        assert len(ids) == len(set(ids)), "an id stands for one element"
        assert len(self.headings) == 1
        assert self.all("html") == [{"lang": "en"}]
        assert self.all("main") == [{"id": "content"}]
        assert self.links["Skip to the content"] == "#content"
        assert self.title.endswith(" · HubSpot list sync")
        labelled = {given["for"] for given in self.all("label")}
        for tag, given in self.tags:
            assert not {name for name in given if name.startswith("on") or name == "style"}, "nothing is inline"
            assert set(given.get("aria-describedby", "").split()) <= set(ids)
            if tag == "a" and given["href"].startswith("#"):
                assert given["href"][1:] in ids
            if tag in {"input", "select"} and given.get("type") != "hidden":
                assert given["id"] in labelled, given
            assert tag != "style"
            assert tag != "script" or "src" in given
        for form in self.forms:
            assert ("token" in form.fields) == (form.method == "post"), "a token is in no address, and in every post"


class Visitor:
    """Visits an application as a browser does: keeps its cookie, follows redirects, fills in forms."""

    def __init__(self, app: ASGIApp, home: str = HOME) -> None:
        self.cookies = httpx.Cookies()
        self.seen: list[str] = []
        self.page: Page
        self._app, self._home = app, home

    def get(self, path: str, **headers: str) -> Page:
        """Open an address."""
        return self._go("GET", path, None, headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> Page:
        """Send a form."""
        return self._go("POST", path, form, {"Origin": "null", **headers})

    def follow(self, link: str) -> Page:
        """Follow the link of these words."""
        return self.get(self.page.links[link])

    def submit(self, button: str, **fields: str) -> Page:
        """Fill in the form of a button and press it; an empty `on` is a box that is not ticked."""
        [form] = (form for form in self.page.forms if button in form.buttons)
        sent = {**form.fields, **fields, **form.buttons[button]}
        sent = {name: value for name, value in sent.items() if value or name != "on"}
        if form.method == "get":
            return self._go("GET", str(httpx.URL(form.action, params=sent)), None, {})
        return self.post(form.action, sent)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - as httpx takes them
        """Send one request, and no other."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=self._home, cookies=self.cookies) as client:
                answer = await client.request(method, path, **more)
                self.cookies = client.cookies
                return answer

        answer = asyncio.run(ask())
        self.seen.append(str(answer.request.url))
        return answer

    def _go(self, method: str, path: str, form: dict[str, str] | None, headers: dict[str, str]) -> Page:
        answer = self.request(method, path, data=form, headers={**_NAVIGATES, **headers})
        while answer.status_code == 303:
            there = urljoin(str(answer.request.url), answer.headers["location"])
            if urlsplit(there).netloc != urlsplit(self._home).netloc:
                break
            answer = self.request("GET", there, headers={**_NAVIGATES, **headers})
        self.page = Page(answer)
        if self.page.tags:
            self.page.hold()
        return self.page
