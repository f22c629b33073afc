"""The browser, and the real parts around it: made when the first test asks for them, stopped after the last one."""

import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.scene import Scene
from tests.browser.visitor import DESKTOP, PATIENCE, Visitor
from tests.real.authority import Authority
from tests.real.kafka_broker import Broker, any_broker
from tests.real.registry_server import RegistryServer
from tests.real.service import world

REBOUND: Final = "rebound.example"  # a name of somebody else's, bent to this machine
VISITORS: Final = pytest.StashKey[list[Visitor]]()
Visit = Callable[..., Visitor]


@contextmanager
def launched(playwright: Playwright) -> Iterator[Browser]:
    """Give a headless Chromium, that of the system; a name for this machine is REBOUND."""
    program = shutil.which("chromium")
    assert program, "these tests need a browser: install Debian's package chromium"
    browser = playwright.chromium.launch(
        executable_path=program,
        # Chromium's sandbox refuses root, whom continuous integration runs as; only our own pages are visited.
        args=["--no-sandbox", f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"],
    )
    try:
        yield browser
    finally:
        browser.close()


# Playwright's event loop stands in this thread as long as it is open, and nothing else can run one meanwhile: so it
# ends with this folder, and not with the whole run.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Yield the browser."""
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failure show what its visitors saw last."""
    report = yield
    if report.when == "call" and report.failed:
        report.sections += [(f"page {each.page.url}", each.text()) for each in item.stash.get(VISITORS, [])]
    return report


@pytest.fixture
def visit(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Give what makes visitors, each with a browser context of its own; nobody of them may have met a problem.

    Its arguments are those of Playwright's `Browser.new_context`.
    """
    visitors: list[Visitor] = []
    request.node.stash[VISITORS] = visitors
    with ExitStack() as stack:

        def make(**options: Any) -> Visitor:  # noqa: ANN401 - Playwright's options
            given = {"viewport": DESKTOP, "color_scheme": "light", "locale": "en-GB", **options}
            visitors.append(Visitor(stack.enter_context(chromium.new_context(**given))))
            return visitors[-1]

        yield make
    assert [problem for each in visitors for problem in each.problems] == []


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    """Give a visitor at a desktop."""
    return visit()


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Yield the broker."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with any_broker(tmp_path_factory.mktemp("broker"), authority) as found:
        yield found


@pytest.fixture(scope="package")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """Yield a registry that asks nobody for a name, as the setup's form does not."""
    with RegistryServer(tmp_path_factory.mktemp("registry"), guarded=False) as server:
        yield server


@pytest.fixture
def scene(broker: Broker, registry: RegistryServer, tmp_path: Path) -> Iterator[Scene]:
    """Yield a scene with topics; neither the setup nor a service runs yet."""
    with world(broker, registry, tmp_path) as here:
        here.create_topics()
        yield Scene(here)
