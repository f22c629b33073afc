"""Podman with the image of this tree, and the real parts that its containers talk to."""

import fcntl
from collections.abc import Iterator

import pytest

from tests.deploy.containers import CACHE, Podman, official_base
from tests.real.conftest import authority, bare_world, broker, here, registry, secure_broker

__all__ = ["authority", "bare_world", "broker", "here", "podman", "registry", "secure_broker"]


_BUILT_ON = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Podman]:
    """Yield podman, which has the image. Two runs of the tests take turns, for its storage is one."""
    made = Podman(tmp_path_factory.mktemp("podman"))
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.clear()
        made.build()
        why = "" if made.base == official_base() else f", for podman has no {official_base()} here"
        pytestconfig.stash[_BUILT_ON] = f"The image was built on {made.base}{why}."
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what stood in for the official image."""
    if said := terminalreporter.config.stash.get(_BUILT_ON, ""):
        terminalreporter.write_line(said)
