"""Our histogram shows what prometheus-client's own would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client import Histogram as Theirs

from consumer.histogram import Histogram

disable_created_metrics()  # type: ignore[no-untyped-call]  # as the service does

BOUNDS = (0.5, 1.0, 2.5, 60.0)
NOW = 1_780_000_000.0


def _both() -> tuple[Theirs, Histogram, CollectorRegistry, CollectorRegistry]:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    return (
        Theirs("age_seconds", "How old.", ["connector"], buckets=BOUNDS, registry=theirs),
        Histogram("age_seconds", "How old.", ["connector"], BOUNDS, ours),
        theirs,
        ours,
    )


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 2.5, 3.0, 60.0, 61.0]))))
def test_it_shows_what_the_clients_own_shows(observed: list[tuple[str, float]]) -> None:
    """Byte for byte, whatever was observed, bounds included."""
    their, our, theirs, ours = _both()
    for connector, value in observed:
        their.labels(connector).observe(value)
        our.labels(connector).observe(value)
    assert generate_latest(ours) == generate_latest(theirs)


@given(st.lists(st.lists(st.integers(-2_000, 70_000))))
def test_many_ages_are_observed_like_one_after_the_other(polls: list[list[int]]) -> None:
    """Ages of times in milliseconds; what seems to lie in the future is as if it were just now."""
    their, our, _, _ = _both()
    for ages in polls:
        for age in ages:
            their.labels("vip").observe(max(0.0, age / 1000))
        our.labels("vip").observe_ages(NOW, [round(NOW * 1000) - age for age in ages])
    buckets, total = our.labels("vip").read()
    (family,) = their.collect()
    samples = [each for each in family.samples if each.labels["connector"] == "vip"]
    if any(polls):
        assert [number for _, number in buckets] == [each.value for each in samples if each.name.endswith("_bucket")]
        assert total == pytest.approx(sum(max(0, age) / 1000 for ages in polls for age in ages), abs=1e-3)


def test_labels_are_there_from_the_first_call() -> None:
    """Known labels show 0 before anything is observed."""
    _, our, _, ours = _both()
    our.labels("vip")
    assert b'age_seconds_count{connector="vip"} 0.0' in generate_latest(ours)
