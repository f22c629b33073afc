"""What needs a person waits by itself: few requests, nothing lost, and everything else goes on."""

from pathlib import Path

import pytest

from consumer.simulator.accounts import Account, ContactList
from consumer.simulator.faults import Fault
from consumer.simulator.messages import Handled
from consumer.simulator.portal import Portal
from tests.real.kafka import Event
from tests.real.processes import until
from tests.real.service import CHURN, VIP, Service, World

pytestmark = pytest.mark.process

SPRING = 4721  # the list of audience:spring, in another account


def umbra() -> Account:
    """Give a second account."""
    account = Account(name="umbra", client_id="umbra-app", client_secret="umbra-secret", refresh_token="umbra-first")
    account.add_list(ContactList(SPRING, "Spring"))
    return account


def start(here: World, token_file: Path) -> Service:
    """Start a service for the lists of both accounts."""
    here.hubspot.call(lambda portal: portal.add_account(umbra()))
    token_file.write_text("umbra-first")
    secret_file = token_file.with_name("umbra-secret")
    secret_file.write_text("umbra-secret")
    usual = here.settings()
    second = {
        "client_id": "umbra-app",
        "client_secret": {"file": str(secret_file)},
        "refresh_token": {"file": str(token_file)},
        "requests_per_10s": 100,
    }
    return here.start(
        accounts={"umbra": second},
        connectors={
            **usual["connectors"],
            "spring": {"account": "umbra", "list_id": SPRING, "source": "audience:spring"},
        },
    )


def tell(here: World, contact: int) -> None:
    """Let a contact enter all three audiences."""
    here.tell(*[Event(contact, source_id=source) for source in ("vip", "churn", "spring")])


def spring(here: World) -> frozenset[int]:
    """Give who is on the list of the second account."""
    return here.hubspot.call(lambda portal: portal.accounts["umbra"].lists[SPRING].members)


def refused(service: Service, connector: str) -> int:
    """Count how often a list's requests were refused for good."""
    return sum(each["connector"] == connector for each in service.said("refused"))


def requests(here: World, since: int) -> list[Handled]:
    """Give the requests that HubSpot has got, the first `since` aside."""
    return here.hubspot.call(lambda portal: portal.log[since:])


def dead(here: World, reason: str) -> set[int]:
    """Give the contacts of the dead letters with a reason."""
    records = [each for each in here.kafka.read(here.dead_letters) if each["reason"] == reason]
    return {int(contact["record_id"]) for each in records for contact in each["contacts"]}


def test_a_revoked_token_and_a_deleted_list_cost_a_few_requests_each(here: World, tmp_path: Path) -> None:
    """While both are refused the third list goes on; mended, both go on by themselves with all that waited."""
    token_file = tmp_path / "umbra-token"
    service = start(here, token_file)
    tell(here, 1)
    until(lambda: here.committed() == 3, service.process)

    def revoke_and_delete(portal: Portal) -> tuple[int, int]:
        portal.accounts["umbra"].refresh_token = None
        portal.accounts["acme"].lists[VIP].deleted_at = 0.0
        return portal.inject(Fault("token_expired", account="umbra")), len(portal.log)

    fault, before = here.hubspot.call(revoke_and_delete)
    contact = 1
    while not refused(service, "vip") or not refused(service, "spring") or len(here.puts(CHURN)) < 40:
        contact += 1
        tell(here, contact)
        until(lambda: len(here.members(CHURN)) == contact, service.process)  # noqa: B023 - it is called before the next turn
    spent = requests(here, before)
    waiting = set(range(contact + 1, contact + 11))
    for each in waiting:
        tell(here, each)
    everybody = set(range(1, contact + 1)) | waiting

    def mend(portal: Portal) -> None:
        portal.heal(fault)
        portal.accounts["umbra"].refresh_token = "umbra-second"
        portal.accounts["acme"].lists[VIP].deleted_at = None

    token_file.write_text("umbra-second")
    here.hubspot.call(mend)
    # The probe is 30 s after the refusal, on a slow machine perhaps the second one, 60 s later.
    until(lambda: waiting <= here.members(VIP) & spring(here), service.process, within=180)
    until(lambda: here.committed() == 3 * len(everybody), service.process)

    assert here.members(CHURN) == everybody
    assert here.members(VIP) | dead(here, "LIST_NOT_FOUND") == everybody
    assert spring(here) | dead(here, "INVALID_GRANT") == everybody
    assert len([each for each in spent if each.list_id == VIP]) <= 3
    assert len([each for each in spent if each.account == "umbra"]) <= 5
    assert service.total("needs_attention") == 0
