"""Lists held against the log, against a real broker and a real registry: by the service itself, and by the command."""

import json
from typing import Any

import pytest

from tests.real.kafka import Event
from tests.real.processes import until
from tests.real.service import CHURN, VIP, Service, World

pytestmark = pytest.mark.process

STRANGER = 700
OFTEN = {"audit": {"every": "1s"}}


def audit(here: World, *words: str, code: int) -> dict[str, dict[str, Any]]:
    """Type the command; give what it tells of each connector."""
    told = json.loads(here.run("audit", "--json", *words, code=code))
    return {each["connector"]: each for each in told["lists"]}


def shown(service: Service, kind: str) -> float:
    """Give what the metrics say of the list of vip."""
    return service.total("audit_contacts", connector="vip", list_id=str(VIP), kind=kind)


def test_drift_shows_in_the_metrics_and_in_the_exit_code(here: World) -> None:
    """Who is put on a list by hand is found by the service and by the command, with who is on the way told apart."""
    service = here.start(**OFTEN)
    here.tell(*(Event(contact) for contact in range(1, 6)))
    until(lambda: here.committed() == 5, service.process)
    until(lambda: service.total("audit_timestamp_seconds", connector="vip") > 0, service.process)
    assert audit(here, code=0)["vip"]["drift"] == 0

    def meddle(vip: Any) -> None:  # noqa: ANN401 - a list of the simulator
        vip.join(STRANGER, 0.0)
        vip.leave(3)

    here.hubspot.call(lambda portal: meddle(portal.accounts["acme"].lists[VIP]))
    until(lambda: shown(service, "unknown") == 1, service.process)
    assert shown(service, "on_their_way") == 1  # applied less than five minutes ago: a read need not show it yet
    found = audit(here, code=1)
    assert (found["vip"]["members"], found["vip"]["in_log"], found["vip"]["drift"]) == (5, 5, 1)
    assert [each["record_id"] for each in found["vip"]["examples"]["unknown"]] == [str(STRANGER)]
    assert found["churn"]["drift"] == 0
    assert audit(here, "--connector", "churn", code=0).keys() == {"churn"}
    here.hubspot.call(lambda portal: portal.accounts["acme"].lists[VIP].leave(STRANGER))
    until(lambda: shown(service, "unknown") == 0, service.process)
    drifted = [each for each in service.said("list audited") if each["level"] == "warning"]
    assert {(each["connector"], each["drift"], each["unknown"]) for each in drifted} == {("vip", 1, 1)}


def test_what_retention_has_taken(here: World) -> None:
    """Where the beginning of the log is gone, who is unknown to it is told, and is no drift."""
    service = here.start()
    here.tell(Event(1), Event(2))
    until(lambda: here.committed() == 2, service.process)
    here.kafka.delete_records(here.changes, before=1)
    found = audit(here, code=0)["vip"]
    assert (found["log_complete"], found["contacts"]["unknown"], found["drift"]) == (False, 1, 0)


def test_one_member_audits_and_another_takes_over(bare_world: World) -> None:
    """Of two members the one with the first partition audits; when it is gone, the other one does."""
    here = bare_world
    here.create_topics(partitions=2)
    services = [here.start(**OFTEN) for _ in range(2)]

    def auditors() -> list[Service]:
        return [each for each in services if each.total("audit_timestamp_seconds", connector="vip") > 0]

    until(lambda: len(auditors()) == 1 and len(here.kafka.members(here.group)) == 2, services[0].process)
    [first] = auditors()
    services.remove(first)
    first.process.stop(within=30)
    assert first.process.ended == 0
    until(lambda: auditors() == services, services[0].process)
    assert services[0].total("audit_failures_total") == 0


def test_a_list_that_cannot_be_audited(here: World) -> None:
    """A list that is deleted in HubSpot is counted and told; the others are audited, and the service goes on."""
    here.hubspot.call(lambda portal: setattr(portal.accounts["acme"].lists[CHURN], "deleted_at", 0.0))
    service = here.start(**OFTEN)
    until(lambda: service.total("audit_failures_total", connector="churn") > 0, service.process)
    until(lambda: service.total("audit_timestamp_seconds", connector="vip") > 0, service.process)
    assert service.said("list not audited")[0]["status"] == 404
    assert "404" in audit(here, code=1)["churn"]["problem"]
    here.tell(Event(1))
    until(lambda: here.committed() == 1, service.process)
