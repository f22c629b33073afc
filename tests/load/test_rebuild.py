"""A rebuild of a long list: its memory, and every contact of it."""

import json
import subprocess
import sys
from typing import Any

import pytest

CONTACTS = 400_000
MILLION = 1_000_000
MOST_BYTES = 180  # of each contact, so that five million stay below 1 GB with what Python itself takes
MB = 1024 * 1024

pytestmark = pytest.mark.process


def rebuild(*arguments: str) -> dict[str, Any]:
    """Rebuild a list in a process of its own; give what it saw."""
    command = [sys.executable, "-m", "tests.load.rebuild", *arguments]
    run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    seen: dict[str, Any] = json.loads(run.stdout)
    return seen


def test_a_contact_of_a_rebuild_takes_less_than_180_bytes() -> None:
    """However long the list, the memory of a rebuild is what the log tells, packed, and a few requests' contacts."""
    seen = rebuild("--contacts", str(CONTACTS))
    assert (seen["peak_mb"] - seen["base_mb"]) * MB / CONTACTS < MOST_BYTES
    assert seen["most_waiting"] <= 4_000
    assert seen["requests"] <= CONTACTS / 1000 + 10
    assert seen["equal"]


def test_a_list_of_a_million_members_is_rebuilt() -> None:
    """Of a million contacts each is on the simulated HubSpot's list in the end if, and only if, the log says so."""
    seen = rebuild("--contacts", str(MILLION), "--simulator")
    assert (seen["added"], seen["removed"], seen["unchanged"]) == (450_000, 100_000, 450_000)
    assert seen["equal"]
