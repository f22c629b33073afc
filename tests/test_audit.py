"""An audit's steps: what is asked in which order, and how lists take turns."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.audit import MOST_LOOKED_UP, PATIENCE, Audit, Budget, Schedule, Turn, Turns, Walk
from consumer.changes import Action, TopicPartition
from consumer.drift import LAG, Kind, Listed, Report
from consumer.errors import ConsumerError
from consumer.intents import EVERYBODY, Folded, IdRange, Intents
from consumer.outcomes import (
    TOKEN_EXPIRED,
    UNREADABLE,
    Details,
    ListFacts,
    NotSent,
    Outcome,
    Recoverable,
    Scope,
    Terminal,
)
from consumer.reads import (
    MOST_CONTACTS,
    Contacts,
    ContactsRequest,
    Found,
    ListRequest,
    Page,
    PageRequest,
    ReadAnswer,
    ReadRequest,
)

PLACE = TopicPartition("changes", 0)
VIP = Listed("vip", "acme", 10)
CHURN = Listed("churn", "acme", 11)
NOW = 1_000_000.0  # seconds since 1970
LONG_AGO = round((NOW - LAG) * 1000) - 1
AWAY = Recoverable(Details(503), "503", wait=2.0)
GONE = Terminal(Details(404, message="there is no such list"), "LIST_NOT_FOUND", Scope.LIST)


@dataclass
class Site:
    """HubSpot and Kafka as an audit sees them; `asked` holds what was asked, in order."""

    lists: dict[int, list[int]] = field(default_factory=dict)
    log: dict[str, list[tuple[int, Action]]] = field(default_factory=dict)  # by connector; offsets count up
    page: int = 2
    committed_: int | None = 1_000
    merged: dict[int, set[int]] | None = None  # None: all contacts exist, and none was merged
    records: list[dict[str, Any]] = field(default_factory=list)  # of both topics
    instead: list[Found] = field(default_factory=list)  # in the place of the next answers
    facts: ListFacts = field(default_factory=lambda: ListFacts("VIP"))
    complete: bool = True
    unreadable: int = 0
    asked: list[object] = field(default_factory=list)
    before_fold: Callable[[], None] = lambda: None

    def answer(self, request: ReadRequest) -> ReadAnswer:
        """Answer what is read from HubSpot."""
        self.asked.append(request)
        found = self.instead.pop(0) if self.instead else self._found(request)
        return ReadAnswer(found, NOW, ("200",))

    def _found(self, request: ReadRequest) -> Found:
        match request:
            case PageRequest(_, list_id, cursor):
                there = [each for each in sorted(self.lists[list_id]) if each > int(cursor or 0)]
                more = len(there) > self.page
                return Page(tuple(there[: self.page]), str(there[self.page - 1]) if more else None, len(there))
            case ListRequest():
                return self.facts
            case ContactsRequest(_, contacts):
                merged = {each: set[int]() for each in contacts} if self.merged is None else self.merged
                return Contacts({each: frozenset(old) for each, old in merged.items()})

    def committed(self) -> Mapping[TopicPartition, int | None]:
        """Say how far the group is."""
        self.asked.append("committed")
        return {PLACE: self.committed_}

    def fold(self, wanted: Mapping[str, IdRange], most: int) -> Folded:
        """Fold the log; of more contacts than are allowed, the lower half of each connector's."""
        self.before_fold()
        self.asked.append({name: (each.above, each.up_to) for name, each in wanted.items()})
        intents = {name: Intents() for name in wanted}
        ranges = dict(wanted)
        for name, span in wanted.items():
            told = [each for each in self.log.get(name, ()) if each[0] in span]
            contacts = sorted({contact for contact, _ in told})
            if len(contacts) > most:
                ranges[name] = IdRange(span.above, contacts[most // 2 - 1])
            for offset, (contact, action) in enumerate(told):
                if contact in ranges[name]:
                    intents[name].note(contact, action, PLACE, offset, 0)
        return Folded(intents, ranges, self.complete, self.unreadable)

    def letters(self) -> Iterable[dict[str, Any]]:
        """Give the dead letters."""
        self.asked.append("letters")
        return [each for each in self.records if "reason" in each]

    def results(self) -> Iterable[dict[str, Any]]:
        """Give the results."""
        self.asked.append("results")
        return [each for each in self.records if "reason" not in each]

    def result(self, contact: int, outcome: Outcome, offset: int, at: int = LONG_AGO, **more: object) -> None:
        """Write a result."""
        change = {"topic": PLACE.topic, "partition": 0, "offset": offset}
        contacts = [{"record_id": contact, "outcome": outcome.value, **change}]
        self.records.append({**VIP._asdict(), "answered_at": at, "contacts": contacts, **more})

    def letter(self, record_id: str | None, offset: int, reason: str = "FORBIDDEN", **more: object) -> None:
        """Write a dead letter: of a contact, or else of an event."""
        change = {"topic": PLACE.topic, "partition": 0, "offset": offset}
        contacts = [] if record_id is None else [{"record_id": record_id, **change}]
        event = change if record_id is None else None
        listed = dict.fromkeys(VIP._fields) if record_id is None else VIP._asdict()
        letter = {**listed, "reason": reason, "recorded_at": LONG_AGO, "contacts": contacts, "event": event}
        self.records.append({**letter, **more})


def rounds(
    site: Site, *lists: Listed, requests: int | None = None, most: int = 1_000, turns: Turns | None = None
) -> list[Report]:
    """Audit one round; give the reports."""
    told: list[Report] = []
    budget = Budget(requests)
    walk = Walk(Audit(turns or Turns(lists or (VIP,)), site, budget, most, told.append).steps(), budget)
    while walk.request is not None:
        walk.answered(site.answer(walk.request), 0.0, 0.0)
    return told


def counts(report: Report) -> dict[Kind, int]:
    """Give how many differ, by the ways in which any does."""
    assert report.findings is not None
    return {kind: number for kind, number in report.findings.counts.items() if number}


def test_the_order_in_which_all_is_asked() -> None:
    """The group's offsets come first, then all members, then the log, and results and dead letters last."""
    site = Site({10: [1, 2, 3], 11: []}, {"vip": [(1, Action.ADD), (4, Action.ADD)]})
    [vip, churn] = rounds(site, VIP, CHURN)
    assert site.asked == [
        "committed",
        PageRequest("acme", 10),
        PageRequest("acme", 10, "2", 2),
        PageRequest("acme", 11),
        ListRequest("acme", 11),
        {"vip": (0, EVERYBODY.up_to), "churn": (0, EVERYBODY.up_to)},
        "letters",
        "results",
        ContactsRequest("acme", (4, 2, 3)),
    ]
    assert (vip.listed, counts(vip)) == (VIP, {Kind.MISSING: 1, Kind.UNKNOWN: 2})
    assert (churn.listed, counts(churn)) == (CHURN, {})


def test_nobody_differs() -> None:
    """Where the list is as the log says, neither topics nor contacts are asked for."""
    site = Site({10: [1, 2]}, {"vip": [(1, Action.ADD), (2, Action.ADD), (3, Action.REMOVE)]})
    [report] = rounds(site)
    assert (counts(report), report.findings and report.findings.drift) == ({}, 0)
    assert not {"letters", "results"} & {each for each in site.asked if isinstance(each, str)}


def test_what_became_of_those_who_differ() -> None:
    """Results and dead letters of this list say why somebody differs; those of other lists say nothing."""
    site = Site({10: [8]}, {"vip": [(contact, Action.ADD) for contact in range(1, 8)]})
    site.merged = {contact: set() for contact in range(2, 9)}
    site.result(1, Outcome.NOT_FOUND, 0)
    site.result(2, Outcome.ADDED, 1, at=LONG_AGO + 1)
    site.letter("3", 2)
    site.letter(None, 3, "UNDECODABLE")
    site.letter("nobody@example.com", 4, "INVALID_RECORD_ID")
    site.letter("6", 5, list_id=11)
    site.result(7, Outcome.NOT_FOUND, 6, account="other")
    [report] = rounds(site)
    assert counts(report) == {
        Kind.NOT_FOUND: 1,
        Kind.ON_THEIR_WAY: 1,
        Kind.GIVEN_UP: 3,
        Kind.MISSING: 2,
        Kind.UNKNOWN: 1,
    }


def test_what_is_written_meanwhile_is_on_its_way() -> None:
    """What changes after the group's offsets were asked for is never drift."""
    site = Site({10: [1]}, {"vip": [(1, Action.ADD)]}, committed_=1)
    site.before_fold = lambda: site.log["vip"].extend([(1, Action.REMOVE), (2, Action.ADD)])
    [report] = rounds(site)
    assert counts(report) == {Kind.ON_THEIR_WAY: 2}


def test_merged_contacts_are_asked_for() -> None:
    """Whoever stands on the list under another id is found by asking HubSpot, as many at once as it takes."""
    missing = [*range(1, 2 * MOST_CONTACTS + 2)]
    site = Site({10: [5_000]}, {"vip": [(each, Action.ADD) for each in missing]}, merged={5_000: set(missing)})
    [report] = rounds(site)
    assert counts(report) == {Kind.MERGED: len(missing) + 1}
    assert [len(each.contacts) for each in site.asked if isinstance(each, ContactsRequest)] == [100, 100, 2]


def test_no_more_are_looked_up_than_is_bearable() -> None:
    """A list of which everybody is missing does not send thousands of requests after them."""
    site = Site({10: []}, {"vip": [(each, Action.ADD) for each in range(1, 3 * MOST_LOOKED_UP)]})
    rounds(site, most=10_000)
    asked = [each for each in site.asked if isinstance(each, ContactsRequest)]
    assert sum(len(each.contacts) for each in asked) == MOST_LOOKED_UP


def test_contacts_that_may_not_be_read() -> None:
    """Where the app may not read contacts, the list is judged all the same, and it is said what is not known."""
    site = Site({10: [1]}, {"vip": [(2, Action.ADD)]}, unreadable=3)
    forbidden = Terminal(Details(403, message="a scope is missing"), "FORBIDDEN", Scope.ACCOUNT)
    site.instead = [Page((1,)), forbidden]
    [report] = rounds(site)
    assert counts(report) == {Kind.MISSING: 1, Kind.UNKNOWN: 1}
    assert [each.partition(" ")[0] for each in report.notes] == ["3", "contacts"]
    assert "a scope is missing" in report.notes[1]


def test_a_list_that_cannot_be_read_does_not_end_the_others() -> None:
    """A list that is gone is reported as such, and the next one is audited."""
    site = Site({10: [1], 11: [1]}, {"churn": [(1, Action.ADD)]}, instead=[GONE])
    [vip, churn] = rounds(site, VIP, CHURN)
    assert (vip.listed, vip.findings, vip.failure) == (VIP, None, GONE)
    assert (churn.listed, counts(churn)) == (CHURN, {})


def test_a_deleted_list_is_not_an_empty_one() -> None:
    """A list without any member is looked at: of one that was deleted nobody is missing."""
    site = Site({10: []}, {"vip": [(1, Action.ADD)]}, facts=ListFacts("VIP", "LIST_DELETED"))
    [report] = rounds(site)
    assert report.failure is not None
    assert report.failure.details.message is not None
    assert "was deleted" in report.failure.details.message
    site = Site({10: []}, {"vip": [(1, Action.ADD)]}, instead=[Page(()), GONE])
    assert rounds(site)[0].failure == GONE


def test_an_incomplete_log_is_told() -> None:
    """Where retention has taken the beginning of the log, who is unknown is told, and is no drift."""
    [report] = rounds(Site({10: [1]}, complete=False))
    assert report.findings is not None
    assert (counts(report), report.findings.drift) == ({Kind.UNKNOWN: 1}, 0)


members = st.lists(st.integers(1, 30), unique=True)
changes = st.lists(st.tuples(st.integers(1, 30), st.sampled_from(Action)))


@given(members, members, changes, changes, st.integers(2, 8), st.integers(1, 4))
def test_pieces_add_up_to_the_whole(
    vip: list[int],
    churn: list[int],
    of_vip: list[tuple[int, Action]],
    of_churn: list[tuple[int, Action]],
    most: int,
    page: int,
) -> None:
    """Whether lists are audited at once, in small batches or a few requests at a time: the reports are the same."""

    def site() -> Site:
        return Site({10: vip, 11: churn}, {"vip": of_vip, "churn": of_churn}, page=page)

    whole = {report.listed: counts(report) for report in rounds(site(), VIP, CHURN)}
    batches = {report.listed: counts(report) for report in rounds(site(), VIP, CHURN, most=most)}
    turns, reports = Turns([VIP, CHURN]), list[Report]()
    for _ in range(100):
        reports += rounds(site(), requests=3, turns=turns)
    pieces: dict[Listed, dict[Kind, int]] = {}
    for report in reports:
        pieces.setdefault(report.listed, counts(report))
    assert whole == batches == pieces


def test_a_round_that_is_out_of_requests_goes_on_in_the_next() -> None:
    """A list that is too large for one round is read on where it stopped, after the others had their turn."""
    site = Site({10: [*range(1, 21)], 11: [1]}, {"vip": [(each, Action.ADD) for each in range(1, 21)]})
    turns = Turns([VIP, CHURN])
    assert rounds(site, requests=4, turns=turns) == []
    assert [each.cursor for each in site.asked if isinstance(each, PageRequest)] == [None, "2", "4", "6"]
    site.asked.clear()
    [report] = rounds(site, requests=4, turns=turns)
    assert report.listed == CHURN
    assert [each for each in site.asked if isinstance(each, PageRequest)] == [
        PageRequest("acme", 11),
        PageRequest("acme", 10, "8", 8),
        PageRequest("acme", 10, "10", 10),
        PageRequest("acme", 10, "12", 12),
    ]
    reports = [each for _ in range(3) for each in rounds(site, requests=4, turns=turns)]
    [vip] = [each for each in reports if each.listed == VIP]
    assert (counts(vip), vip.findings and vip.findings.members) == ({}, 20)


def test_no_list_starves() -> None:
    """A list that uses a whole round up each time does not keep a larger one from being read on."""
    site = Site({10: [*range(1, 7)], 11: [*range(1, 21)]})
    turns = Turns([VIP, CHURN])
    reports = [each.listed for _ in range(12) for each in rounds(site, requests=3, turns=turns)]
    assert reports.count(CHURN) >= 1
    assert reports.count(VIP) >= 3


def test_a_failed_list_begins_anew() -> None:
    """A pass that failed in the middle is not continued: the next one begins with the first page."""
    site = Site({10: [*range(1, 11)]}, {"vip": [(each, Action.ADD) for each in range(1, 11)]})
    turns = Turns([VIP])
    rounds(site, requests=2, turns=turns)
    site.instead = [GONE]
    [failed] = rounds(site, requests=2, turns=turns)
    assert failed.failure == GONE
    site.asked.clear()
    [report] = rounds(site, turns=turns)
    assert site.asked[1] == PageRequest("acme", 10)
    assert (counts(report), report.findings and report.findings.members) == ({}, 10)


def test_some_requests_are_kept_for_looking_contacts_up() -> None:
    """Pages do not use a round's requests up: a tenth is left to explain who differs, and no more is sent."""
    site = Site({10: [*range(1, 101)]}, page=1)
    assert rounds(site, requests=20) == []
    kinds = [type(each) for each in site.asked if not isinstance(each, str | dict)]
    assert kinds == [PageRequest] * 18 + [ContactsRequest]
    site = Site({10: []}, {"vip": [(each, Action.ADD) for each in range(1, 500)]})
    [report] = rounds(site, requests=4)
    assert sum(isinstance(each, PageRequest | ListRequest | ContactsRequest) for each in site.asked) == 4
    assert any("no request was left" in each for each in report.notes) is False
    assert counts(report) == {Kind.MISSING: 499}


def _step(walk: Walk, site: Site, now: float = 0.0, chance: float = 0.0) -> None:
    """Ask what is to be asked next, and bring in the answer."""
    assert walk.request is not None
    walk.answered(site.answer(walk.request), now, chance)


def test_retries_use_up_what_was_kept_for_looking_up() -> None:
    """When looking up fails again and again, no more requests are sent than a round may take, and that is told."""
    site = Site({10: [500]}, {"vip": [(each, Action.ADD) for each in range(1, 300)]})
    site.instead = [Page((500,)), AWAY, AWAY]
    [report] = rounds(site, requests=5)
    assert sum(isinstance(each, PageRequest | ContactsRequest) for each in site.asked) == 5
    assert counts(report) == {Kind.MISSING: 299, Kind.UNKNOWN: 1}
    assert [each for each in report.notes if "no request was left" in each]


def _walk(site: Site, requests: int | None = None) -> tuple[Walk, list[Report]]:
    told: list[Report] = []
    budget = Budget(requests)
    return Walk(Audit(Turns([VIP]), site, budget, 1_000, told.append).steps(), budget), told


def test_a_passing_failure_is_tried_again_at_the_same_page() -> None:
    """What fails for now is asked once more, when HubSpot says so, and nothing of what was read is lost."""
    site = Site({10: [1, 2, 3]}, {"vip": [(each, Action.ADD) for each in (1, 2, 3)]})
    walk, told = _walk(site)
    _step(walk, site)
    second = walk.request
    assert second == PageRequest("acme", 10, "2", 2)
    site.instead = [AWAY]
    _step(walk, site, 5.0)
    assert (walk.request, walk.not_before) == (second, 7.0)
    walk.answered(ReadAnswer(NotSent(), NOW), 7.0, 0.0)
    assert walk.request == second
    _step(walk, site, 7.0)
    assert [counts(each) for each in told] == [{}]


@pytest.mark.parametrize(
    ("reason", "tries", "ended"),
    [
        (TOKEN_EXPIRED, 2, ("UNAUTHORIZED", Scope.ACCOUNT)),
        (UNREADABLE, 4, ("UNREADABLE_ANSWER", Scope.BATCH)),
    ],
)
def test_what_should_pass_at_once_is_not_tried_for_ever(reason: str, tries: int, ended: tuple[str, Scope]) -> None:
    """An answer that cannot be read, or a token that stays refused, ends the list after a few attempts."""
    site = Site({10: [1]})
    walk, told = _walk(site)
    site.instead = [Recoverable(Details(), reason)] * 10
    while walk.request is not None:
        walk.answered(site.answer(walk.request), 0.0, 0.0)
    assert len(site.asked) == 1 + tries
    assert told[0].failure == Terminal(Details(), *ended)


def test_patience_ends() -> None:
    """HubSpot that stays away for a quarter of an hour, or asks to wait for longer, ends the list's audit."""
    site = Site({10: [1]})
    walk, told = _walk(site)
    now = 0.0
    site.instead = [AWAY] * 10_000
    while walk.request is not None:
        _step(walk, site, now, 0.5)
        now = walk.not_before if walk.request else now
    assert PATIENCE - 60 < now < PATIENCE + 60
    assert told[0].failure == AWAY
    walk, told = _walk(Site({10: [1]}))
    walk.answered(ReadAnswer(Recoverable(Details(429), "429", wait=PATIENCE), NOW, ("429",)), 0.0, 0.0)
    assert (walk.request, len(told)) == (None, 1)


def test_attempts_count() -> None:
    """Every request counts, those that fail as well: a budget is never passed."""
    site = Site({10: [*range(1, 100)]})
    walk, told = _walk(site, requests=5)
    site.instead = [AWAY] * 10
    sent = 0
    while walk.request is not None:
        walk.answered(site.answer(walk.request), 0.0, 0.0)
        sent += 1
    assert sent == 5
    assert told[0].failure == AWAY


def test_a_walk_that_is_given_up() -> None:
    """Who stops an audit in the middle asks nothing more."""
    walk, told = _walk(Site({10: [1]}))
    walk.close()
    assert (walk.request, told) == (None, [])


def test_a_log_that_cannot_be_read() -> None:
    """An error of the log comes through, and it is known of which lists something was read in vain."""

    class Broken(Site):
        def fold(self, wanted: Mapping[str, IdRange], most: int) -> Folded:
            raise ConsumerError(f"cannot be read: {wanted} {most}")

    site = Broken({10: [1]})
    audit = Audit(Turns([VIP]), site, Budget(), 1_000, list[Report]().append)
    walk = Walk(audit.steps(), Budget())
    with pytest.raises(ConsumerError, match="cannot be read"):
        _step(walk, site)
    assert audit.under_way == [VIP]
    nothing = Walk(Audit(Turns([]), site, Budget(), 1_000, list[Report]().append).steps(), Budget())
    assert nothing.request is None


def test_an_answer_to_another_question() -> None:
    """An answer that fits no question is a defect, and is not taken for a fact."""
    walk, _ = _walk(Site({10: [1]}))
    with pytest.raises(TypeError, match="another question"):
        walk.answered(ReadAnswer(Contacts({}), NOW), 0.0, 0.0)


def test_when_a_member_audits() -> None:
    """The first round comes five minutes after a member became the one that audits, the others at fixed times."""
    schedule = Schedule(3_600.0)
    turns = [(0.0, False), (10.0, True), (309.0, True), (311.0, True), (312.0, True), (3_909.0, True), (3_910.0, True)]
    assert [schedule.turn(now, owns=owns) for now, owns in turns] == [
        Turn.NOTHING,
        Turn.BEGIN,
        Turn.NOTHING,
        Turn.ROUND,
        Turn.NOTHING,
        Turn.NOTHING,
        Turn.ROUND,
    ]
    assert schedule.turn(20_000.0, owns=True) is Turn.ROUND  # after a long round one comes at once, and only one
    assert schedule.turn(20_001.0, owns=True) is Turn.NOTHING
    assert [schedule.turn(20_002.0, owns=False), schedule.turn(20_003.0, owns=False)] == [Turn.END, Turn.NOTHING]
    assert schedule.turn(20_004.0, owns=True) is Turn.BEGIN


def test_a_short_interval_begins_soon() -> None:
    """Who wants audits more often than every five minutes need not wait for the first one so long."""
    schedule = Schedule(2.0)
    assert [schedule.turn(now, owns=True) for now in (0.0, 1.0, 2.0)] == [Turn.BEGIN, Turn.NOTHING, Turn.ROUND]
