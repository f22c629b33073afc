"""Sightings: what is told of recent events is what a simple count, and the service itself, would make of them."""

from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.avro import MembershipEvent
from consumer.changes import Assignment, Change, TopicPartition
from consumer.hubspot.answers import record_number
from consumer.list_sync import ListSync
from consumer.offsets import Offsets
from consumer.packed import packed
from consumer.router import ACTIONS, Delivered, Route, Router
from consumer.sightings import LastEvents, LastRequest, SeenSource, SeenSources, Sightings, shares
from tests.strategies import OK, RULES

SLOT = "2006"
PLACES = [TopicPartition("changes", 0), TopicPartition("changes", 1), TopicPartition("more", 0)]


def event(
    source: str = "vip", transition: str = "ENTER", *, kind: str = "AUDIENCE", **identifiers: str
) -> MembershipEvent:
    """Give an event; the slot of an identifier is its name without the first letter."""
    slots = {slot[1:]: identifier for slot, identifier in identifiers.items()}
    return MembershipEvent("", kind, source, "", transition, 0, slots)


def events(*sources: str) -> st.SearchStrategy[MembershipEvent]:
    """Give events of few sources and few contacts, some of them without a usable identifier."""
    identifiers = st.dictionaries(
        st.sampled_from([SLOT, "2007", "email"]), st.sampled_from(["1", "2", "003", "3", "4", "0", "x@example.com"])
    )
    kinds = st.sampled_from(["AUDIENCE", "JOURNEY", "UNKNOWN"])
    transitions = st.sampled_from(["ENTER", "EXIT"])
    return st.builds(
        MembershipEvent,
        event_id=st.just(""),
        source_type=kinds,
        source_id=st.sampled_from(sources),
        profile_id=st.just(""),
        transition=transitions,
        occurred_at=st.integers(0, 9),
        identifiers=identifiers,
    )


Logged = list[tuple[MembershipEvent, TopicPartition, int, int]]
"""Events, with their place, offset and timestamp."""


@st.composite
def logged(draw: st.DrawFn) -> Logged:
    """Give events of several partitions as a reader yields them: in the order of each log; clocks may step back."""
    found = []
    for place in draw(st.permutations(PLACES)):
        offset = draw(st.integers(0, 5))
        for each in draw(st.lists(events("vip", "churn"), max_size=15)):
            found.append((each, place, offset, draw(st.integers(-1, 20))))
            offset += draw(st.integers(1, 3))
    return found


def in_order(told: Logged) -> Logged:
    """Put events into the order of their times, a partition's own order kept: the later one is never the older."""
    times: Counter[TopicPartition] = Counter()
    keyed = []
    for each, place, offset, timestamp in told:
        times[place] = max(times[place], timestamp)
        keyed.append(((times[place], place, offset), (each, place, offset, timestamp)))
    return [each for _, each in sorted(keyed, key=lambda pair: pair[0])]


def of_vip(told: Logged) -> Logged:
    """Give the events of one source, in the order above, which is that of this source's own events."""
    return in_order([each for each in told if each[0][1:3] == ("AUDIENCE", "vip")])


def noted(told: Logged, most: int = 1_000) -> LastEvents:
    """Note events."""
    last = LastEvents("AUDIENCE", "vip", SLOT, most)
    for each in told:
        last.note(*each)
    return last


def naive(told: Logged, max_contacts: int) -> LastRequest:
    """Give the same request by taking one event more as long as there is room."""
    for number in count(1):
        contacts = {record_number(each.identifiers.get(SLOT)) for each, *_ in told[-number:]} - {None}
        if number > len(told) or len(contacts) > max_contacts:
            break
    last = told[len(told) - number + 1 :]
    wanted: dict[int, str] = {}
    for each, *_ in last:
        contact = record_number(each.identifiers.get(SLOT))
        if contact is not None:
            wanted[contact] = each.transition
    return LastRequest(
        adds=tuple(contact for contact, transition in wanted.items() if transition == "ENTER"),
        removes=tuple(contact for contact, transition in wanted.items() if transition == "EXIT"),
        events=len(last),
        without=sum(SLOT not in each.identifiers for each, *_ in last),
        invalid=sum(record_number(each.identifiers.get(SLOT, "1")) is None for each, *_ in last),
    )


@given(logged(), st.integers(1, 5))
def test_the_request_is_what_the_last_events_ask_for(told: Logged, max_contacts: int) -> None:
    """As many of the source's last events as fit into one request, each contact as the last of them wants it."""
    last = noted(told)
    assert len(last) == len(of_vip(told))
    assert last.request(max_contacts) == naive(of_vip(told), max_contacts)


@given(logged(), st.integers(1, 20))
def test_only_the_last_events_are_held(told: Logged, most: int) -> None:
    """However many are noted, no more are held than was said, and these are the newest."""
    last = noted(told, most)
    assert len(last) == min(most, len(of_vip(told)))
    assert last.request(9) == naive(of_vip(told)[-most:], 9)


@given(logged(), st.integers(1, RULES.max_contacts))
def test_the_request_is_the_one_that_the_service_would_send(told: Logged, max_contacts: int) -> None:
    """A list that is given these events makes the same request of them, to the order of its contacts."""
    request = noted(told).request(max_contacts)
    router = Router([Route("vip", "AUDIENCE", "vip", SLOT, enabled=True)])
    offsets = Offsets()
    assignments = {place: Assignment(*place, epoch=1) for place in PLACES}
    for assignment in assignments.values():
        offsets.assign(assignment)
    service = ListSync("vip", "acme", 4711, RULES, offsets)
    service.next_request(0.0, "look")
    service.answered(OK, 0.0, 0.0)
    last = of_vip(told)
    for number, (each, place, offset, timestamp) in enumerate(last[len(last) - request.events :], start=1):
        for where in router.route(each):
            if isinstance(where, Delivered):
                change = Change(number, ACTIONS[each.transition], assignments[place], offset, 0, max(timestamp, 0))
                service.fold([(where.contact, packed(change, offsets))], change.assignment, 0.0)
    sent = service.next_request(RULES.max_age, "request").request
    assert (sent.adds, sent.removes) == (request.adds, request.removes)


def test_the_example_of_a_request() -> None:
    """Who entered and left is to be removed; one without an identifier and one with an address are counted."""
    last = LastEvents("AUDIENCE", "vip", SLOT)
    told = [
        event(s2006="7"),
        event(s2006="8"),
        event("churn", s2006="9"),
        event(kind="JOURNEY", s2006="9"),
        event(transition="EXIT", s2006="007"),
        event(s2007="9"),
        event(s2006="ana@example.com"),
    ]
    for offset, each in enumerate(told):
        last.note(each, PLACES[0], offset, 1_000 + offset)
    assert last.request(1_000) == LastRequest(adds=(8,), removes=(7,), events=5, without=1, invalid=1)
    assert last.request(1) == LastRequest(adds=(), removes=(7,), events=3, without=1, invalid=1)


def test_a_clock_that_steps_back_does_not_change_the_order_of_a_log() -> None:
    """What lies later in a partition is later, whatever its timestamp; and with little room it is what is held."""
    for most in (10, 2):
        last = LastEvents("AUDIENCE", "vip", SLOT, most)
        last.note(event(s2006="7"), PLACES[0], 0, 9_000)
        last.note(event(transition="EXIT", s2006="7"), PLACES[0], 1, 1_000)
        last.note(event(s2006="8"), PLACES[1], 0, 5_000)
        assert last.request(1) == LastRequest(adds=(), removes=(7,), events=2, without=0, invalid=0)


def test_of_what_is_noted_last_the_newest_is_held() -> None:
    """A partition that is read later may hold what is older: it does not push out what is newer, nor stay behind it."""
    last = LastEvents("AUDIENCE", "vip", SLOT, 3)
    for place, contacts, time in ((PLACES[0], (5, 6, 7), 4_000), (PLACES[1], (1, 2), 1_000), (PLACES[2], (8,), 9_000)):
        for offset, contact in enumerate(contacts):
            last.note(event(s2006=str(contact)), place, offset, time + offset)
    assert last.request(9) == LastRequest(adds=(6, 7, 8), removes=(), events=3, without=0, invalid=0)


def test_a_source_without_events() -> None:
    """Of a source that nobody has seen there is no request, and nothing is wrong with that."""
    assert LastEvents("JOURNEY", "onboarding", SLOT).request(10) == LastRequest((), (), 0, 0, 0)


@given(st.lists(st.tuples(events("vip", "churn", "new", ""), st.integers(-1, 5_000)), max_size=60))
def test_sources_are_counted(told: list[tuple[MembershipEvent, int]]) -> None:
    """Of each source: its events, the newest, and how many carry a slot, and a record id in it."""
    sightings = Sightings()
    for each, timestamp in told:
        sightings.note(each, timestamp)
    seen = sightings.seen()
    known = {"AUDIENCE", "JOURNEY"}
    sources = {each[1:3] for each, _ in told if each.source_type in known and each.source_id}
    assert {(each.source_type, each.source_id) for each in seen.sources} == sources
    for source in seen.sources:
        its = [(each, timestamp) for each, timestamp in told if each[1:3] == (source.source_type, source.source_id)]
        assert source.events == len(its)
        assert source.newest == max(0, *(timestamp for _, timestamp in its), 0) / 1000
        slots = [slot for each, _ in its for slot in each.identifiers]
        usable = [slot for each, _ in its for slot, value in each.identifiers.items() if record_number(value)]
        assert source.slots == {slot: number / len(its) for slot, number in Counter(slots).items()}
        assert source.usable == {slot: Counter(usable)[slot] / len(its) for slot in source.slots}
        assert list(source.slots.values()) == sorted(source.slots.values(), reverse=True)
    busy = [each.events for each in seen.sources]
    assert busy == sorted(busy, reverse=True)
    assert seen.events == len(told) == sum(busy) + seen.others
    assert seen.oldest == min((timestamp / 1000 for _, timestamp in told if timestamp > 0), default=None)


def test_the_example_of_sources() -> None:
    """The busiest source comes first, with its slots; times are in seconds."""
    sightings = Sightings()
    sightings.note(event("churn", s2006="1"), 3_000)
    for identifiers in ({"s2006": "1", "semail": "a@example.com"}, {"s2006": "x"}, {"s2006": "3"}, {}):
        sightings.note(event("vip", **identifiers), 1_500)
    sightings.note(event("vip", kind="UNKNOWN"), 1_250)
    vip = SeenSource("AUDIENCE", "vip", 4, 1.5, {"2006": 0.75, "email": 0.25}, {"2006": 0.5, "email": 0.0})
    churn = SeenSource("AUDIENCE", "churn", 1, 3.0, {"2006": 1.0}, {"2006": 1.0})
    assert sightings.seen() == SeenSources((vip, churn), events=6, others=1, oldest=1.25)


def test_nothing_seen() -> None:
    """Where there was no event, there is no source, and no time."""
    assert Sightings().seen() == SeenSources((), 0, 0, None)


@given(st.lists(st.sampled_from("abcdefghij"), max_size=120), st.integers(1, 8))
def test_of_too_many_sources_the_busiest_stay(told: list[str], most: int) -> None:
    """No more are held than was said; none stays away that makes up more than its part, and nothing is lost or made up.

    That holds of the slots of a source as well.
    """
    sightings = Sightings(most_sources=most, most_slots=most)
    for each in told:
        sightings.note(event(each, s2006="1"), 1_000)
        sightings.note(event("of all", **{f"s{each}": "1"}), 1_000)
    seen = sightings.seen()
    counted = Counter(told) + Counter({"of all": len(told)})
    held = {each.source_id: each for each in seen.sources}
    assert len(held) <= most
    assert {each for each, number in counted.items() if number * most > 2 * len(told)} <= held.keys()
    assert all(each.events <= counted[name] for name, each in held.items())
    assert sum(each.events for each in held.values()) + seen.others == seen.events == 2 * len(told)
    if "of all" in held:
        of_all = held["of all"]
        assert len(of_all.slots) <= most
        if of_all.events == len(told):
            assert {each for each in set(told) if told.count(each) * most > len(told)} <= of_all.slots.keys()
            assert all(share <= told.count(slot) / len(told) for slot, share in of_all.slots.items())


def test_sources_that_take_turns_keep_nobody_out() -> None:
    """A newcomer inherits the count of the one it replaces: so the next one replaces another, not the newcomer."""
    sightings = Sightings(most_sources=2)
    for source in ("a", "a", "b", "b", "c", "d", "c"):
        sightings.note(event(source), 1_000)
    assert [(each.source_id, each.events) for each in sightings.seen().sources] == [("c", 2), ("d", 1)]


def test_a_source_that_wakes_up_late_is_not_kept_out() -> None:
    """A reader comes to a busy source only after many others: it takes its place among them, and keeps it."""
    sightings = Sightings(most_sources=10)
    for number in range(300):
        sightings.note(event(f"passing {number}"), 1_000)
        if number >= 200:
            sightings.note(event("busy"), 1_000)
    seen = sightings.seen()
    assert (seen.sources[0].source_id, seen.sources[0].events) == ("busy", 100)


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(0, 200))
def test_shares_are_alike_but_for_small_ones(sizes: list[int], most: int) -> None:
    """All there is, or exactly so much together; who gives less than another by more than one gives all it has."""
    taken = shares(sizes, most)
    assert sum(taken) == min(most, sum(sizes))
    assert all(0 <= each <= size for each, size in zip(taken, sizes, strict=True))
    assert all(each >= max(taken) - 1 or each == size for each, size in zip(taken, sizes, strict=True))
    assert all(each <= later for each, later in zip(taken, shares(sizes, most + 1), strict=True))


@pytest.mark.parametrize(
    ("sizes", "most", "taken"),
    [([100, 3, 100], 23, [10, 3, 10]), ([5, 5], 100, [5, 5]), ([], 9, []), ([4, 4], 0, [0, 0]), ([9, 9], 5, [2, 3])],
)
def test_examples_of_shares(sizes: list[int], most: int, taken: list[int]) -> None:
    """A quiet partition leaves its room to the others."""
    assert shares(sizes, most) == taken
