"""What the dashboard shows, and the queries behind it.

Two readers: whoever fills lists finds them by name in the first row, and whoever runs the service all else below. A
query names metrics of the service, or what `deploy/prometheus/rules.py` records of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from deploy.prometheus import rules
from deploy.prometheus.rules import LIST_INFO, OBJECTIVE, PENDING, REQUESTS

_P: Final = "hubspot_list_sync_"
_JOB: Final = 'job=~"$job"'
_OF: Final = 'job=~"$job",connector=~"$connector",list_id=~"$list"'
_CONNECTOR: Final = 'job=~"$job",connector=~"$connector"'
_LIST: Final = "job, connector, list_id"
_NAMED_LIST: Final = f"{_LIST}, list_name"
_LIST_LEGEND: Final = "{{list_name}} ({{connector}})"
_OURS: Final = f"and on (job, instance) {_P}build_info"
RESTARTS: Final = f"changes(process_start_time_seconds{{{_JOB}}}[2m]) > 0 {_OURS}"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression. `legend` names its series; in a table it is the head of its column, which is left out without."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. Above `limit` it is red, or with `least` below it. `alert` is the one that goes with it."""

    kind: Literal["graph", "bars", "stat", "table"]
    title: str
    text: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    limit: float | None = None
    least: bool = False
    alert: str = ""


def _rate(metric: str, by: str, selector: str, times: str = "") -> str:
    return f"sum by ({by}) (rate({_P}{metric}{{{selector}}}[$__rate_interval])){times}"


def _grown(metric: str, by: str, selector: str) -> str:
    return f"sum by ({by}) (increase({_P}{metric}{{{selector}}}[$__range]))"


def _named(expr: str) -> str:
    """Add the list's name to what is told by list."""
    return f"({expr}) * on ({_LIST}) group_left (list_name) {LIST_INFO}"


def _named_or_not(expr: str) -> str:
    """Add the list's name where there is a list; what concerns the service has none."""
    return f"{_named(expr)} or on ({_LIST}, reason) ({expr})"


def _of_its_list(expr: str) -> str:
    """Add list and name to what is told by connector."""
    return f"sum by ({_NAMED_LIST}) ({LIST_INFO}{{{_OF}}} * on (job, connector) group_left () ({expr}))"


def _quantile(share: float, metric: str) -> str:
    inner = f"sum by (job, connector, le) (rate({_P}{metric}_bucket{{{_CONNECTOR}}}[$__rate_interval]))"
    return f"histogram_quantile({share}, {inner})"


def _in_time() -> str:
    """Give the share of each connector's changes that were on the list soon enough, over the time shown."""
    name = "event_to_list_seconds"
    soon = _grown(f"{name}_bucket", "job, connector", f'{_CONNECTOR},le="{rules.FRESH_WITHIN}"')
    return f"{soon} / {_grown(f'{name}_count', 'job, connector', _CONNECTOR)}"


def _of_all(status: str) -> str:
    """Give the share of an account's requests of the last day with such a status."""
    whole = f"sum by (job, account) (sum_over_time({REQUESTS}{{{_JOB}}}[1d]))"
    part = f'sum by (job, account) (sum_over_time({REQUESTS}{{{_JOB},status=~"{status}"}}[1d]))'
    return f"{part} / {whole}"


_FOR_LISTS: Final = (
    Panel(
        "table",
        "Lists",
        "Each list over the time shown: who was added, removed or not found in HubSpot, how many wait now, and the "
        "share of changes that were on the list within two minutes.",
        "short",
        (
            Query(_named(_grown("contacts_added_total", _LIST, _OF)), "Added"),
            Query(_named(_grown("contacts_removed_total", _LIST, _OF)), "Removed"),
            Query(_named(_grown("contacts_not_found_total", _LIST, _OF)), "Not found"),
            Query(_named(f"{PENDING}{{{_OF}}}"), "Waiting"),
            Query(_of_its_list(_in_time()), "Within 2 minutes"),
        ),
        width=16,
    ),
    Panel(
        "table",
        "Stands still",
        "Lists that wait for a person, and why. The runbook says what to do; all other lists go on.",
        "short",
        (Query(_named_or_not(f"max by ({_LIST}, reason) ({_P}needs_attention{{{_CONNECTOR}}}) > 0"), ""),),
        alert="HubSpotListSyncNeedsAttention",
    ),
    Panel(
        "bars",
        "Added and removed, each minute",
        "Contacts that HubSpot added to the list (up) and took off it (down).",
        "short",
        (
            Query(_named(_rate("contacts_added_total", _LIST, _OF, " * 60")), f"{_LIST_LEGEND} added"),
            Query(_named(_rate("contacts_removed_total", _LIST, _OF, " * -60")), f"{_LIST_LEGEND} removed"),
        ),
        width=12,
    ),
    Panel(
        "graph",
        "Waiting",
        "Contacts whose change is read and not yet on the list.",
        "short",
        (Query(_named(f"{PENDING}{{{_OF}}}"), _LIST_LEGEND),),
        width=12,
        alert="HubSpotListSyncNothingApplied",
    ),
    Panel(
        "graph",
        "Freshness: 95 of 100 changes are on the list within",
        "Time from the event to HubSpot's answer. What waits and has had no answer is not in it.",
        "s",
        (Query(_of_its_list(_quantile(0.95, "event_to_list_seconds")), _LIST_LEGEND),),
        limit=float(rules.FRESH_WITHIN),
        alert="HubSpotListSyncFreshnessBurnsFast",
    ),
    Panel(
        "graph",
        "Not found in HubSpot, each minute",
        "Contacts that do not exist in the account: deleted there, or the events carry a wrong identifier.",
        "short",
        (Query(_named(_rate("contacts_not_found_total", _LIST, _OF, " * 60")), _LIST_LEGEND),),
        alert="HubSpotListSyncNotFoundJump",
    ),
    Panel(
        "graph",
        "Already so, each minute",
        "Contacts that were as asked before. Many after a restart; many all the time: somebody else keeps the list.",
        "short",
        (Query(_named(_rate("contacts_unchanged_total", _LIST, _OF, " * 60")), _LIST_LEGEND),),
        alert="HubSpotListSyncUnchangedJump",
    ),
)

_PROMISE: Final = (
    Panel(
        "stat",
        "In time, of 30 days",
        f"Share of changes that were on the list within two minutes; {OBJECTIVE:.0%} is what is promised.",
        "percentunit",
        (Query(f"1 - {rules.LATE_RATIO}30d{{{_JOB}}}", "{{job}}"),),
        width=4,
        limit=OBJECTIVE,
        least=True,
    ),
    Panel(
        "stat",
        "Budget left",
        "Late changes that the promise still allows; below 0 it is broken.",
        "percentunit",
        (Query(f"1 - {rules.LATE_RATIO}30d{{{_JOB}}} / {1 - OBJECTIVE:g}", "{{job}}"),),
        width=4,
        limit=0.25,
        least=True,
    ),
    Panel(
        "graph",
        "Budget burnt, times as fast as it lasts",
        "At 1 the budget is used up when the 30 days are over; at 14.4 in two days.",
        "short",
        tuple(
            Query(f"{rules.LATE_RATIO}{window}{{{_JOB}}} / {1 - OBJECTIVE:g}", f"{{{{job}}}} {window}")
            for window in ("1h", "6h", "3d")
        ),
        limit=14.4,
        alert="HubSpotListSyncFreshnessBurnsFast",
    ),
    Panel(
        "table",
        "Alerts that are on",
        "What Prometheus tells people at present.",
        "short",
        (
            Query(
                f'max by (alertname, severity, connector, account, reason) (ALERTS{{{_JOB},alertstate="firing"}})', ""
            ),
        ),
    ),
)

_FLOW: Final = (
    Panel(
        "graph",
        "Lag",
        "Events between the committed offset and the end of each partition. After a takeover it waits for two minutes.",
        "short",
        (Query(f"max by (job, topic, partition) ({_P}consumer_lag{{{_JOB}}})", "{{topic}}/{{partition}}"),),
        alert="HubSpotListSyncLagGrows",
    ),
    Panel(
        "graph",
        "Events, each second",
        "Read, superseded inside a window, and skipped by reason. A jump of no_identifier is a wrong slot, of unrouted "
        "a wrong source.",
        "eps",
        (
            Query(_rate("events_consumed_total", "job", _JOB), "read"),
            Query(_rate("events_collapsed_total", "job", _OF), "collapsed"),
            Query(_rate("events_skipped_total", "job, reason", _JOB), "skipped: {{reason}}"),
        ),
    ),
    Panel(
        "bars",
        "Windows, each minute",
        "Windows that left, by what made them leave. Mostly size: a backlog.",
        "short",
        (Query(_rate("window_flushes_total", "job, trigger", _OF, " * 60"), "{{trigger}}"),),
    ),
    Panel(
        "bars",
        "Dead letters, by reason",
        "Changes that were given up. Any of them needs a person.",
        "short",
        (Query(f"sum by (job, reason) (increase({_P}dead_letters_total{{{_JOB}}}[$__rate_interval]))", "{{reason}}"),),
        alert="HubSpotListSyncDeadLetters",
    ),
    Panel(
        "graph",
        "Contacts waiting, and reading paused",
        "All contacts in memory. At limits.max_pending_contacts reading pauses (1) until half of them are gone.",
        "short",
        (
            Query(f"sum by (job) ({PENDING}{{{_JOB}}})", "waiting"),
            Query(f"max by (job) ({_P}consumer_paused{{{_JOB}}})", "paused"),
        ),
    ),
    Panel(
        "graph",
        "Differ from the log, at the latest audit",
        "missing, left and given_up are drift; the others are explained in the README.",
        "short",
        (
            Query(
                _named(f"max by ({_LIST}, kind) ({_P}audit_contacts{{{_OF}}})"),
                f"{_LIST_LEGEND} {{{{kind}}}}",
            ),
        ),
        alert="HubSpotListSyncDrift",
    ),
)

_HUBSPOT: Final = (
    Panel(
        "bars",
        "Requests by status, each minute",
        "What HubSpot answered; timeout and connection_error are ours.",
        "short",
        (Query(_rate("requests_total", "job, status", _OF, " * 60"), "{{status}}"),),
    ),
    Panel(
        "graph",
        "HubSpot's answer takes",
        "From sending to the answer: one half of the requests is faster than the lower line, 95 of 100 than the upper.",
        "s",
        (
            Query(_quantile(0.5, "request_duration_seconds"), "{{connector}} half"),
            Query(_quantile(0.95, "request_duration_seconds"), "{{connector}} 95 %"),
        ),
    ),
    Panel(
        "bars",
        "Tried again, by reason, each minute",
        "Requests whose changes went back to their window, to be sent later with what is newer.",
        "short",
        (Query(_rate("retries_total", "job, reason", _CONNECTOR, " * 60"), "{{reason}}"),),
    ),
    Panel(
        "graph",
        "Rate limit",
        "What HubSpot says is left, and what the replicas take in ten seconds, all together.",
        "short",
        (
            Query(f"min by (job, account) ({_P}rate_limit_remaining{{{_JOB}}})", "{{account}} left"),
            Query(f"sum by (job, account) ({_P}rate_limit_requests_per_10s{{{_JOB}}})", "{{account}} taken"),
        ),
        alert="HubSpotListSyncRateLimited",
    ),
    Panel(
        "graph",
        "Errors of a day's requests",
        "HubSpot wants less than 5 % of an app. 429 is among them, and drawn by itself, too.",
        "percentunit",
        (Query(_of_all("[45].."), "{{account}} errors"), Query(_of_all("429"), "{{account}} 429")),
        limit=0.04,
        alert="HubSpotListSyncErrorRatio",
    ),
    Panel(
        "bars",
        "Token refreshes",
        "ok about twice an hour for each replica. refused: an admin must authorize the app anew.",
        "short",
        (
            Query(
                f"sum by (job, account, outcome) (increase({_P}token_refreshes_total{{{_JOB}}}[$__rate_interval]))",
                "{{account}} {{outcome}}",
            ),
        ),
        alert="HubSpotListSyncTokenRefreshFails",
    ),
)

_REPLICAS: Final = (
    Panel(
        "bars",
        "Rebalances",
        "Partitions given to a replica, taken from it, or lost after it was away for too long.",
        "short",
        (
            Query(
                f"sum by (job, kind) (increase({_P}rebalances_total{{{_JOB}}}[$__rate_interval]))",
                "{{kind}}",
            ),
        ),
    ),
    Panel(
        "graph",
        "Memory",
        "Resident memory of each replica.",
        "bytes",
        (Query(f"process_resident_memory_bytes{{{_JOB}}} {_OURS}", "{{instance}}"),),
    ),
    Panel(
        "graph",
        "Processor",
        "Cores that each replica uses.",
        "short",
        (Query(f"rate(process_cpu_seconds_total{{{_JOB}}}[$__rate_interval]) {_OURS}", "{{instance}}"),),
    ),
    Panel(
        "graph",
        "Runs for",
        "Time since each replica was started; a fall is a restart.",
        "s",
        (Query(f"time() - process_start_time_seconds{{{_JOB}}} {_OURS}", "{{instance}}"),),
        alert="HubSpotListSyncRestarts",
    ),
    Panel(
        "table",
        "Builds",
        "What runs where.",
        "short",
        (Query(f"max by (job, instance, version, python, librdkafka) ({_P}build_info{{{_JOB}}})", ""),),
        width=16,
    ),
)

ROWS: Final = (
    ("Lists", _FOR_LISTS),
    ("The promise: 99 % of changes on the list within 2 minutes", _PROMISE),
    ("Flow", _FLOW),
    ("HubSpot", _HUBSPOT),
    ("Replicas", _REPLICAS),
)

VARIABLES: Final = (
    ("job", "Deployment", f"label_values({_P}build_info, job)", ""),
    ("connector", "Connector", f"label_values({_P}list_info{{{_JOB}}}, connector)", ""),
    (
        "list",
        "List",
        f"query_result({LIST_INFO}{{{_CONNECTOR}}})",
        '/list_id="(?<value>[^"]*)".*list_name="(?<text>[^"]*)"/',
    ),
)
