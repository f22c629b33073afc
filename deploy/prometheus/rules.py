"""Recording and alert rules, told once here and written twice: plain, and as a PrometheusRule of Kubernetes.

`python -m deploy.prometheus.rules` writes both files; `make monitoring` does it and the dashboard.

What holds for every rule:

- `job` tells deployments apart: several may sync one account or read one topic. Replicas of a job are added up; of a
  partition's lag, which two replicas may tell at once while it changes hands, the higher counts.
- Rates are taken of each replica's counter before anything is added up, so a restart is no step down.
- What is looked at for a day or longer is added up from recorded rates, so replicas that are gone still count.
- No alert needs a label that another series lends: a list's name is looked up when the text is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

RUNBOOK: Final = "https://git.example.com/hubspot-list-sync/blob/main/deploy/runbook.md"
"""Where people find `deploy/runbook.md`. Set it to your own place, then `make monitoring`."""

NAME: Final = "hubspot-list-sync"
PLAIN: Final = Path(__file__).with_name("rules.yaml")
KUBERNETES: Final = (
    Path(__file__).parents[1] / "kubernetes" / "components" / "prometheus-operator" / "prometheus-rule.yaml"
)

CRITICAL: Final = "critical"  # get somebody now
WARNING: Final = "warning"  # look at it today

OBJECTIVE: Final = 0.99  # of the changes are on their list
FRESH_WITHIN: Final = "120.0"  # seconds; a bucket of event_to_list_seconds
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")  # the last is what the objective is held over

_P: Final = "hubspot_list_sync_"
_LIST: Final = "job, connector, list_id"
_OUTCOMES: Final = ("added", "removed", "unchanged", "not_found", "merged")

LIST_INFO: Final = f"connector:{_P}list_info:one"
CONTACTS: Final = f"connector_outcome:{_P}contacts:rate5m"
PENDING: Final = f"connector:{_P}pending_contacts:sum"
REQUESTS: Final = f"account_status:{_P}requests:rate5m"
LAG: Final = f"topic:{_P}consumer_lag:sum"
CHANGES: Final = f"{_P}changes:rate5m"
LATE: Final = f"{_P}changes_late:rate5m"
LATE_RATIO: Final = f"job:{_P}changes_late:ratio"  # with the window after it


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that Prometheus keeps of an expression. `labels` are added to it."""

    name: str
    expr: str
    labels: tuple[tuple[str, str], ...] = ()

    def rule(self) -> dict[str, Any]:
        """Give it as Prometheus reads it."""
        return {"record": self.name, "expr": self.expr, **({"labels": dict(self.labels)} if self.labels else {})}


@dataclass(frozen=True, slots=True)
class Alert:
    """What a person is told when `expr` has held for `wait`. Both texts are Prometheus templates.

    With `hold` it goes on for so long after `expr` has ceased to hold.
    """

    name: str
    severity: str
    wait: str
    expr: str
    summary: str
    description: str
    hold: str = ""

    @property
    def anchor(self) -> str:
        """The place in the runbook, where the alert's name is a heading."""
        return self.name.lower()

    def rule(self) -> dict[str, Any]:
        """Give it as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.wait,
            **({"keep_firing_for": self.hold} if self.hold else {}),
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{RUNBOOK}#{self.anchor}",
            },
        }


def _sum(by: str, of: str) -> str:
    return f"sum by ({by}) ({of})"


def _ratio(by: str, part: str, whole: str) -> str:
    return f"{_sum(by, part)} / {_sum(by, whole)}"


def _share(outcome: str, span: str) -> str:
    """Give the share of a list's contacts that had this outcome; `span` is a range and maybe an offset."""
    return _ratio(_LIST, f'sum_over_time({CONTACTS}{{outcome="{outcome}"}}{span})', f"sum_over_time({CONTACTS}{span})")


def _jump(outcome: str, above: float, contacts: int) -> str:
    """Give lists whose share of an outcome is above a bound in an hour, and above twice that of the day before.

    So it lasts for a day; then it is what is usual. A list without a day before is held to the bound alone. More than
    `contacts` must have had the outcome in the hour.
    """
    now, before = _share(outcome, "[1h]"), _share(outcome, "[1d] offset 1d")
    counted = _sum(_LIST, f"increase({_P}contacts_{outcome}_total[1h])")
    return f"{now} > {above} unless {now} <= 2 * ({before}) and {counted} > {contacts}"


def _burns(window: str, hours: int, *times_long_short: tuple[float, str, str]) -> str:
    """Give jobs whose error budget goes so many times as fast as would use it up at the end, in both windows.

    More than 20 changes must have been late in `window`, which has so many hours: nobody is called for three.
    """
    burning = " or ".join(
        f"{LATE_RATIO}{long} > {times * (1 - OBJECTIVE):g} and {LATE_RATIO}{short} > {times * (1 - OBJECTIVE):g}"
        for times, long, short in times_long_short
    )
    return f"({burning}) and on (job) avg_over_time(job:{LATE}[{window}]) * {hours * 3600} > 20"


def _in_time() -> str:
    bucket = f'{_P}event_to_list_seconds_bucket{{le="{FRESH_WITHIN}"}}'
    return _sum("job, connector", f"rate({bucket}[5m])")


RECORDINGS: Final = (
    # One name for each list, whatever its replicas have heard; empty until one of them has.
    Recording(
        LIST_INFO,
        f'topk by ({_LIST}) (1, max by ({_LIST}, list_name, account) ({_P}list_info{{list_name!=""}}))'
        f" or on ({_LIST}) topk by ({_LIST}) (1, max by ({_LIST}, list_name, account) ({_P}list_info))",
    ),
    *(
        Recording(CONTACTS, _sum(_LIST, f"rate({_P}contacts_{outcome}_total[5m])"), (("outcome", outcome),))
        for outcome in _OUTCOMES
    ),
    Recording(PENDING, _sum(_LIST, f"{_P}pending_contacts")),
    # Audits ask the same account, and HubSpot counts them alike.
    Recording(
        REQUESTS,
        _sum(
            "job, account, status",
            f"rate({_P}requests_total[5m]) * on (job, instance, connector, list_id) group_left (account)"
            f" {_P}list_info or rate({_P}audit_requests_total[5m])",
        ),
    ),
    Recording(LAG, _sum("job, topic", f"max by (job, topic, partition) ({_P}consumer_lag)")),
    Recording(f"connector:{CHANGES}", _sum("job, connector", f"rate({_P}event_to_list_seconds_count[5m])")),
    # Near a counter's beginning both rates are reckoned a little differently, which must not come out below 0.
    Recording(f"connector:{LATE}", f"clamp_min(connector:{CHANGES} - {_in_time()}, 0)"),
    Recording(f"job:{CHANGES}", _sum("job", f"connector:{CHANGES}")),
    Recording(f"job:{LATE}", _sum("job", f"connector:{LATE}")),
    *(
        Recording(
            f"{LATE_RATIO}{window}", f"sum_over_time(job:{LATE}[{window}]) / sum_over_time(job:{CHANGES}[{window}])"
        )
        for window in WINDOWS
    ),
)

_WHICH: Final = (
    '{{ with printf "' + _P + "list_info{connector='%s',list_name!=''}\" $labels.connector | query }}"
    '{{ . | first | label "list_name" }} {{ end }}(connector {{ $labels.connector }}, list {{ $labels.list_id }})'
)
_NUMBER: Final = '{{ $value | printf "%.0f" }}'
_PERCENT: Final = "{{ $value | humanizePercentage }}"

_ONE_LISTS: Final = f"max by ({_LIST}, reason) ({_P}needs_attention"
_ERRORS: Final = f'sum_over_time({REQUESTS}{{status=~"[45].."}}[1d])'
_REFRESHES: Final = f"increase({_P}token_refreshes_total"
_FAST: Final = _burns("1h", 1, (14.4, "1h", "5m"), (6, "6h", "30m"))

ALERTS: Final = (
    Alert(
        "HubSpotListSyncDown",
        CRITICAL,
        "5m",
        # One of several deployments is missed for an hour, which is time enough to see that it is; that none is there
        # at all, as long as it lasts.
        f"count by (job) ({_P}build_info offset 1h) unless on (job) {_P}build_info"
        f" or (absent({_P}build_info) unless on () {_P}build_info offset 1h)",
        "No HubSpot list is synced{{ with $labels.job }} by {{ . }}{{ end }}: the service does not run, or nobody sees "
        "it run",
        "Prometheus has found no replica for 5 minutes. Nothing is lost: changes wait in Kafka as long as its "
        "retention lasts.",
        hold="10m",
    ),
    Alert(
        "HubSpotListSyncNeedsAttention",
        WARNING,
        "2m",
        f'{_ONE_LISTS}{{connector!=""}}) == 1',
        f"The list {_WHICH} stands still until somebody acts: {{{{ $labels.reason }}}}",
        "HubSpot refuses the list or its account, or the guard holds it. All other lists go on. The status page and "
        "the log have HubSpot's words and the correlation id for its support.",
    ),
    Alert(
        "HubSpotListSyncPartitionStands",
        CRITICAL,
        "1m",
        f'max by (job, reason) ({_P}needs_attention{{connector=""}}) == 1',
        "A partition stands still: where the service wants to go on reading, the topic begins later",
        "Reason {{ $labels.reason }}: retention has passed the committed offset, or the topic was made anew. The "
        "service does not jump, for that would lose changes silently; a person decides where to go on.",
    ),
    Alert(
        "HubSpotListSyncNothingApplied",
        WARNING,
        "10m",
        f"{PENDING} > 0 unless on ({_LIST}) "
        + _sum(_LIST, f'increase({_P}requests_total{{status=~"2.."}}[10m])')
        + f" > 0 unless on ({_LIST}) max by ({_LIST}) ({_P}needs_attention) == 1",
        f"Changes wait for the list {_WHICH}, and none gets through",
        f"{_NUMBER} contacts wait, and no request for them has succeeded for more than 10 minutes.",
    ),
    Alert(
        "HubSpotListSyncLagGrows",
        WARNING,
        "5m",
        f"{LAG} > 1000 and {LAG} > 600 * "
        + _sum("job, topic", f"rate({_P}events_consumed_total[15m])")
        + f" and deriv({LAG}[15m]) > 0",
        "The service falls behind: more than ten minutes of events wait in {{ $labels.topic }}",
        f"{_NUMBER} events of {{{{ $labels.topic }}}} are not committed. At the pace of the last 15 minutes that is "
        "more than ten minutes of work, and it grows.",
    ),
    Alert(
        "HubSpotListSyncDeadLetters",
        WARNING,
        "0m",
        _sum("job, reason", f"increase({_P}dead_letters_total[1h])") + " > 0",
        "Changes were given up and wait in the dead-letter topic: {{ $labels.reason }}",
        f"About {_NUMBER} dead letters in the last hour, reason {{{{ $labels.reason }}}}. Their contacts are not as "
        "the audience says until somebody mends the cause and replays them.",
    ),
    Alert(
        "HubSpotListSyncRateLimited",
        WARNING,
        "15m",
        _ratio("job, account", f'sum_over_time({REQUESTS}{{status="429"}}[15m])', f"sum_over_time({REQUESTS}[15m])")
        + " > 0.05",
        "HubSpot turns away requests of the account {{ $labels.account }}: its limit is used by more than this service",
        f"{_PERCENT} of the requests of 15 minutes were answered 429; between processes that share a limit 1 to 3 % is "
        "usual. Lists get their changes later.",
    ),
    Alert(
        "HubSpotListSyncErrorRatio",
        WARNING,
        "30m",
        _ratio("job, account", _ERRORS, f"sum_over_time({REQUESTS}[1d])") + " > 0.04",
        "Errors come near the 5 % a day that HubSpot allows an app, in the account {{ $labels.account }}",
        f"{_PERCENT} of the requests of 24 hours had an error for an answer. Above 5 % HubSpot may take the app off "
        "its marketplace.",
    ),
    Alert(
        "HubSpotListSyncNotFoundJump",
        WARNING,
        "10m",
        _jump("not_found", 0.2, 20),
        f"Many contacts for the list {_WHICH} do not exist in HubSpot",
        f"{_PERCENT} of the contacts of the last hour were not found, more than twice the share of the day before. "
        "They are not on the list. Deleted contacts, or a wrong identifier slot.",
    ),
    Alert(
        "HubSpotListSyncUnchangedJump",
        WARNING,
        "10m",
        _jump("unchanged", 0.5, 100),
        f"Most changes for the list {_WHICH} change nothing: somebody else may keep it, too",
        f"{_PERCENT} of the contacts of the last hour were as asked already, more than twice the share of the day "
        "before. Nothing is wrong on the list, but requests are spent on nothing.",
    ),
    Alert(
        "HubSpotListSyncTokenRefreshFails",
        CRITICAL,
        "0m",
        _sum("job, account", f'{_REFRESHES}{{outcome="refused"}}[30m])')
        + " > 0 or "
        + _sum("job, account", f'{_REFRESHES}{{outcome="failed"}}[15m])')
        + " > 5",
        "The service cannot log in to the HubSpot account {{ $labels.account }}: none of its lists is synced",
        f"About {_NUMBER} refreshes of the access token have failed lately. If HubSpot refuses the refresh token, "
        "an admin must authorize the app anew.",
    ),
    Alert(
        "HubSpotListSyncRestarts",
        WARNING,
        "0m",
        f"changes(process_start_time_seconds[30m]) > 2 and on (job, instance) count_over_time({_P}build_info[30m]) > 0",
        "A replica restarts again and again: {{ $labels.instance }}",
        f"{_NUMBER} restarts within 30 minutes. Each reads again what was not committed, and holds commits back for "
        "two minutes.",
        hold="10m",
    ),
    Alert(
        "HubSpotListSyncDrift",
        WARNING,
        "0m",
        f"max by ({_LIST}, kind) ({_P}audit_contacts" + '{kind=~"missing|left|given_up"}) > 0',
        f"The list {_WHICH} is not what the log says: {{{{ $labels.kind }}}}",
        f"The latest audit found {_NUMBER} contacts of kind {{{{ $labels.kind }}}}.",
        # Whoever audits next shows 0 until it has audited, five minutes after it got the partition.
        hold="15m",
    ),
    Alert(
        "HubSpotListSyncAuditFails",
        WARNING,
        "0m",
        _sum(_LIST, f"increase({_P}audit_failures_total[1h])") + " > 0",
        f"Nobody knows whether the list {_WHICH} is right: its audit fails",
        f"About {_NUMBER} audits of the last hour did not come to their end. The log says why.",
    ),
    Alert(
        "HubSpotListSyncFreshnessBurnsFast",
        CRITICAL,
        "2m",
        _FAST,
        "Changes reach their lists too late, and so many that the month's budget is gone within days",
        f"{_PERCENT} of the changes took longer than 2 minutes; 1 % in 30 days is what was promised.",
    ),
    Alert(
        "HubSpotListSyncFreshnessBurnsSlowly",
        WARNING,
        "15m",
        f"({_burns('6h', 6, (3, '1d', '2h'), (1, '3d', '6h'))}) unless ({_FAST})",
        "Changes reach their lists too late: at this rate the month's promise is broken",
        f"{_PERCENT} of the changes took longer than 2 minutes; 1 % in 30 days is what was promised.",
    ),
)


def groups() -> dict[str, Any]:
    """Give the rules as a Prometheus rules file has them: what is recorded first, so that alerts find it."""
    return {
        "groups": [
            {"name": f"{NAME}.recordings", "rules": [each.rule() for each in RECORDINGS]},
            {"name": f"{NAME}.alerts", "rules": [each.rule() for each in ALERTS]},
        ]
    }


def resource() -> dict[str, Any]:
    """Give the same as a PrometheusRule."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": NAME}},
        "spec": groups(),
    }


def write(plain: Path = PLAIN, kubernetes: Path = KUBERNETES) -> None:
    """Write both files."""
    yaml = YAML()
    yaml.width = 110
    for file, content in ((plain, groups()), (kubernetes, resource())):
        with file.open("w", encoding="utf-8") as out:
            out.write("# Written by `make monitoring` from deploy/prometheus/rules.py: change it there.\n")
            yaml.dump(content, out)


if __name__ == "__main__":
    write()
