"""Podman with the image of this tree, and the real parts that its containers talk to."""

import fcntl
from collections.abc import Iterator

import pytest

from tests.deploy.containers import CACHE, Podman
from tests.real.conftest import authority, bare_world, broker, here, registry, secure_broker

__all__ = ["authority", "bare_world", "broker", "here", "podman", "registry", "secure_broker"]


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Yield podman, which has the image. Two runs of the tests take turns, for its storage is one."""
    made = Podman(tmp_path_factory.mktemp("podman"))
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.clear()
        made.build()
        yield made
