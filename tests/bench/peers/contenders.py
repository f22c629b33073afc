"""Who is compared, and how each is started: our service, and two programs as users of other libraries write them."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tests.bench.events import FIRST_LIST, source_id
from tests.bench.service import Bench
from tests.real.processes import Process, run, running
from tests.real.service import CLIENT_SECRET, REFRESH_TOKEN

BATCH_SECONDS = 5  # Quix Streams' own default
MAX_CONTACTS = 1000  # in one request

_HERE = Path(__file__).parent
_ENVIRONMENT = _HERE.parents[2] / ".venv-peers"

Start = Callable[[Bench, int, int], Process]
"""Starts a contender, for so many lists and so many requests of the account in ten seconds."""


def ours(made: Bench, lists: int, requests_per_10s: int) -> Process:
    """Start the service."""
    account = {**made.settings(lists)["accounts"]["acme"], "requests_per_10s": requests_per_10s}
    settings = made.settings(
        lists,
        window={"max_age": f"{BATCH_SECONDS}s", "max_contacts": MAX_CONTACTS},
        accounts={"acme": account},
    )
    return made.start(settings).process


def quix_streams(made: Bench, lists: int, requests_per_10s: int, *, sleeps: bool = False) -> Process:
    """Start what is written with Quix Streams; its sink raises at a 429, or else it `sleeps`."""
    del requests_per_10s  # it has no such setting: it hears of the quota by a 429
    more = {"state_dir": str(made.world.folder / "state"), "sleeps": sleeps}
    return _start("with_quix_streams", made, lists, more)


def faststream(made: Bench, lists: int, requests_per_10s: int) -> Process:
    """Start what is written with FastStream."""
    del requests_per_10s  # the same
    return _start("with_faststream", made, lists, {})


CONTENDERS: Mapping[str, Start] = {
    "hubspot-list-sync": ours,
    "Quix Streams": quix_streams,
    "FastStream": faststream,
}
OURS = next(iter(CONTENDERS))
SLEEPING: Mapping[str, Start] = {"Quix Streams, sleeping": partial(quix_streams, sleeps=True)}


def _start(program: str, made: Bench, lists: int, more: Mapping[str, object]) -> Process:
    world = made.world
    settings = {
        "bootstrap": world.broker.bootstrap,
        "group": world.group,
        "topic": world.changes,
        "registry": {"url": world.registry.url, "user": world.registry.properties["basic.auth.user.info"]},
        "hubspot": {
            "url": made.hubspot.url,
            "client_id": "acme-app",
            "client_secret": CLIENT_SECRET,
            "refresh_token": REFRESH_TOKEN,
        },
        "lists": {source_id(number): FIRST_LIST + number for number in range(lists)},
        "batch_seconds": BATCH_SECONDS,
        "batch_events": lists * MAX_CONTACTS,
        "max_contacts": MAX_CONTACTS,
        **more,
    }
    command: list[str | Path] = [_python(), _HERE / f"{program}.py", json.dumps(settings)]
    return world.stack.enter_context(running(command, world.folder / f"{program}.log"))


def _python() -> Path:
    """Give the interpreter of the peers' environment, which is made anew when its lock has changed."""
    lock = _HERE / "requirements.txt"
    python = _ENVIRONMENT / "bin" / "python"
    done = _ENVIRONMENT / f".installed-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not done.exists():
        run([sys.executable, "-m", "venv", "--clear", _ENVIRONMENT])
        run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", lock])
        done.touch()
    return python
