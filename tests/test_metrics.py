from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from consumer.drift import Kind
from consumer.metrics import PREFIX, TABLE, Metrics
from consumer.not_found import ENDS

# What dashboards and alerts rely on, written by hand: name after the prefix, type, labels.
PUBLISHED = {
    ("contacts_added_total", "counter", ("connector", "list_id")),
    ("contacts_removed_total", "counter", ("connector", "list_id")),
    ("contacts_not_found_total", "counter", ("connector", "list_id")),
    ("contacts_unchanged_total", "counter", ("connector", "list_id")),
    ("contacts_merged_total", "counter", ("connector", "list_id")),
    ("contacts_unexpected_total", "counter", ("connector", "list_id")),
    ("contacts_failed_total", "counter", ("connector", "list_id", "reason")),
    ("requests_total", "counter", ("connector", "list_id", "status")),
    ("request_duration_seconds", "histogram", ("connector",)),
    ("retries_total", "counter", ("connector", "reason")),
    ("not_found_retries_total", "counter", ("connector", "list_id", "outcome")),
    ("rate_limit_remaining", "gauge", ("account",)),
    ("rate_limit_requests_per_10s", "gauge", ("account",)),
    ("token_refreshes_total", "counter", ("account", "outcome")),
    ("needs_attention", "gauge", ("connector", "list_id", "reason")),
    ("last_success_timestamp_seconds", "gauge", ("connector", "list_id")),
    ("list_info", "gauge", ("connector", "list_id", "list_name", "account")),
    ("build_info", "gauge", ("version", "python", "librdkafka")),
    ("events_consumed_total", "counter", ("topic",)),
    ("events_skipped_total", "counter", ("connector", "reason", "transition")),
    ("events_collapsed_total", "counter", ("connector", "list_id")),
    ("dead_letters_total", "counter", ("reason",)),
    ("pending_contacts", "gauge", ("connector", "list_id")),
    ("window_flushes_total", "counter", ("connector", "list_id", "trigger")),
    ("event_to_list_seconds", "histogram", ("connector",)),
    ("consumer_lag", "gauge", ("topic", "partition")),
    ("consumer_paused", "gauge", ()),
    ("rebalances_total", "counter", ("kind",)),
    ("audit_contacts", "gauge", ("connector", "list_id", "kind")),
    ("audit_timestamp_seconds", "gauge", ("connector", "list_id")),
    ("audit_failures_total", "counter", ("connector", "list_id")),
    ("audit_requests_total", "counter", ("account", "status")),
}


@pytest.fixture
def metrics() -> Metrics:
    """Return metrics in a registry of their own, with two reasons for dead letters and one for failures."""
    return Metrics(CollectorRegistry(), ("UNDECODABLE", "GAVE_UP"), ("GAVE_UP",))


def series(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Return the value of each series of a metric by its label values, in the order of the table."""
    labels = next(spec.labels for spec in TABLE if spec.name == name)
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == PREFIX + name
    }


def exposed(metrics: Metrics) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield name, type and labels of every metric of ours that has a series, as Prometheus sees it."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    kinds = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE"))
    labels: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            labels.setdefault(family.name, set()).update(sample.labels.keys() - {"le"})
    for name, kind in kinds.items():
        if name.startswith(PREFIX):
            found = labels[name.removesuffix("_total") if kind == "counter" else name]
            declared = next(spec.labels for spec in TABLE if PREFIX + spec.name == name)
            assert found == set(declared), name
            yield name.removeprefix(PREFIX), kind, declared


def use_everything(metrics: Metrics) -> None:
    """Give every metric at least one series."""
    vip = metrics.for_list("vip", 4711, "acme")
    vip.retry("503")
    vip.needs_attention("FORBIDDEN", on=True)
    vip.audits(on=True)
    metrics.for_account("acme", 100)
    metrics.for_topic("journey.membership")
    metrics.consumer_lag("journey.membership", 0).set(5)
    metrics.build_info("0.1.0", "3.11.9", "2.16.0")


def test_every_published_metric_is_scraped(metrics: Metrics) -> None:
    """Every metric that dashboards rely on is scraped with its name, type and labels, and no other is."""
    use_everything(metrics)
    assert set(exposed(metrics)) == PUBLISHED


def test_the_table_declares_what_is_published() -> None:
    """The table, with which the README is compared, holds each published metric once and explains it."""
    assert {(spec.name, spec.kind, spec.labels) for spec in TABLE} == PUBLISHED
    assert len(TABLE) == len(PUBLISHED)
    assert all(spec.help.endswith(".") for spec in TABLE)


def test_nothing_is_counted_twice(metrics: Metrics) -> None:
    """A counter has one series, without a twin that tells when it was made."""
    use_everything(metrics)
    assert b"_created" not in generate_latest(metrics.registry)


def test_the_process_describes_itself(metrics: Metrics) -> None:
    """Memory and the Python version of the process are scraped with the service's own metrics."""
    names = {family.name for family in metrics.registry.collect()}
    assert {"process_resident_memory_bytes", "python_info"} <= names


@pytest.mark.parametrize(
    "name",
    [
        "contacts_added_total",
        "contacts_removed_total",
        "contacts_not_found_total",
        "contacts_unchanged_total",
        "contacts_merged_total",
        "contacts_unexpected_total",
        "events_collapsed_total",
        "pending_contacts",
        "last_success_timestamp_seconds",
    ],
)
def test_a_list_is_there_before_its_first_request(metrics: Metrics, name: str) -> None:
    """A connector's list shows 0 before anything happened to it."""
    metrics.for_list("vip", 4711, "acme")
    assert series(metrics, name) == {("vip", "4711"): 0}


def test_known_label_sets_of_a_list_start_at_zero(metrics: Metrics) -> None:
    """Flush triggers, request statuses, failures and skips of a connector show 0 before the first of them."""
    metrics.for_list("vip", 4711, "acme")
    assert series(metrics, "window_flushes_total") == {
        ("vip", "4711", trigger): 0 for trigger in ("age", "size", "drain", "revoke")
    }
    assert series(metrics, "requests_total") == {
        ("vip", "4711", status): 0 for status in ("200", "429", "timeout", "connection_error")
    }
    assert series(metrics, "contacts_failed_total") == {("vip", "4711", "GAVE_UP"): 0}
    assert series(metrics, "not_found_retries_total") == {("vip", "4711", end): 0 for end in ENDS}
    skipped = series(metrics, "events_skipped_total")
    assert {labels: value for labels, value in skipped.items() if labels[0] == "vip"} == {
        ("vip", reason, transition): 0 for reason in ("no_identifier", "disabled") for transition in ("ENTER", "EXIT")
    }


def test_known_label_sets_of_the_service_start_at_zero(metrics: Metrics) -> None:
    """What concerns no connector, topic or account in particular shows 0 from the start."""
    assert series(metrics, "events_skipped_total") == {
        ("", "unrouted", "ENTER"): 0,
        ("", "unrouted", "EXIT"): 0,
        ("", "tombstone", ""): 0,
    }
    assert series(metrics, "dead_letters_total") == {("UNDECODABLE",): 0, ("GAVE_UP",): 0}
    assert series(metrics, "rebalances_total") == {("assigned",): 0, ("revoked",): 0, ("lost",): 0}
    assert series(metrics, "consumer_paused") == {(): 0}


def test_a_topic_starts_at_zero(metrics: Metrics) -> None:
    """A topic shows 0 before its first event."""
    counter = metrics.for_topic("journey.membership")
    assert series(metrics, "events_consumed_total") == {("journey.membership",): 0}
    counter.inc(3)
    assert series(metrics, "events_consumed_total") == {("journey.membership",): 3}


def test_an_account_starts_with_its_share(metrics: Metrics) -> None:
    """Before HubSpot's first answer an account shows its share as remaining; 0 would mean that it is used up."""
    metrics.for_account("acme", 100)
    assert series(metrics, "rate_limit_remaining") == {("acme",): 100}
    assert series(metrics, "rate_limit_requests_per_10s") == {("acme",): 100}
    assert series(metrics, "token_refreshes_total") == {("acme", outcome): 0 for outcome in ("ok", "failed", "refused")}


def test_account_series_move(metrics: Metrics) -> None:
    """What HubSpot says remains, and each token refresh, show under their account."""
    metrics.for_account("acme", 100).rate_limit_remaining.set(42)
    metrics.for_account("acme", 100).refreshed("refused")
    assert series(metrics, "rate_limit_remaining") == {("acme",): 42}
    assert series(metrics, "token_refreshes_total")["acme", "refused"] == 1


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("contacts_added", "contacts_added_total"),
        ("contacts_removed", "contacts_removed_total"),
        ("contacts_not_found", "contacts_not_found_total"),
        ("contacts_unchanged", "contacts_unchanged_total"),
        ("contacts_merged", "contacts_merged_total"),
        ("contacts_unexpected", "contacts_unexpected_total"),
        ("events_collapsed", "events_collapsed_total"),
        ("pending_contacts", "pending_contacts"),
        ("last_success", "last_success_timestamp_seconds"),
    ],
)
def test_a_bound_series_moves_its_own_metric(metrics: Metrics, attribute: str, name: str) -> None:
    """Each attribute of a list's metrics moves the series named like it, and that of no other list."""
    metrics.for_list("other", 1, "acme")
    getattr(metrics.for_list("vip", 4711, "acme"), attribute).inc(5)
    assert series(metrics, name) == {("vip", "4711"): 5, ("other", "1"): 0}


def test_list_methods_count_under_their_labels(metrics: Metrics) -> None:
    """Failures, requests, retries, flushes and tries are told apart by reason, status, trigger and outcome."""
    vip = metrics.for_list("vip", 4711, "acme")
    vip.failed("FORBIDDEN", 12)
    vip.request(403)
    vip.request("timeout")
    vip.retry("503")
    vip.flush("size")
    vip.not_found_retries("found", 3)
    assert series(metrics, "contacts_failed_total")["vip", "4711", "FORBIDDEN"] == 12
    assert series(metrics, "requests_total")["vip", "4711", "403"] == 1
    assert series(metrics, "requests_total")["vip", "4711", "timeout"] == 1
    assert series(metrics, "retries_total") == {("vip", "503"): 1}
    assert series(metrics, "window_flushes_total")["vip", "4711", "size"] == 1
    assert series(metrics, "not_found_retries_total")["vip", "4711", "found"] == 3


def test_service_methods_count_under_their_labels(metrics: Metrics) -> None:
    """Skips, dead letters and rebalances are told apart by their labels."""
    metrics.events_skipped("vip", "no_identifier", "EXIT")
    metrics.dead_letters("GAVE_UP")
    metrics.rebalances("lost")
    metrics.consumer_paused.set(1)
    assert series(metrics, "events_skipped_total")["vip", "no_identifier", "EXIT"] == 1
    assert series(metrics, "dead_letters_total") == {("UNDECODABLE",): 0, ("GAVE_UP",): 1}
    assert series(metrics, "rebalances_total")[("lost",)] == 1
    assert series(metrics, "consumer_paused") == {(): 1}


def test_attention_is_raised_and_cleared(metrics: Metrics) -> None:
    """A reason appears with 1 when it is first raised and goes back to 0 when it is cleared."""
    vip = metrics.for_list("vip", 4711, "acme")
    vip.needs_attention("FORBIDDEN", on=False)
    assert series(metrics, "needs_attention") == {}
    vip.needs_attention("FORBIDDEN", on=True)
    assert series(metrics, "needs_attention") == {("vip", "4711", "FORBIDDEN"): 1}
    vip.needs_attention("FORBIDDEN", on=False)
    assert series(metrics, "needs_attention") == {("vip", "4711", "FORBIDDEN"): 0}


def test_a_list_has_one_name(metrics: Metrics) -> None:
    """A list shows an empty name until one is known, then always and only its latest name."""
    vip = metrics.for_list("vip", 4711, "acme")
    assert series(metrics, "list_info") == {("vip", "4711", "", "acme"): 1}
    vip.named("VIPs")
    vip.named("VIPs")
    assert series(metrics, "list_info") == {("vip", "4711", "VIPs", "acme"): 1}
    vip.named('Very "important" people')
    assert series(metrics, "list_info") == {("vip", "4711", 'Very "important" people', "acme"): 1}


def test_asking_again_gives_the_same_list(metrics: Metrics) -> None:
    """Asking for a list a second time keeps its name and its counts."""
    metrics.for_list("vip", 4711, "acme").named("VIPs")
    metrics.for_list("vip", 4711, "acme").contacts_added.inc()
    metrics.for_list("vip", 4711, "acme").contacts_added.inc()
    assert series(metrics, "list_info") == {("vip", "4711", "VIPs", "acme"): 1}
    assert series(metrics, "contacts_added_total") == {("vip", "4711"): 2}


def test_a_revoked_partition_is_forgotten(metrics: Metrics) -> None:
    """After a revoke the lag of the partition is gone, that of the others stays, and it may come back."""
    metrics.consumer_lag("journey.membership", 0).set(7)
    metrics.consumer_lag("journey.membership", 1).set(8)
    metrics.forget_partition("journey.membership", 0)
    metrics.forget_partition("journey.membership", 5)
    assert series(metrics, "consumer_lag") == {("journey.membership", "1"): 8}
    metrics.consumer_lag("journey.membership", 0).set(9)
    assert series(metrics, "consumer_lag")["journey.membership", "0"] == 9


def test_event_to_list_spans_half_a_second_to_an_hour(metrics: Metrics) -> None:
    """Time to the list can be told apart from half a second to one hour, and beyond it is still counted."""
    bounds = next(spec.buckets for spec in TABLE if spec.name == "event_to_list_seconds")
    assert (bounds[0], bounds[-1]) == (0.5, 3600.0)
    vip = metrics.for_list("vip", 4711, "acme")
    vip.event_to_list.observe(31)
    vip.event_to_list.observe(7200)
    value = metrics.registry.get_sample_value
    name = f"{PREFIX}event_to_list_seconds"
    assert value(f"{name}_bucket", {"connector": "vip", "le": "30.0"}) == 0
    assert value(f"{name}_bucket", {"connector": "vip", "le": "60.0"}) == 1
    assert value(f"{name}_count", {"connector": "vip"}) == 2
    assert value(f"{name}_sum", {"connector": "vip"}) == 7231


def test_request_duration_is_kept_apart(metrics: Metrics) -> None:
    """The duration of a request shows under its connector and not in the time to the list."""
    metrics.for_list("vip", 4711, "acme").request_duration.observe(0.3)
    value = metrics.registry.get_sample_value
    assert value(f"{PREFIX}request_duration_seconds_sum", {"connector": "vip"}) == 0.3
    assert value(f"{PREFIX}event_to_list_seconds_count", {"connector": "vip"}) == 0


def test_the_build_is_named(metrics: Metrics) -> None:
    """Which versions are running can be read from the metrics."""
    metrics.build_info("0.1.0", "3.11.9", "2.16.0")
    assert series(metrics, "build_info") == {("0.1.0", "3.11.9", "2.16.0"): 1}


def test_what_audits_find(metrics: Metrics) -> None:
    """Who audits shows every kind, at 0 and as of no time before the first audit; who does not shows nothing."""
    vip = metrics.for_list("vip", 4711, "acme")
    assert series(metrics, "audit_contacts") == series(metrics, "audit_timestamp_seconds") == {}
    vip.audits(on=True)
    assert series(metrics, "audit_contacts") == {("vip", "4711", kind): 0 for kind in Kind}
    assert series(metrics, "audit_timestamp_seconds") == {("vip", "4711"): 0}
    vip.audited({"missing": 3}, 1_780_000_000.0)
    vip.audits(on=True)
    assert series(metrics, "audit_contacts")["vip", "4711", "missing"] == 3
    assert series(metrics, "audit_timestamp_seconds") == {("vip", "4711"): 1_780_000_000.0}
    vip.audited({"left": 1}, 1_780_000_001.0)
    assert series(metrics, "audit_contacts")["vip", "4711", "missing"] == 0
    for _ in range(2):
        vip.audits(on=False)
        assert series(metrics, "audit_contacts") == series(metrics, "audit_timestamp_seconds") == {}


def test_requests_and_failures_of_audits(metrics: Metrics) -> None:
    """What audits send, and what fails, is counted apart from the service's own, from 0 on."""
    vip, acme = metrics.for_list("vip", 4711, "acme"), metrics.for_account("acme", 100)
    assert series(metrics, "audit_failures_total") == {("vip", "4711"): 0}
    assert series(metrics, "audit_requests_total")["acme", "200"] == 0
    vip.audit_failed()
    acme.audit_request("429")
    assert series(metrics, "audit_failures_total") == {("vip", "4711"): 1}
    assert series(metrics, "audit_requests_total")["acme", "429"] == 1
