"""A person with a browser: what they look at, and all that must not go wrong meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, ConsoleMessage, Request, ViewportSize

DESKTOP: Final = ViewportSize(width=1280, height=800)
PHONE: Final = ViewportSize(width=390, height=844)
PATIENCE: Final = 15.0  # seconds that a page may take: Kafka and HubSpot are asked meanwhile

_GRAVE: Final = {"serious", "critical"}
_ALL: Final = {"resultTypes": ["violations"], "preload": False}  # nothing is fetched by axe: the page's rules forbid it
_CONTRAST: Final = {**_ALL, "runOnly": ["color-contrast"]}

_SIDEWAYS: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_OUTLINE: Final = """() => ({
    title: document.title,
    lang: document.documentElement.lang,
    h1: [...document.querySelectorAll("h1")].length,
    main: [...document.querySelectorAll("main")].length,
})"""


class Visitor:
    """One browser context with one page. `problems`: what console, scripts and network complained of so far."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.problems: list[str] = []
        context.set_default_timeout(PATIENCE * 1000)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"script: {error.error}"))
        context.on("requestfailed", self._failed)
        self.page = context.new_page()

    @contextmanager
    def expecting(self, *words: str) -> Iterator[None]:
        """Take a complaint with each of `words` as what has to come within the context; AssertionError without it."""
        yield
        for word in words:
            found = next((each for each in self.problems if word in each), None)
            assert found, f"nothing was complained of with {word!r}: {self.problems}"
            self.problems.remove(found)

    def look(self, *, but: str | None = None) -> None:
        """Look the page over as it is, in light and dark, on a desktop and on a phone; as a screen reader does, too.

        `but` is a rule of axe that does not hold for this page. AssertionError if axe finds something serious, if a
        phone has to scroll sideways, or if the page has no title, no language, or not one heading and one main part. At
        the end it is a light desktop again.
        """
        outline = self.page.evaluate(_OUTLINE)
        assert outline["title"], "a page has a title"
        assert outline == {**outline, "lang": "en", "h1": 1, "main": 1}, outline
        self.page.evaluate(AXE_SCRIPT)
        everything = {**_ALL, "rules": {but: {"enabled": False}}} if but else _ALL
        found = self._axe("phone, dark", PHONE, "dark", everything)
        found += self._axe("phone, light", PHONE, "light", _CONTRAST)
        sideways = self.sideways()
        found += self._axe("desktop, dark", DESKTOP, "dark", _CONTRAST)
        found += self._axe("desktop, light", DESKTOP, "light", everything)
        assert found == [], "\n".join((self.page.url, *found))
        assert sideways == 0, f"{self.page.url}: a phone has to scroll {sideways} pixels to the right"

    def text(self) -> str:
        """Give what a person can read, and what went wrong."""
        return "\n".join((self.page.locator("body").inner_text(), *self.problems))

    def sideways(self) -> int:
        """Give how many pixels the page reaches beyond the screen's right edge."""
        return int(self.page.evaluate(_SIDEWAYS))

    def _axe(self, name: str, size: ViewportSize, scheme: str, options: dict[str, object]) -> list[str]:
        self.page.set_viewport_size(size)
        self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        answer = self.page.evaluate("options => axe.run(options)", options)
        return [
            f"{name}: {each['id']} ({each['impact']}): {each['help']}: {node['html']}"
            for each in answer["violations"]
            if each["impact"] in _GRAVE
            for node in each["nodes"]
        ]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"console: {message.text}, at {message.location.get('url')}")

    def _failed(self, request: Request) -> None:
        # A page that is left, as by a link while it refreshes itself, does not get what it asked for.
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"network: {request.url}: {request.failure}")
