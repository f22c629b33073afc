"""A rebuild's memory."""

import json
import subprocess
import sys

import pytest

CONTACTS = 400_000
MOST_BYTES = 180  # of each contact, so that five million stay below 1 GB with what Python itself takes
MB = 1024 * 1024


@pytest.mark.process
def test_a_contact_of_a_rebuild_takes_less_than_180_bytes() -> None:
    """However long the list, the memory of a rebuild is what the log tells, packed, and a few requests' contacts."""
    command = [sys.executable, "-m", "tests.load.rebuild", "--contacts", str(CONTACTS)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    seen = json.loads(run.stdout)

    assert (seen["peak_mb"] - seen["base_mb"]) * MB / CONTACTS < MOST_BYTES
    assert seen["most_waiting"] <= 4_000
    assert seen["requests"] <= CONTACTS / 1000 + 10
    assert seen["equal"]
