"""The world that commands are typed in, and the process's logging, which commands set up."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.commands.world import World, world


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[World]:
    """Yield a world with one account."""
    with world(tmp_path) as made:
        yield made
