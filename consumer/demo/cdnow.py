"""Audience and journey traffic made from real purchases. Pure; the data are described in data/README.md.

A purchase or the passing of a day makes an event; it carries that day, midnight UTC, and an exit by the passing of time
happens on the first day on which the rule no longer holds. The unit is the day: whoever would leave an audience on the
day of a purchase that keeps them in makes no event.

- Audience `active-60d`: in it while the last purchase is at most 60 days old.
- Audience `big-spender-180d`: in it while the purchases of the last 180 days, today included, sum to 100.00 US dollars.
- Journey `second-purchase`: enters with the first purchase, exits with the second, which may be on the same day.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from importlib import resources
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

LAST_DAY = date(1998, 6, 30)
SOURCES: Mapping[str, str] = MappingProxyType(
    {"active-60d": "AUDIENCE", "big-spender-180d": "AUDIENCE", "second-purchase": "JOURNEY"}
)
"""Each source id and its type."""

ACTIVE_DAYS = 60
SPENDER_DAYS = 180
SPENDER_CENTS = 100_00

_MS_PER_DAY = 24 * 60 * 60 * 1000
_EPOCH = date(1970, 1, 1).toordinal()


class Purchase(NamedTuple):
    """One purchase. `customer` is the id within the sample, `cents` are of US dollars."""

    customer: int
    day: date
    cds: int
    cents: int


class AudienceEvent(NamedTuple):
    """A customer enters or leaves a source. `occurred_at` is a midnight UTC, in milliseconds since 1970."""

    source_type: str
    source_id: str
    customer: int
    transition: str
    occurred_at: int


def purchases() -> list[Purchase]:
    """Read the shipped file: in its order, which is by customer and, for each, by day."""
    text = (resources.files("consumer.demo") / "data" / "CDNOW_sample.txt").read_text("ascii")
    return [_purchase(*line.split()) for line in text.splitlines()]


def record_id(customer: int) -> int:
    """HubSpot Contact Record ID of a customer."""
    return 100_000 + customer


def events(bought: Iterable[Purchase]) -> Iterator[AudienceEvent]:
    """Every event up to LAST_DAY: by day, within a day by customer and source, then in the order of happening."""
    found: list[AudienceEvent] = []
    in_order = sorted(bought, key=attrgetter("customer", "day"))
    for customer, group in groupby(in_order, key=attrgetter("customer")):
        own = list(group)
        transitions = {
            "active-60d": _while_in_window([(each.day, 1) for each in own], ACTIVE_DAYS + 1, 1),
            "big-spender-180d": _while_in_window([(each.day, each.cents) for each in own], SPENDER_DAYS, SPENDER_CENTS),
            "second-purchase": zip((each.day for each in own), ("ENTER", "EXIT"), strict=False),
        }
        for source_id, steps in transitions.items():
            found += [
                AudienceEvent(SOURCES[source_id], source_id, customer, transition, _midnight(day))
                for day, transition in steps
            ]
    # Sorting is stable: customer and source keep the order in which they were found.
    yield from sorted(found, key=attrgetter("occurred_at"))


def audience(bought: Iterable[Purchase], source_id: str, on: date) -> frozenset[int]:
    """Compute who is in a source at the end of a day, straight from the rules and without the events."""
    so_far: dict[int, list[Purchase]] = defaultdict(list)
    for each in bought:
        if each.day <= on:
            so_far[each.customer].append(each)
    return frozenset(customer for customer, own in so_far.items() if _holds(source_id, own, on))


def _holds(source_id: str, own: list[Purchase], on: date) -> bool:
    match source_id:
        case "active-60d":
            return on - max(each.day for each in own) <= timedelta(days=ACTIVE_DAYS)
        case "big-spender-180d":
            first = on - timedelta(days=SPENDER_DAYS - 1)
            return sum(each.cents for each in own if each.day >= first) >= SPENDER_CENTS
        case "second-purchase":
            return len(own) == 1
        case _:
            raise ValueError(f"source {source_id!r} is not in the demo's data: choose one of {', '.join(SOURCES)}")


def _while_in_window(weights: list[tuple[date, int]], days: int, threshold: int) -> Iterator[tuple[date, str]]:
    """When the weights of the last `days` days, today included, begin or cease to reach the threshold."""
    steps: Counter[date] = Counter()
    for day, weight in weights:
        steps[day] += weight
        steps[day + timedelta(days=days)] -= weight
    total = 0
    for day in sorted(day for day in steps if day <= LAST_DAY):
        before, total = total, total + steps[day]
        if (before >= threshold) != (total >= threshold):
            yield day, "ENTER" if total >= threshold else "EXIT"


def _purchase(_full_id: str, customer: str, day: str, cds: str, dollars: str) -> Purchase:
    whole, cents = dollars.split(".")
    when = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    return Purchase(int(customer), when, int(cds), 100 * int(whole) + int(cents))


def _midnight(day: date) -> int:
    return (day.toordinal() - _EPOCH) * _MS_PER_DAY
