"""Each alert fires when it should, and not when it should not; promtool is who says so."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from ruamel.yaml import YAML

from consumer.metrics import PREFIX, TABLE
from deploy.prometheus import rules
from tests.house.tree import ROOT
from tests.real.processes import run

pytestmark = pytest.mark.process

METRIC = re.compile(rf"(?<![\w:]){PREFIX}\w+")
OF_A_HISTOGRAM = re.compile(r"_(?:bucket|count|sum)$")
VIP = 'connector="vip",list_id="4711"'
LISTS = "VIP (connector vip, list 4711)"
HERE = {f'build_info{{job="sync",instance="{each}",version="1"}}': "1x9000" for each in "ab"} | {
    f'list_info{{job="sync",instance="{each}",{VIP},list_name="{name}",account="acme"}}': "1x9000"
    for each, name in (("a", "VIP"), ("b", ""))
}
"""Two replicas, of which one does not know the list's name; every minute a value."""

DAY = 24 * 60  # minutes


class Case(NamedTuple):
    """What Prometheus has seen, by series (job and prefix left out), and which alerts are on at a minute of it."""

    told: str
    series: Mapping[str, str]
    minute: int
    on: tuple[str, ...] = ()
    every: str = "1m"  # rules are evaluated
    base: Mapping[str, str] = HERE


class Text(NamedTuple):
    """What a person reads when an alert is on."""

    labels: Mapping[str, str]
    summary: str
    description: str


OF_VIP = {"connector": "vip", "list_id": "4711"}


def a(name: str, labels: str = "", instance: str = "a") -> str:
    """Name a series of one replica."""
    return f'{name}{{job="sync",instance="{instance}"{"," if labels else ""}{labels}}}'


def requests(status: int, instance: str = "a") -> str:
    """Name the requests of the list."""
    return a("requests_total", f'{VIP},status="{status}"', instance)


def contacts(outcome: str, instance: str = "a") -> str:
    """Name the contacts of the list."""
    return a(f"contacts_{outcome}_total", VIP, instance)


def changes(late: float, minutes: int, instance: str = "a") -> dict[str, str]:
    """Give 1,000 changes a minute, of which a share is late."""
    name = "event_to_list_seconds"
    return {
        a(f"{name}_count", 'connector="vip"', instance): f"0+1000x{minutes}",
        a(f"{name}_bucket", 'connector="vip",le="120.0"', instance): f"0+{1000 * (1 - late):g}x{minutes}",
    }


FORBIDDEN = f'{VIP},reason="FORBIDDEN"'
STANDS = 'connector="",list_id="",reason="OFFSET_OUT_OF_RANGE"'
LAG = 'topic="changes",partition="0"'
LAG_1 = 'topic="changes",partition="1"'
TOPIC = 'topic="changes"'

CASES = (
    Case("all is well, and nothing happens", {}, 60),
    Case("nobody is there", {}, 6, ("Down",), base={}),
    Case("nobody is there, but not for long", {}, 4, base={}),
    Case("nobody is there any more", {}, 123, ("Down",), base={'build_info{job="sync",instance="a"}': "1x60 stale"}),
    Case(
        "one of two deployments is gone",
        {},
        80,
        ("Down",),
        base={'build_info{job="sync",instance="a"}': "1x60 stale", 'build_info{job="other",instance="b"}': "1x90"},
    ),
    Case(
        "one of two replicas is gone",
        {},
        30,
        base={'build_info{job="sync",instance="a"}': "1x5 stale", 'build_info{job="sync",instance="b"}': "1x60"},
    ),
    Case("a list is refused", {a("needs_attention", FORBIDDEN): "0x3 1x20"}, 10, ("NeedsAttention",)),
    Case("a list was refused once, and then went on", {a("needs_attention", FORBIDDEN): "0x3 1 0x20"}, 4),
    Case(
        "a refused list changes hands",
        {a("needs_attention", FORBIDDEN): "1x9 stale", a("needs_attention", FORBIDDEN, "b"): "_x8 1x9"},
        12,
        ("NeedsAttention",),
    ),
    Case("retention has passed an offset", {a("needs_attention", STANDS): "1x9"}, 5, ("PartitionStands",)),
    Case("an offset was mended", {a("needs_attention", STANDS): "1x9 0x9"}, 12),
    Case(
        "changes wait, and every request fails",
        {a("pending_contacts", VIP): "5x40", requests(200): "7x40", requests(503): "0+1x40"},
        25,
        ("NothingApplied",),
    ),
    Case(
        "changes wait at one replica, and requests of another succeed",
        {a("pending_contacts", VIP): "5x40", requests(200): "7x40", requests(200, "b"): "0+1x40"},
        25,
    ),
    Case(
        "requests succeed, and a replica restarts every ten minutes",
        {a("pending_contacts", VIP): "5x40", requests(200): "0+1x10 0+1x10 0+1x20"},
        38,
    ),
    Case(
        "changes wait for a list that is refused, which is told once",
        {a("pending_contacts", VIP): "5x40", requests(200): "0x40", a("needs_attention", FORBIDDEN): "1x40"},
        25,
        ("NeedsAttention",),
    ),
    Case("nothing waits, and nothing is sent", {a("pending_contacts", VIP): "0x40", requests(200): "7x40"}, 25),
    Case(
        "nothing is read, and the lag grows",
        {
            a("consumer_lag", LAG): "0+600x60",
            a("consumer_lag", LAG_1): "7x60",
            a("events_consumed_total", TOPIC): "5x60",
        },
        40,
        ("LagGrows",),
    ),
    Case(
        "the lag grows while its partition changes hands",
        {
            a("consumer_lag", LAG): "0+600x30 stale",
            a("consumer_lag", LAG, "b"): "_x29 18000+600x30",
            a("events_consumed_total", TOPIC): "0+10x30 stale",
            a("events_consumed_total", TOPIC, "b"): "0+10x60",
        },
        40,
        ("LagGrows",),
    ),
    Case(
        "a thousand events a second wait for their window of 30 s",
        {a("consumer_lag", LAG): "30000 31000 29000 30500 30000x60", a("events_consumed_total", TOPIC): "0+60000x60"},
        40,
    ),
    Case(
        "there is more to do each minute, and it is done",
        {a("consumer_lag", LAG): "2000+500x60", a("events_consumed_total", TOPIC): "0+60000x60"},
        40,
    ),
    Case(
        "a backlog is caught up with",
        {a("consumer_lag", LAG): "900000-10000x60", a("events_consumed_total", TOPIC): "0+1000x60"},
        40,
    ),
    Case(
        "a change was given up",
        {a("dead_letters_total", 'reason="FORBIDDEN"'): "0x9 1x40"},
        20,
        ("DeadLetters",),
    ),
    Case(
        "changes were given up, long ago, and one of two replicas restarts",
        {
            a("dead_letters_total", 'reason="FORBIDDEN"'): "0x9 5x90 0x40",
            a("dead_letters_total", 'reason="FORBIDDEN"', "b"): "0x9 5x130",
        },
        120,
    ),
    Case("a tenth is answered 429", {requests(200): "0+90x60", requests(429): "0+10x60"}, 25, ("RateLimited",)),
    Case("two replicas share a limit", {requests(200): "0+97x60", requests(429): "0+3x60"}, 25),
    Case(
        "a tenth of what audits ask is answered 429, of few",
        {
            requests(200): "0+900x60",
            a("audit_requests_total", 'account="acme",status="200"'): "0+9x60",
            a("audit_requests_total", 'account="acme",status="429"'): "0+1x60",
        },
        25,
    ),
    Case(
        "one in twenty fails, all day",
        {requests(200): "0+95x600", requests(500): "0+5x600"},
        600,
        ("ErrorRatio",),
        "5m",
    ),
    Case("three in a hundred fail", {requests(200): "0+97x600", requests(500): "0+3x600"}, 600, every="5m"),
    Case(
        "a replica that failed half of its requests is gone, and was restarted, too",
        {
            requests(200): "0+50x60 0+50x60 stale",
            requests(500): "0+50x60 0+50x60 stale",
            requests(200, "b"): "0+100x600",
        },
        600,
        ("ErrorRatio",),
        every="5m",
    ),
    Case(
        "half of a new list's contacts are not found",
        {contacts("added"): "0+2x120", contacts("not_found"): "0+2x120"},
        100,
        ("NotFoundJump",),
    ),
    Case(
        "half are not found, as ever",
        {contacts("added"): f"0+2x{3 * DAY}", contacts("not_found"): f"0+2x{3 * DAY}"},
        2 * DAY + 60,
        every="5m",
    ),
    Case(
        "half are not found, where one in ten was the day before",
        {contacts("added"): f"0+9x{2 * DAY} {18 * DAY}+5x90", contacts("not_found"): f"0+1x{2 * DAY} {2 * DAY}+5x90"},
        2 * DAY + 80,
        ("NotFoundJump",),
        every="5m",
    ),
    Case(
        "half are not found, but they are few",
        {contacts("added"): "0+0.1x120", contacts("not_found"): "0+0.1x120"},
        100,
    ),
    Case(
        "most changes change nothing",
        {contacts("added"): "0+1x120", contacts("unchanged"): "0+4x120"},
        100,
        ("UnchangedJump",),
    ),
    Case("some changes change nothing", {contacts("added"): "0+4x120", contacts("unchanged"): "0+3x120"}, 100),
    Case(
        "the refresh token is refused",
        {a("token_refreshes_total", 'account="acme",outcome="refused"'): "0x9 1x40"},
        20,
        ("TokenRefreshFails",),
    ),
    Case(
        "the token cannot be refreshed, for passing reasons that do not pass",
        {a("token_refreshes_total", 'account="acme",outcome="failed"'): "0x9 1+1x40"},
        25,
        ("TokenRefreshFails",),
    ),
    Case(
        "a refresh failed twice, and then went well",
        {
            a("token_refreshes_total", 'account="acme",outcome="failed"'): "0x9 1 2x40",
            a("token_refreshes_total", 'account="acme",outcome="ok"'): "1x10 2x40",
        },
        20,
    ),
    Case(
        "a replica restarts again and again",
        {'process_start_time_seconds{job="sync",instance="a"}': "10x5 20x5 30x5 40x30"},
        20,
        ("Restarts",),
    ),
    Case(
        "a replica was rolled, and somebody else's program restarts",
        {
            'process_start_time_seconds{job="sync",instance="a"}': "10x5 20x30",
            'process_start_time_seconds{job="other",instance="c"}': "0+10x40",
        },
        20,
    ),
    Case("a list has drifted", {a("audit_contacts", f'{VIP},kind="missing"'): "0x5 3x40"}, 20, ("Drift",)),
    Case(
        "a list has drifted, and another replica is to audit",
        {
            a("audit_contacts", f'{VIP},kind="missing"'): "3x20 stale",
            a("audit_contacts", f'{VIP},kind="missing"', "b"): "_x20 0x40",
        },
        30,
        ("Drift",),
    ),
    Case(
        "a drift was mended",
        {a("audit_contacts", f'{VIP},kind="missing"'): "3x20 0x40"},
        50,
    ),
    Case(
        "contacts are on their way, or not in HubSpot",
        {
            a("audit_contacts", f'{VIP},kind="on_their_way"'): "9x40",
            a("audit_contacts", f'{VIP},kind="not_found"'): "9x40",
        },
        20,
    ),
    Case("an audit fails", {a("audit_failures_total", VIP): "0x9 1x40"}, 20, ("AuditFails",)),
    Case("an audit failed long ago", {a("audit_failures_total", VIP): "0x9 1x100"}, 100),
    Case("three in ten changes are late", changes(0.3, 200), 90, ("FreshnessBurnsFast",)),
    Case(
        "a third is late, but only for five minutes",
        changes(0.3, 300)
        | {
            a("event_to_list_seconds_bucket", 'connector="vip",le="120.0"'): "0+1000x200 200700+700x4 204500+1000x95",
        },
        210,
    ),
    Case(
        "every change is late, but there are few",
        {
            a("event_to_list_seconds_count", 'connector="vip"'): "0+0.04x400",
            a("event_to_list_seconds_bucket", 'connector="vip",le="120.0"'): "0x400",
        },
        380,
        every="5m",
    ),
    Case("four in a hundred are late, for hours", changes(0.04, 400), 380, ("FreshnessBurnsSlowly",), "5m"),
    Case(
        "all was late for an hour, and that is over",
        changes(1.0, 350)
        | {a("event_to_list_seconds_bucket", 'connector="vip",le="120.0"'): "0+1000x200 200000x59 201000+1000x90"},
        312,
        ("FreshnessBurnsSlowly",),
    ),
    Case("four in a thousand are late", changes(0.004, 400), 380, every="5m"),
    Case(
        "two replicas share the load, one restarts, and all is in time",
        {
            **changes(0.0, 400, "b"),
            a("event_to_list_seconds_count", 'connector="vip"'): "0+1000x100 0+1000x300",
            a("event_to_list_seconds_bucket", 'connector="vip",le="120.0"'): "0+1000x100 0+1000x300",
        },
        150,
    ),
    Case("nothing changes, so nothing is late", changes(0.3, 30), 500, every="5m"),
)

TEXTS = {
    "Down": Text(
        {},
        "No HubSpot list is synced: the service does not run, or nobody sees it run",
        "Prometheus has found no replica for 5 minutes. Nothing is lost: changes wait in Kafka as long as its "
        "retention lasts.",
    ),
    "NeedsAttention": Text(
        {**OF_VIP, "reason": "FORBIDDEN"},
        f"The list {LISTS} stands still until somebody acts: FORBIDDEN",
        "HubSpot refuses the list or its account, or the guard holds it. All other lists go on. The status page and "
        "the log have HubSpot's words and the correlation id for its support.",
    ),
    "PartitionStands": Text(
        {"reason": "OFFSET_OUT_OF_RANGE"},
        "A partition stands still: where the service wants to go on reading, the topic begins later",
        "Reason OFFSET_OUT_OF_RANGE: retention has passed the committed offset, or the topic was made anew. The "
        "service does not jump, for that would lose changes silently; a person decides where to go on.",
    ),
    "NothingApplied": Text(
        OF_VIP,
        f"Changes wait for the list {LISTS}, and none gets through",
        "5 contacts wait, and no request for them has succeeded for more than 10 minutes.",
    ),
    "LagGrows": Text(
        {"topic": "changes"},
        "The service falls behind: more than ten minutes of events wait in changes",
        "24007 events of changes are not committed. At the pace of the last 15 minutes that is more than ten minutes "
        "of work, and it grows.",
    ),
    "DeadLetters": Text(
        {"reason": "FORBIDDEN"},
        "Changes were given up and wait in the dead-letter topic: FORBIDDEN",
        "About 1 dead letters in the last hour, reason FORBIDDEN. Their contacts are not as the audience says until "
        "somebody mends the cause and replays them.",
    ),
    "RateLimited": Text(
        {"account": "acme"},
        "HubSpot turns away requests of the account acme: its limit is used by more than this service",
        "10% of the requests of 15 minutes were answered 429; between processes that share a limit 1 to 3 % is usual. "
        "Lists get their changes later.",
    ),
    "ErrorRatio": Text(
        {"account": "acme"},
        "Errors come near the 5 % a day that HubSpot allows an app, in the account acme",
        "5% of the requests of 24 hours had an error for an answer. Above 5 % HubSpot may take the app off its "
        "marketplace.",
    ),
    "NotFoundJump": Text(
        OF_VIP,
        f"Many contacts for the list {LISTS} do not exist in HubSpot",
        "50% of the contacts of the last hour were not found, more than twice the share of the day before. They are "
        "not on the list. Deleted contacts, or a wrong identifier slot.",
    ),
    "UnchangedJump": Text(
        OF_VIP,
        f"Most changes for the list {LISTS} change nothing: somebody else may keep it, too",
        "80% of the contacts of the last hour were as asked already, more than twice the share of the day before. "
        "Nothing is wrong on the list, but requests are spent on nothing.",
    ),
    "TokenRefreshFails": Text(
        {"account": "acme"},
        "The service cannot log in to the HubSpot account acme: none of its lists is synced",
        "About 1 refreshes of the access token have failed lately. If HubSpot refuses the refresh token, an admin must "
        "authorize the app anew.",
    ),
    "Restarts": Text(
        {"instance": "a"},
        "A replica restarts again and again: a",
        "3 restarts within 30 minutes. Each reads again what was not committed, and holds commits back for two "
        "minutes.",
    ),
    "Drift": Text(
        {**OF_VIP, "kind": "missing"},
        f"The list {LISTS} is not what the log says: missing",
        "The latest audit found 3 contacts of kind missing.",
    ),
    "AuditFails": Text(
        OF_VIP,
        f"Nobody knows whether the list {LISTS} is right: its audit fails",
        "About 1 audits of the last hour did not come to their end. The log says why.",
    ),
    "FreshnessBurnsFast": Text(
        {},
        "Changes reach their lists too late, and so many that the month's budget is gone within days",
        "30% of the changes took longer than 2 minutes; 1 % in 30 days is what was promised.",
    ),
    "FreshnessBurnsSlowly": Text(
        {},
        "Changes reach their lists too late: at this rate the month's promise is broken",
        "4% of the changes took longer than 2 minutes; 1 % in 30 days is what was promised.",
    ),
}
"""By the alert's name without what all have in common: what is read at the first case in which it alone is on."""

ALERTS = {each.name.removeprefix("HubSpotListSync"): each for each in rules.ALERTS}


def unit(case: Case) -> dict[str, object]:
    """Give a case as promtool reads it."""
    ours = {name if name.startswith("process_") else PREFIX + name: values for name, values in case.series.items()}
    base = {PREFIX + name: values for name, values in case.base.items()}
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in (base | ours).items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{case.minute}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{ALERTS[each].name}"}}', "value": 1} for each in sorted(case.on)
                ],
            }
        ],
    }


def with_text(case: Case, name: str) -> dict[str, object]:
    """Give a case as promtool reads it, with the text of an alert that is on."""
    alert, text = ALERTS[name], TEXTS[name]
    labels = {**text.labels, "severity": alert.severity, **({} if name == "Down" else {"job": "sync"})}
    annotations = {
        "summary": text.summary,
        "description": text.description,
        "runbook_url": f"{rules.RUNBOOK}#{alert.anchor}",
    }
    told = {"exp_labels": labels, "exp_annotations": annotations}
    return {
        **unit(case),
        "alert_rule_test": [{"eval_time": f"{case.minute}m", "alertname": alert.name, "exp_alerts": [told]}],
    }


RECORDED: tuple[tuple[str, Mapping[str, str], str, Mapping[str, float]], ...] = (
    (
        "a partition that two replicas tell of while it changes hands counts once",
        {a("consumer_lag", LAG): "100x9", a("consumer_lag", LAG, "b"): "90x9", a("consumer_lag", LAG_1): "7x9"},
        "topic:hubspot_list_sync_consumer_lag:sum",
        {'{topic="changes"}': 107},
    ),
    (
        "a list has one name, whoever has heard it",
        {},
        "connector:hubspot_list_sync_list_info:one",
        {f'{{{VIP},list_name="VIP",account="acme"}}': 1},
    ),
    (
        "a list that nobody knows the name of is there",
        {a("list_info", 'connector="new",list_id="5",list_name="",account="acme"'): "1x9"},
        'connector:hubspot_list_sync_list_info:one{connector="new"}',
        {'{connector="new",list_id="5",list_name="",account="acme"}': 1},
    ),
    (
        "HubSpot counts the requests of all lists, replicas and audits of an account",
        {
            requests(200): "0+60x9",
            requests(200, "b"): "0+120x9",
            a("audit_requests_total", 'account="acme",status="200"'): "0+60x9",
        },
        "account_status:hubspot_list_sync_requests:rate5m",
        {'{account="acme",status="200"}': 4},
    ),
    (
        "what waits at two replicas waits for one list",
        {a("pending_contacts", VIP): "5x9", a("pending_contacts", VIP, "b"): "6x9"},
        "connector:hubspot_list_sync_pending_contacts:sum",
        {f"{{{VIP}}}": 11},
    ),
    (
        "late is what is not in time",
        changes(0.25, 9),
        "round(connector:hubspot_list_sync_changes_late:rate5m * 60)",
        {'{connector="vip"}': 250},
    ),
)
"""What is told, what Prometheus has seen, what is asked 8 minutes later, and the answer (the job left out)."""


def metrics(case: Case) -> set[str]:
    """Give the names of what Prometheus has seen."""
    return {series.partition("{")[0] for series in case.series}


def promtool(*words: str | Path) -> str:
    """Run promtool; it must find nothing wrong."""
    program = shutil.which("promtool")
    assert program, "this test needs promtool: install Prometheus (Debian: prometheus)"
    return run([program, *words]).decode()


def ask_promtool(folder: Path, every: str, unit: dict[str, object]) -> None:
    """Let promtool play what Prometheus would do. AssertionError with what it says if that is not as expected."""
    file = folder / "unit.yaml"
    # Without an order promtool takes one by chance, and the figures of a text are of this evaluation or the one before.
    order = [group["name"] for group in YAML(typ="safe").load(rules.PLAIN)["groups"]]
    asked = {"rule_files": [str(rules.PLAIN)], "evaluation_interval": every, "group_eval_order": order, "tests": [unit]}
    file.write_text(json.dumps(asked))
    promtool("test", "rules", file)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.told)
def test_alerts_are_on_when_they_should_be(case: Case, tmp_path: Path) -> None:
    """With what Prometheus has seen, these alerts are on and no others, whatever replicas come and go."""
    ask_promtool(tmp_path, case.every, unit(case))


@pytest.mark.parametrize(("told", "seen", "asked", "expected"), RECORDED, ids=[each[0] for each in RECORDED])
def test_what_is_recorded(
    told: str, seen: Mapping[str, str], asked: str, expected: Mapping[str, float], tmp_path: Path
) -> None:
    """A recorded series says what its name says, with any number of replicas."""
    name = "" if "(" in asked else asked.partition("{")[0]
    samples = [
        {"labels": labels.replace("{", f'{name}{{job="sync",', 1), "value": value} for labels, value in expected.items()
    ]
    query = {"expr": asked, "eval_time": "8m", "exp_samples": samples}
    ask_promtool(tmp_path, "1m", {**unit(Case(told, seen, 8)), "promql_expr_test": [query]})


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_can_be_on_and_off_and_says_what_it_means(name: str, tmp_path: Path) -> None:
    """Each alert has a case in which it is on, and one of the same metrics in which it is not; its text has figures."""
    on = [case for case in CASES if case.on == (name,)]
    assert on
    alike = [case for case in CASES if name not in case.on and metrics(case) & metrics(on[0])]
    assert alike or name == "Down"
    ask_promtool(tmp_path, on[0].every, with_text(on[0], name))


def test_both_files_are_what_the_source_says(tmp_path: Path) -> None:
    """Nobody has changed the files by hand, or the source without `make monitoring`."""
    rules.write(tmp_path / "plain.yaml", tmp_path / "kubernetes.yaml")
    assert (tmp_path / "plain.yaml").read_text() == rules.PLAIN.read_text()
    assert (tmp_path / "kubernetes.yaml").read_text() == rules.KUBERNETES.read_text()
    plain, kubernetes = (YAML(typ="safe").load(file) for file in (rules.PLAIN, rules.KUBERNETES))
    assert kubernetes["spec"] == plain


def test_promtool_takes_rules_and_configuration() -> None:
    """Prometheus would start with what compose gives it."""
    assert "37 rules found" in promtool("check", "rules", rules.PLAIN)
    assert "SUCCESS" in promtool("check", "config", ROOT / "deploy" / "prometheus" / "prometheus.yaml")


def test_every_metric_in_a_rule_is_there() -> None:
    """A rule asks for metrics that the service has, histograms by their parts."""
    known = {PREFIX + spec.name for spec in TABLE}
    expressions = [*(each.expr for each in rules.RECORDINGS), *(each.expr for each in rules.ALERTS)]
    asked = {OF_A_HISTOGRAM.sub("", name) for expr in expressions for name in METRIC.findall(expr)}
    assert asked
    assert asked <= known


def test_the_objective_has_its_bucket() -> None:
    """What is fresh enough can be told apart exactly."""
    [buckets] = [spec.buckets for spec in TABLE if spec.name == "event_to_list_seconds"]
    assert float(rules.FRESH_WITHIN) in buckets


def test_every_alert_has_its_section_in_the_runbook() -> None:
    """The link in an alert leads to a heading of the runbook, and no heading is of an alert that is gone."""
    runbook = (ROOT / "deploy" / "runbook.md").read_text("utf-8")
    headings = re.findall(r"^### (HubSpotListSync\w+)$", runbook, re.MULTILINE)
    assert sorted(headings) == sorted(alert.name for alert in rules.ALERTS)
    for alert in rules.ALERTS:
        assert runbook.partition(f"### {alert.name}\n")[2].partition("\n#")[0].strip(), alert.name
