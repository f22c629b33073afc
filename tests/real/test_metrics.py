"""What Prometheus is told while things go wrong."""

import shutil

import pytest

from consumer.metrics import PREFIX, TABLE
from consumer.simulator.faults import Fault
from tests.real.kafka import Event, record
from tests.real.processes import run, until
from tests.real.service import CHURN, VIP, Scrape, World

pytestmark = pytest.mark.process

MERGED, SURVIVOR = 40, 41
ABSENT = 2_000_000  # no contact of the account
CONNECTORS = {
    "vip": {"account": "acme", "list_id": VIP, "source": "audience:vip"},
    "churn": {"account": "acme", "list_id": CHURN, "source": "audience:churn"},
    "asleep": {"account": "acme", "list_id": VIP + 10, "source": "audience:asleep", "enabled": False},
}


@pytest.fixture
def promtool() -> str:
    """Give the program."""
    program = shutil.which("promtool")
    assert program, "this test needs promtool: install Prometheus (Debian: prometheus)"
    return program


def tell_all_kinds(here: World) -> None:
    """Tell what the list takes, knows, does not know and knows otherwise, what is collapsed, skipped and refused."""
    here.hubspot.call(lambda portal: portal.accounts["acme"].lists[VIP].join(500, 0.0))
    here.hubspot.call(lambda portal: portal.accounts["acme"].merge(MERGED, SURVIVOR))
    here.tell(Event(1), Event(1, "EXIT"), Event(1), Event(2), Event(500, "EXIT"), Event(600, "EXIT"))
    here.tell(Event(ABSENT), Event(MERGED), Event("nobody"), Event(3, source_id="churn"))
    here.tell(Event(4, source_id="unknown"), Event(5, source_id="asleep"))
    nameless = here.kafka.encode(here.changes, {**record(Event(6)), "identifiers": {}})
    for value in (nameless, None, b"no Avro at all"):
        here.kafka.send(here.changes, value, "6")
    here.kafka.flush()


def rises(before: Scrape, after: Scrape, name: str, **labels: str) -> float:
    """Tell by how much a metric has risen."""
    return after.total(name, **labels) - before.total(name, **labels)


def test_every_metric_moves_as_it_should_in_a_faulty_run(here: World, promtool: str) -> None:
    """Each is there from the start, of its type, and tells what happened; promtool has nothing to object."""
    service = here.start(connectors=CONNECTORS, limits={"max_pending_contacts": 50}, window={"max_age": "2s"})
    service.until_said("partitions assigned")
    until(lambda: service.scrape().total("list_info", list_name="VIP") == 1, service.process)
    quiet = service.scrape()
    here.inject(Fault("unavailable", list_id=VIP, method="PUT"))
    here.inject(Fault("bad_request", list_id=CHURN, method="PUT", times=1))
    tell_all_kinds(here)
    here.tell(*[Event(contact) for contact in range(1001, 1101)])
    until(
        lambda: service.scrape().total("retries_total") > 0 and service.scrape().total("needs_attention") > 0,
        service.process,
    )
    until(lambda: service.scrape().total("consumer_paused") == 1, service.process)
    faulty = service.scrape()
    here.heal()
    end = here.kafka.end(here.changes)
    until(lambda: here.committed() == end, service.process)
    here.tell(Event(7, source_id="churn"))
    until(lambda: here.committed() == end + 1, service.process)
    until(lambda: service.scrape().total("consumer_lag") == 0, service.process)
    healed = service.scrape()

    for scrape in (quiet, faulty, healed):
        for spec in TABLE:
            assert scrape.families[(PREFIX + spec.name).removesuffix("_total")].type == spec.kind, spec.name
        run([promtool, "check", "metrics"], given=scrape.text.encode())
    _check_what_hubspot_did(quiet, faulty, healed)
    _check_what_was_read(quiet, healed)
    _check_what_stands(quiet, faulty, healed)


def _check_what_hubspot_did(quiet: Scrape, faulty: Scrape, healed: Scrape) -> None:
    vip, churn = {"connector": "vip", "list_id": str(VIP)}, {"connector": "churn", "list_id": str(CHURN)}
    assert rises(quiet, faulty, "contacts_added_total") == 0
    assert rises(quiet, healed, "contacts_added_total", **vip) == 102  # 1, 2 and the hundred
    assert rises(quiet, healed, "contacts_added_total", **churn) == 1
    assert rises(quiet, healed, "contacts_removed_total", **vip) == 1
    assert rises(quiet, healed, "contacts_unchanged_total", **vip) == 1  # 600
    assert rises(quiet, healed, "contacts_not_found_total", **vip) == 1
    assert rises(quiet, healed, "contacts_merged_total", **vip) == 1  # 40, told as 41
    assert rises(quiet, healed, "contacts_unexpected_total", **vip) == 0
    assert rises(quiet, healed, "contacts_failed_total", reason="BAD_REQUEST", **churn) == 1
    assert rises(quiet, faulty, "requests_total", status="503", **vip) >= 1
    assert rises(quiet, healed, "requests_total", status="400", **churn) == 1
    assert rises(quiet, healed, "requests_total", status="200", **vip) >= 1
    assert rises(quiet, faulty, "retries_total", connector="vip", reason="503") >= 1
    assert rises(quiet, healed, "request_duration_seconds_count", connector="vip") >= 2
    assert rises(quiet, healed, "request_duration_seconds_sum", connector="vip") > 0
    assert healed.total("token_refreshes_total", account="acme", outcome="ok") == 1
    assert 0 <= healed.total("rate_limit_remaining", account="acme") < 110


def _check_what_was_read(quiet: Scrape, healed: Scrape) -> None:
    assert rises(quiet, healed, "events_consumed_total") == 116
    assert rises(quiet, healed, "events_collapsed_total", connector="vip") >= 2
    skipped = {
        (reason, transition): rises(quiet, healed, "events_skipped_total", reason=reason, transition=transition)
        for reason, transition in (
            ("unrouted", "ENTER"),
            ("disabled", "ENTER"),
            ("no_identifier", "ENTER"),
            ("tombstone", ""),
        )
    }
    assert set(skipped.values()) == {1}, skipped
    letters = {
        reason: rises(quiet, healed, "dead_letters_total", reason=reason)
        for reason in ("UNDECODABLE", "INVALID_RECORD_ID", "BAD_REQUEST", "FORBIDDEN")
    }
    assert letters == {"UNDECODABLE": 1, "INVALID_RECORD_ID": 1, "BAD_REQUEST": 1, "FORBIDDEN": 0}
    assert rises(quiet, healed, "window_flushes_total", connector="vip") >= 1
    assert rises(quiet, healed, "window_flushes_total", connector="churn", trigger="age") == 2
    assert rises(quiet, healed, "event_to_list_seconds_count", connector="vip") >= 102
    assert rises(quiet, healed, "event_to_list_seconds_sum", connector="vip") > 0
    assert healed.total("rebalances_total", kind="assigned") == 1
    assert healed.total("rebalances_total", kind="lost") == 0


def _check_what_stands(quiet: Scrape, faulty: Scrape, healed: Scrape) -> None:
    needs = [each.total("needs_attention", connector="churn", reason="BAD_REQUEST") for each in (quiet, faulty, healed)]
    assert needs == [0, 1, 0]
    assert [each.total("consumer_paused") for each in (quiet, faulty, healed)] == [0, 1, 0]
    waiting = [each.total("pending_contacts", connector="vip") for each in (quiet, faulty, healed)]
    assert (waiting[0], waiting[2]) == (0, 0)
    assert waiting[1] >= 50
    lag = [each.total("consumer_lag") for each in (quiet, faulty, healed)]
    assert (lag[0], lag[2]) == (0, 0)
    assert lag[1] > 50
    last = [each.total("last_success_timestamp_seconds", connector="vip") for each in (quiet, faulty, healed)]
    assert last[:2] == [0, 0]
    assert last[2] > 1.7e9
    assert healed.total("list_info", connector="vip", list_name="VIP", account="acme") == 1
    assert healed.total("build_info") == 1
