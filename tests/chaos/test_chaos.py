"""One round of chaos on real parts: see the README, and `make chaos` for more of it."""

from pathlib import Path

import pytest

from tests.chaos.report import Report, revokes_on_the_wire
from tests.chaos.round import one_round, parts

pytestmark = pytest.mark.process

SEED = 4


def test_nothing_is_lost_and_nothing_reordered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever happens to members, broker, registry, network and HubSpot, each list ends as the log has it."""
    report = Report()
    with parts(tmp_path) as shared:
        outcome = one_round(shared, SEED, tmp_path)
    report.add(SEED, outcome)
    with capsys.disabled():
        print(f"\n{report.text()}")  # noqa: T201 - the report is for people who run the tests

    assert outcome.findings.lost == []
    assert outcome.findings.reordered == []
    assert outcome.findings.unrecorded == []
    assert outcome.leaks == []
    assert outcome.lag == 0
    assert outcome.events.total() >= 200_000
    assert outcome.faults["killed"] >= 20
    assert revokes_on_the_wire(outcome.said) >= 5
