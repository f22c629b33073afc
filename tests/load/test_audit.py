"""Limits that hold for a list of a million members."""

import json
import subprocess
import sys

import pytest

from tests.load.audit import DRIFTED, MEMBERS

MOST_MB = 300
PAGES = MEMBERS // 250


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "members", "missing", "unknown", "requests"),
    [((), MEMBERS, DRIFTED, DRIFTED, PAGES + 2), (("--emptied",), 0, MEMBERS, 0, 13)],
)
def test_a_million_members_are_audited_in_less_than_300_mb(
    arguments: tuple[str, ...], members: int, missing: int, unknown: int, requests: int
) -> None:
    """Whoever drifted among a million members is found, and everybody of an emptied list, in bounded memory."""
    command = [sys.executable, "-m", "tests.load.audit", *arguments]
    run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    seen = json.loads(run.stdout)

    assert (seen["members"], seen["in_log"]) == (members, MEMBERS)
    assert (seen["missing"], seen["unknown"], seen["drift"]) == (missing, unknown, missing + unknown)
    assert (seen["requests"], seen["statuses"]) == (requests, [200])
    assert seen["peak_mb"] < MOST_MB
