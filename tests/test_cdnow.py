"""The demo's traffic says the same as its data."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.demo import cdnow
from consumer.demo.cdnow import AudienceEvent, Purchase

FIRST_DAY = date(1997, 1, 1)
DAYS = [FIRST_DAY + timedelta(days=n) for n in range((cdnow.LAST_DAY - FIRST_DAY).days + 1)]
BOUGHT = cdnow.purchases()
EVENTS = list(cdnow.events(BOUGHT))


def midnight(day: date) -> int:
    """Midnight UTC of a day in milliseconds since 1970, by the standard library."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def members_by_day(events: Iterable[AudienceEvent]) -> dict[tuple[str, date], frozenset[int]]:
    """Fold events: the members of each source at the end of each day. An event that changes nothing is an error."""
    by_day = defaultdict(list)
    for event in events:
        by_day[event.occurred_at].append(event)
    members: dict[str, set[int]] = {source_id: set() for source_id in cdnow.SOURCES}
    found: dict[tuple[str, date], frozenset[int]] = {}
    for day in DAYS:
        for event in by_day[midnight(day)]:
            assert (event.customer in members[event.source_id]) == (event.transition == "EXIT"), event
            if event.transition == "ENTER":
                members[event.source_id].add(event.customer)
            else:
                members[event.source_id].remove(event.customer)
        found |= {(source_id, day): frozenset(each) for source_id, each in members.items()}
    return found


def test_every_purchase_is_read() -> None:
    """The shipped file gives every purchase, with money in whole cents."""
    text = (resources.files("consumer.demo") / "data/CDNOW_sample.txt").read_text("ascii")
    assert len(BOUGHT) == 6919
    assert len({each.customer for each in BOUGHT}) == 2357
    assert BOUGHT[0] == Purchase(customer=1, day=date(1997, 1, 1), cds=2, cents=2933)
    assert sum(each.cents for each in BOUGHT) == sum(round(float(line.split()[4]) * 100) for line in text.splitlines())
    assert (min(each.day for each in BOUGHT), max(each.day for each in BOUGHT)) == (FIRST_DAY, cdnow.LAST_DAY)


@pytest.mark.parametrize("source_id", cdnow.SOURCES)
def test_events_make_the_audiences(source_id: str) -> None:
    """On every twentieth day back from the last, the events so far make the audience that the purchases give."""
    folded = members_by_day(EVENTS)
    for day in DAYS[::-20]:
        assert folded[source_id, day] == cdnow.audience(BOUGHT, source_id, day), day


@given(
    st.lists(
        st.builds(Purchase, st.integers(1, 2), st.sampled_from(DAYS), st.just(1), st.integers(0, 12_000)), max_size=8
    )
)
def test_any_purchases(bought: list[Purchase]) -> None:
    """Whatever is bought when, events and audiences agree on every day, and no event changes nothing."""
    folded = members_by_day(cdnow.events(bought))
    for source_id, day in folded:
        assert folded[source_id, day] == cdnow.audience(bought, source_id, day), (source_id, day)


def test_order_of_events() -> None:
    """Events come by day and, within it, by customer and source; the same purchases always give the same events."""
    keys = [(event.occurred_at, event.customer, event.source_id) for event in EVENTS]
    assert keys == sorted(keys)
    assert list(cdnow.events(reversed(BOUGHT))) == EVENTS
    assert len(EVENTS) == 12_041
    assert {(event.source_id, event.source_type) for event in EVENTS} == set(cdnow.SOURCES.items())


def bought_on(*days: date, cents: int = 0) -> list[Purchase]:
    """Purchases of one customer."""
    return [Purchase(1, day, 1, cents) for day in days]


def told(bought: list[Purchase], source_id: str) -> list[tuple[str, date]]:
    """Transitions of one source and their days."""
    return [
        (event.transition, datetime.fromtimestamp(event.occurred_at / 1000, UTC).date())
        for event in cdnow.events(bought)
        if event.source_id == source_id
    ]


def test_active_for_sixty_days() -> None:
    """A customer is active up to the sixtieth day after a purchase and leaves on the next one."""
    once = bought_on(date(1997, 1, 1))
    assert told(once, "active-60d") == [("ENTER", date(1997, 1, 1)), ("EXIT", date(1997, 3, 3))]
    in_time = bought_on(date(1998, 4, 1), date(1998, 6, 1))
    assert told(in_time, "active-60d") == [("ENTER", date(1998, 4, 1))]


def test_big_spender_for_a_hundred_eighty_days() -> None:
    """A hundred dollars make a big spender until a purchase is 180 days old and the rest is less than that."""
    bought = bought_on(date(1997, 1, 1), date(1997, 2, 1), cents=50_00)
    assert told(bought, "big-spender-180d") == [("ENTER", date(1997, 2, 1)), ("EXIT", date(1997, 6, 30))]
    assert told(bought_on(date(1997, 1, 1), cents=99_99), "big-spender-180d") == []


def test_second_purchase_on_the_first_day() -> None:
    """Whoever buys twice on the first day enters the journey and exits from it, in this order."""
    day = date(1997, 1, 1)
    assert told(bought_on(day, day, day), "second-purchase") == [("ENTER", day), ("EXIT", day)]


def test_record_ids() -> None:
    """A customer's record id in HubSpot is their number in the sample, from 100000 on."""
    assert cdnow.record_id(1) == 100_001


def test_unknown_source() -> None:
    """A source that the demo does not have is named, with those that it has."""
    with pytest.raises(ValueError, match="'vip' is not in the demo's data: choose one of active-60d"):
        cdnow.audience(BOUGHT, "vip", cdnow.LAST_DAY)
