"""Every metric of the service, declared once in TABLE.

Rules. A series whose labels are known is there with 0 before anything happens, so `rate` and `increase` see
the first step. What is no longer true is removed: a revoked partition, a list's old name. The loop's thread
writes; the admin server's threads only read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from prometheus_client import Counter, Gauge, disable_created_metrics
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from consumer.drift import Kind
from consumer.histogram import Histogram
from consumer.not_found import ENDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import CollectorRegistry

    from consumer.not_found import End

# The client adds a `_created` twin to every counter; nobody reads it, and it would double the size of a scrape.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the client leaves this one function untyped

PREFIX: Final = "hubspot_list_sync_"

FLUSH_TRIGGERS: Final = ("age", "size", "drain", "revoke")
REBALANCE_KINDS: Final = ("assigned", "revoked", "lost")
REFRESH_OUTCOMES: Final = ("ok", "failed", "refused")
TRANSITIONS: Final = ("ENTER", "EXIT")
AUDIT_KINDS: Final = tuple(kind.value for kind in Kind)

# 429 too, so that the first ones count for whoever looks at their share.
_KNOWN_STATUSES: Final = ("200", "429", "timeout", "connection_error")
_CONNECTOR_SKIPS: Final = ("no_identifier", "disabled")
_SERVICE_SKIPS: Final = (*(("", "unrouted", transition) for transition in TRANSITIONS), ("", "tombstone", ""))


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric: its name after PREFIX, what it means when it moves, and for a histogram its bounds in seconds."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


_LIST: Final = ("connector", "list_id")

TABLE: Final = (
    Spec("contacts_added_total", "counter", _LIST, "Contacts that HubSpot added to the list; rises as profiles enter."),
    Spec(
        "contacts_removed_total", "counter", _LIST, "Contacts that HubSpot took off the list; rises as profiles leave."
    ),
    Spec(
        "contacts_not_found_total",
        "counter",
        _LIST,
        "Contacts that do not exist in the HubSpot account; a steady rise means deleted contacts or a wrong slot.",
    ),
    Spec(
        "contacts_unchanged_total",
        "counter",
        _LIST,
        "Contacts that already were as asked; rises after a restart, a retry or a change made by hand in HubSpot.",
    ),
    Spec(
        "contacts_merged_total",
        "counter",
        _LIST,
        "Contacts that HubSpot has merged into others, and changed under the survivors' ids; they are as asked.",
    ),
    Spec(
        "contacts_unexpected_total",
        "counter",
        _LIST,
        "Record ids in HubSpot's answer that were not sent and are not known to be merged contacts' survivors.",
    ),
    Spec(
        "contacts_failed_total",
        "counter",
        (*_LIST, "reason"),
        "Contacts given up and written to the dead-letter topic; any rise needs a person.",
    ),
    Spec(
        "requests_total",
        "counter",
        (*_LIST, "status"),
        "Requests to HubSpot that ended, by HTTP status, `timeout` or `connection_error`.",
    ),
    Spec(
        "request_duration_seconds",
        "histogram",
        ("connector",),
        "Time from sending a request to HubSpot's answer; grows when HubSpot is slow or batches are large.",
        (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    ),
    Spec(
        "retries_total",
        "counter",
        ("connector", "reason"),
        "Batches folded back into their window to be sent later; rises while HubSpot is down or limits the account.",
    ),
    Spec(
        "not_found_retries_total",
        "counter",
        (*_LIST, "outcome"),
        "Contacts tried again because they were not found; `found` rises when events are ahead of HubSpot's contacts.",
    ),
    Spec(
        "rate_limit_remaining",
        "gauge",
        ("account",),
        "Requests the account may still send in the present interval; at 0 windows grow until the next one.",
    ),
    Spec(
        "rate_limit_requests_per_10s",
        "gauge",
        ("account",),
        "Requests this process takes in ten seconds: the configured share, less while 429s tell of others.",
    ),
    Spec(
        "token_refreshes_total",
        "counter",
        ("account", "outcome"),
        "OAuth token refreshes: `ok`, `failed` (tried again), `refused` (somebody must authorize the app anew).",
    ),
    Spec(
        "needs_attention",
        "gauge",
        (*_LIST, "reason"),
        "1 from a terminal failure of the list until its next success, or while the guard holds it (HELD); without a "
        "list, the service itself.",
    ),
    Spec(
        "last_success_timestamp_seconds",
        "gauge",
        _LIST,
        "Unix time of the list's latest successful request; 0 until the first one of this process.",
    ),
    Spec(
        "list_info",
        "gauge",
        (*_LIST, "list_name", "account"),
        "Always 1; joins a list's name and account to its other series. The name is empty until HubSpot told it.",
    ),
    Spec("build_info", "gauge", ("version", "python", "librdkafka"), "Always 1; which build is running."),
    Spec("events_consumed_total", "counter", ("topic",), "Events read from the topic; flat while events are waiting."),
    Spec(
        "events_skipped_total",
        "counter",
        ("connector", "reason", "transition"),
        "Events that ask for no request; a jump of `no_identifier` means a wrong slot, of `unrouted` a wrong source.",
    ),
    Spec(
        "events_collapsed_total",
        "counter",
        _LIST,
        "Events superseded inside a window by a newer one of the same contact; each is a change saved.",
    ),
    Spec(
        "dead_letters_total",
        "counter",
        ("reason",),
        "Messages acknowledged by the dead-letter topic; any rise needs a person.",
    ),
    Spec(
        "pending_contacts",
        "gauge",
        _LIST,
        "Contacts read but not finished; grows when events arrive faster than HubSpot takes them.",
    ),
    Spec(
        "window_flushes_total",
        "counter",
        (*_LIST, "trigger"),
        "Windows taken: by `age`, by `size`, to `drain` at a stop, before a `revoke`; mostly `size` means a backlog.",
    ),
    Spec(
        "event_to_list_seconds",
        "histogram",
        ("connector",),
        "Age of an event, by Kafka's timestamp, when HubSpot answered; near window.max_age when all is well.",
        (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0),
    ),
    Spec(
        "consumer_lag",
        "gauge",
        ("topic", "partition"),
        "Events between the committed offset and the end of the partition; steady growth means falling behind.",
    ),
    Spec(
        "consumer_paused",
        "gauge",
        (),
        "1 while reading is paused because limits.max_pending_contacts is reached.",
    ),
    Spec(
        "rebalances_total",
        "counter",
        ("kind",),
        "Rebalances of this member: partitions `assigned`, `revoked`, or `lost` after it was away too long.",
    ),
    Spec(
        "audit_contacts",
        "gauge",
        (*_LIST, "kind"),
        "Contacts by which list and log differed at the latest audit; see the README for the kinds that are drift.",
    ),
    Spec(
        "audit_timestamp_seconds",
        "gauge",
        _LIST,
        "Unix time of the list's latest audit; 0 until the first of the member that audits, which alone has a series.",
    ),
    Spec(
        "audit_failures_total",
        "counter",
        _LIST,
        "Audits of the list that did not come to their end; the log says why.",
    ),
    Spec(
        "audit_requests_total",
        "counter",
        ("account", "status"),
        "Requests to HubSpot of audits, by HTTP status, `timeout` or `connection_error`.",
    ),
)


class _Families:
    """The metric families of TABLE, by kind and by name after PREFIX."""

    __slots__ = ("counters", "gauges", "histograms")

    def __init__(self, registry: CollectorRegistry) -> None:
        self.counters: dict[str, Counter] = {}
        self.gauges: dict[str, Gauge] = {}
        self.histograms: dict[str, Histogram] = {}
        for spec in TABLE:
            name = PREFIX + spec.name
            match spec.kind:
                case "counter":
                    self.counters[spec.name] = Counter(name, spec.help, spec.labels, registry=registry)
                case "gauge":
                    self.gauges[spec.name] = Gauge(name, spec.help, spec.labels, registry=registry)
                case "histogram":
                    self.histograms[spec.name] = Histogram(name, spec.help, spec.labels, spec.buckets, registry)


class ListMetrics:
    """The series of one connector and its list, bound once so that the hot path looks nothing up.

    Attributes are counters (`inc(n)`), gauges (`set(value)`) and histograms (`observe(seconds)`).
    """

    __slots__ = (
        "_account",
        "_attention",
        "_audits",
        "_connector",
        "_families",
        "_flushes",
        "_list_id",
        "_name",
        "_requests",
        "_tries",
        "contacts_added",
        "contacts_merged",
        "contacts_not_found",
        "contacts_removed",
        "contacts_unchanged",
        "contacts_unexpected",
        "event_to_list",
        "events_collapsed",
        "last_success",
        "pending_contacts",
        "request_duration",
    )

    def __init__(self, families: _Families, connector: str, list_id: int, account: str) -> None:
        counters, gauges, histograms = families.counters, families.gauges, families.histograms
        self._families = families
        self._connector, self._list_id, self._account = connector, list_id, account
        self.contacts_added = counters["contacts_added_total"].labels(connector, list_id)
        self.contacts_removed = counters["contacts_removed_total"].labels(connector, list_id)
        self.contacts_not_found = counters["contacts_not_found_total"].labels(connector, list_id)
        self.contacts_unchanged = counters["contacts_unchanged_total"].labels(connector, list_id)
        self.contacts_merged = counters["contacts_merged_total"].labels(connector, list_id)
        self.contacts_unexpected = counters["contacts_unexpected_total"].labels(connector, list_id)
        self.events_collapsed = counters["events_collapsed_total"].labels(connector, list_id)
        self.pending_contacts = gauges["pending_contacts"].labels(connector, list_id)
        self.last_success = gauges["last_success_timestamp_seconds"].labels(connector, list_id)
        self.event_to_list = histograms["event_to_list_seconds"].labels(connector)
        self.request_duration = histograms["request_duration_seconds"].labels(connector)
        self._flushes = {
            trigger: counters["window_flushes_total"].labels(connector, list_id, trigger) for trigger in FLUSH_TRIGGERS
        }
        self._requests: dict[int | str, Counter] = {
            status: counters["requests_total"].labels(connector, list_id, status) for status in _KNOWN_STATUSES
        }
        for reason in _CONNECTOR_SKIPS:
            for transition in TRANSITIONS:
                counters["events_skipped_total"].labels(connector, reason, transition)
        self._tries = {end: counters["not_found_retries_total"].labels(connector, list_id, end) for end in ENDS}
        counters["audit_failures_total"].labels(connector, list_id)
        self._audits = False
        self._attention: dict[str, Gauge] = {}
        self._name = ""
        gauges["list_info"].labels(connector, list_id, self._name, account).set(1)

    def failed(self, reason: str, contacts: int) -> None:
        """Count contacts whose change was given up for this reason."""
        self._families.counters["contacts_failed_total"].labels(self._connector, self._list_id, reason).inc(contacts)

    def request(self, status: int | str) -> None:
        """Count a request that ended with this HTTP status, `timeout` or `connection_error`."""
        if status not in self._requests:
            family = self._families.counters["requests_total"]
            self._requests[status] = family.labels(self._connector, self._list_id, status)
        self._requests[status].inc()

    def retry(self, reason: str) -> None:
        """Count a batch that goes back to its window for this reason."""
        self._families.counters["retries_total"].labels(self._connector, reason).inc()

    def not_found_retries(self, end: End, contacts: int) -> None:
        """Count contacts that were tried again, or were to be, and ended so."""
        self._tries[end].inc(contacts)

    def flush(self, trigger: Literal["age", "size", "drain", "revoke"]) -> None:
        """Count a window taken on this trigger."""
        self._flushes[trigger].inc()

    def needs_attention(self, reason: str, on: bool) -> None:  # noqa: FBT001 - the value of the gauge, not a mode
        """Raise or clear one reason; a reason that was never raised has no series."""
        if on and reason not in self._attention:
            family = self._families.gauges["needs_attention"]
            self._attention[reason] = family.labels(self._connector, self._list_id, reason)
        if reason in self._attention:
            self._attention[reason].set(on)

    def audits(self, on: bool) -> None:  # noqa: FBT001 - as above
        """Show what audits find, from 0 on, or show nothing of them any more: another member may audit now."""
        contacts, timestamp = (self._families.gauges[f"audit_{name}"] for name in ("contacts", "timestamp_seconds"))
        if on and not self._audits:
            timestamp.labels(self._connector, self._list_id)
            for kind in AUDIT_KINDS:
                contacts.labels(self._connector, self._list_id, kind)
        elif self._audits and not on:
            timestamp.remove(self._connector, self._list_id)
            for kind in AUDIT_KINDS:
                contacts.remove(self._connector, self._list_id, kind)
        self._audits = on

    def audited(self, counts: Mapping[str, int], at: float) -> None:
        """Show how many contacts differ in which way, as of `at` (seconds since 1970)."""
        for kind in AUDIT_KINDS:
            number = counts.get(kind, 0)
            self._families.gauges["audit_contacts"].labels(self._connector, self._list_id, kind).set(number)
        self._families.gauges["audit_timestamp_seconds"].labels(self._connector, self._list_id).set(at)

    def audit_failed(self) -> None:
        """Count an audit that did not come to its end."""
        self._families.counters["audit_failures_total"].labels(self._connector, self._list_id).inc()

    def named(self, list_name: str) -> None:
        """Set the list's name in `list_info`; the series of the former name goes."""
        if list_name == self._name:
            return
        # First remove, then add: a scrape between sees no name, which is milder than two, on which joins fail.
        family = self._families.gauges["list_info"]
        family.remove(self._connector, self._list_id, self._name, self._account)
        family.labels(self._connector, self._list_id, list_name, self._account).set(1)
        self._name = list_name


class AccountMetrics:
    """The series of one HubSpot account."""

    __slots__ = ("_account", "_audit_requests", "_refreshes", "rate_limit", "rate_limit_remaining")

    def __init__(self, families: _Families, account: str, requests_per_10s: int) -> None:
        self._account = account
        self._audit_requests = families.counters["audit_requests_total"]
        for status in _KNOWN_STATUSES:
            self._audit_requests.labels(account, status)
        self.rate_limit_remaining = families.gauges["rate_limit_remaining"].labels(account)
        self.rate_limit_remaining.set(requests_per_10s)
        self.rate_limit = families.gauges["rate_limit_requests_per_10s"].labels(account)
        self.rate_limit.set(requests_per_10s)
        self._refreshes = {
            outcome: families.counters["token_refreshes_total"].labels(account, outcome) for outcome in REFRESH_OUTCOMES
        }

    def refreshed(self, outcome: Literal["ok", "failed", "refused"]) -> None:
        """Count a token refresh that ended so."""
        self._refreshes[outcome].inc()

    def audit_request(self, status: str) -> None:
        """Count a request of an audit that ended with this HTTP status, `timeout` or `connection_error`."""
        self._audit_requests.labels(self._account, status).inc()


class Metrics:
    """Typed access to every metric of TABLE, registered in `registry` with the process and platform collectors.

    From the start `dead_letters_total` shows every one of `dead_letter_reasons`, and for each list
    `contacts_failed_total` every one of `failure_reasons`, with 0.
    """

    def __init__(
        self, registry: CollectorRegistry, dead_letter_reasons: Iterable[str], failure_reasons: Iterable[str] = ()
    ) -> None:
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._families = families = _Families(registry)
        self.registry = registry
        self.consumer_paused = families.gauges["consumer_paused"]
        self._failure_reasons = tuple(failure_reasons)
        self._accounts: dict[str, AccountMetrics] = {}
        self._lists: dict[tuple[str, int], ListMetrics] = {}
        for labels in _SERVICE_SKIPS:
            families.counters["events_skipped_total"].labels(*labels)
        for reason in dead_letter_reasons:
            families.counters["dead_letters_total"].labels(reason)
        for kind in REBALANCE_KINDS:
            families.counters["rebalances_total"].labels(kind)

    def for_list(self, connector: str, list_id: int, account: str) -> ListMetrics:
        """Return the series of a connector's list; the first call, for enabled and disabled ones alike, makes them."""
        key = (connector, list_id)
        if key not in self._lists:
            self._lists[key] = ListMetrics(self._families, connector, list_id, account)
            for reason in self._failure_reasons:
                self._lists[key].failed(reason, 0)
        return self._lists[key]

    def for_account(self, account: str, requests_per_10s: int) -> AccountMetrics:
        """Return the series of an account; until HubSpot first answers, `requests_per_10s` remain."""
        if account not in self._accounts:
            self._accounts[account] = AccountMetrics(self._families, account, requests_per_10s)
        return self._accounts[account]

    def for_topic(self, topic: str) -> Counter:
        """Return the counter of events read from `topic`, at 0 from the first call."""
        return self._families.counters["events_consumed_total"].labels(topic)

    def events_skipped(self, connector: str, reason: str, transition: str, events: int = 1) -> None:
        """Count events that ask for no request. `connector` and `transition` are empty where there is none."""
        self._families.counters["events_skipped_total"].labels(connector, reason, transition).inc(events)

    def dead_letters(self, reason: str) -> None:
        """Count a message that the dead-letter topic has acknowledged."""
        self._families.counters["dead_letters_total"].labels(reason).inc()

    def service_needs_attention(self, reason: str, *, on: bool) -> None:
        """Raise or clear a reason that concerns no single list: `connector` and `list_id` are empty."""
        self._families.gauges["needs_attention"].labels("", "", reason).set(on)

    def rebalances(self, kind: Literal["assigned", "revoked", "lost"]) -> None:
        """Count a rebalance callback."""
        self._families.counters["rebalances_total"].labels(kind).inc()

    def consumer_lag(self, topic: str, partition: int) -> Gauge:
        """Return the lag gauge of a partition; ask for it each time, since a revoke removes it."""
        return self._families.gauges["consumer_lag"].labels(topic, partition)

    def forget_partition(self, topic: str, partition: int) -> None:
        """Remove the series of a partition that is no longer this member's."""
        self._families.gauges["consumer_lag"].remove(topic, partition)

    def build_info(self, version: str, python: str, librdkafka: str) -> None:
        """Say which build is running."""
        self._families.gauges["build_info"].labels(version, python, librdkafka).set(1)
