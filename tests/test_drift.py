"""Drift: every way in which a list can differ from its log, and never one that is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.changes import Action, TopicPartition
from consumer.drift import DRIFT, EXAMPLES, LAG, Comparison, Example, Findings, Kind
from consumer.history import Position
from consumer.intents import EVERYBODY, IdRange, Intent, Intents
from consumer.outcomes import Outcome
from consumer.reads import Contacts

TOPIC = "changes"
READ_AT = 1_000_000.0
SETTLED = round((READ_AT - LAG) * 1000) - 1  # ms since 1970: what was applied by then is seen
RECENT = SETTLED + 1
CONTACTS = range(1, 9)


class Told(NamedTuple):
    """What the topics say of a change: at a time (ms since 1970), an outcome or, as None, a dead letter."""

    at: int
    outcome: Outcome | None


@dataclass
class Case:
    """A log of one partition, one change a contact, with what came of each; and who is on the list."""

    log: Mapping[int, Action] = field(default_factory=dict)  # by contact, in the order of offsets
    members: frozenset[int] = frozenset()
    told: Mapping[int, Sequence[Told]] = field(default_factory=dict)
    committed: int | None = 100
    complete: bool = True
    tried_for: float = 0.0

    def position(self, contact: int) -> Position:
        """Give where the change of a contact lies."""
        return Position(TOPIC, 0, list(self.log).index(contact))

    def compare(self, span: IdRange = EVERYBODY) -> Comparison:
        """Compare, as an audit does, within a range of which the list was read."""
        intents = Intents()
        for offset, (contact, action) in enumerate(self.log.items()):
            if contact in span:
                intents.note(contact, action, TopicPartition(TOPIC, 0), offset, offset)
        members = sorted(each for each in self.members if each in span)
        committed = {TopicPartition(TOPIC, 0): self.committed}
        made = Comparison(
            span, members, span, intents, committed, READ_AT, complete=self.complete, tried_for=self.tried_for
        )
        records = [(contact, each) for contact, several in self.told.items() for each in several]
        for contact, told in records:
            if told.outcome is None:
                made.letter(contact, self.position(contact), told.at, "FORBIDDEN")
        for contact, told in records:
            if told.outcome is not None:
                made.outcome(contact, self.position(contact), told.outcome, told.at)
        return made

    def kind(self, contact: int) -> Kind | None:
        """Say how a contact differs, straight from the definition."""
        action, member = self.log.get(contact), contact in self.members
        if (action is Action.ADD) == member:
            return None
        if action is None:
            return Kind.UNKNOWN
        told = sorted(self.told.get(contact, ()), key=lambda each: (each.at, each.outcome is not None))
        waits = self.committed is None or self.position(contact).offset >= self.committed
        if waits or any(each.at >= RECENT and each.outcome is not None for each in told):
            return Kind.ON_THEIR_WAY
        if told and told[-1].outcome is None:
            return Kind.GIVEN_UP
        if action is Action.REMOVE:
            return Kind.LEFT
        return Kind.NOT_FOUND if told and told[-1].outcome is Outcome.NOT_FOUND else Kind.MISSING


def kinds(comparison: Comparison) -> dict[int, Kind]:
    """Give how each contact that differs does so."""
    return {contact: kind for kind in Kind for contact in comparison.contacts(kind)}


cases = st.builds(
    Case,
    log=st.dictionaries(st.sampled_from(CONTACTS), st.sampled_from(Action)),
    members=st.frozensets(st.sampled_from(CONTACTS)),
    committed=st.none() | st.integers(0, 8),
    complete=st.booleans(),
).flatmap(
    lambda case: st.builds(
        Case,
        log=st.just(case.log),
        members=st.just(case.members),
        # Each time once: of two that are told of one change, the records lie in the order of their times.
        told=st.dictionaries(
            st.sampled_from(sorted(case.log) or [0]),
            st.lists(
                st.builds(Told, st.integers(SETTLED - 3, SETTLED + 3), st.none() | st.sampled_from(Outcome)),
                max_size=4,
                unique_by=lambda each: each.at,
            ).map(lambda several: sorted(several, key=lambda each: each.at)),
        )
        if case.log
        else st.just({}),
        committed=st.just(case.committed),
        complete=st.just(case.complete),
    )
)


@given(cases)
def test_each_contact_differs_as_the_definition_says(case: Case) -> None:
    """Whatever log, list, results and dead letters hold, each contact is judged as a person would, one by one."""
    comparison = case.compare()
    wanted = {contact: kind for contact in CONTACTS if (kind := case.kind(contact)) is not None}
    assert kinds(comparison) == wanted
    findings = comparison.findings()
    assert findings.counts == {kind: [*wanted.values()].count(kind) for kind in Kind}
    assert findings.members == len(case.members)
    assert findings.in_log == [*case.log.values()].count(Action.ADD)
    judged = DRIFT if case.complete else DRIFT - {Kind.UNKNOWN}
    assert findings.drift == sum(kind in judged for kind in wanted.values())


@given(cases, st.lists(st.integers(1, 8), max_size=3))
def test_ranges_add_up_to_the_whole(case: Case, cuts: list[int]) -> None:
    """A list that is audited piece by piece is judged as if it had been audited at once."""
    bounds = [0, *sorted(set(cuts)), EVERYBODY.up_to]
    pieces = [case.compare(IdRange(*each)) for each in pairwise(bounds)]
    assert {contact: kind for piece in pieces for contact, kind in kinds(piece).items()} == kinds(case.compare())
    total = Findings()
    for piece in pieces:
        total += piece.findings()
    whole = case.compare().findings()
    assert (total.counts, total.members, total.in_log) == (whole.counts, whole.members, whole.in_log)
    assert (total.drift, total.complete) == (whole.drift, whole.complete)


@given(cases)
def test_topics_are_read_only_where_they_can_say_something(case: Case) -> None:
    """Results and dead letters are asked only when somebody of the log differs whose change has come to its end."""
    differs = {contact for contact in case.log if case.kind(contact) is not None}
    ended = {each for each in differs if case.committed is not None and case.position(each).offset < case.committed}
    assert case.compare().undecided == bool(ended)


def test_only_the_newest_change_counts() -> None:
    """What became of an older change says nothing of a contact."""
    comparison = Case(log={7: Action.ADD}).compare()
    comparison.letter(7, Position(TOPIC, 0, 9), SETTLED, "FORBIDDEN")
    comparison.letter(8, Position(TOPIC, 0, 0), SETTLED, "FORBIDDEN")
    comparison.outcome(7, Position("other", 0, 0), Outcome.NOT_FOUND, RECENT)
    assert kinds(comparison) == {7: Kind.MISSING}


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ([Told(RECENT, Outcome.ADDED)], Kind.ON_THEIR_WAY),
        ([Told(SETTLED, Outcome.ADDED)], Kind.MISSING),
        ([Told(RECENT, None)], Kind.GIVEN_UP),
        ([Told(SETTLED - 1, Outcome.NOT_FOUND), Told(SETTLED, Outcome.ADDED)], Kind.MISSING),
        ([Told(SETTLED - 1, Outcome.ADDED), Told(SETTLED, Outcome.NOT_FOUND)], Kind.NOT_FOUND),
        ([Told(SETTLED - 1, None), Told(SETTLED, Outcome.UNCHANGED)], Kind.MISSING),
        ([Told(SETTLED - 1, Outcome.UNCHANGED), Told(SETTLED, None)], Kind.GIVEN_UP),
    ],
)
def test_the_last_word_on_a_change_counts(told: list[Told], kind: Kind) -> None:
    """A change that came to several ends, for it was sent again, counts as what it came to last."""
    assert kinds(Case(log={7: Action.ADD}, told={7: told}).compare()) == {7: kind}


def test_an_event_that_nobody_could_use() -> None:
    """An event that was given up unread, and can be read by now, is given up; what was applied of it since is not."""
    case = Case(log={7: Action.ADD, 8: Action.ADD})
    comparison = case.compare()
    for contact in (7, 8):
        comparison.unusable(case.position(contact), SETTLED - 5, "UNDECODABLE")
    comparison.outcome(8, case.position(8), Outcome.ADDED, SETTLED - 4)
    assert kinds(comparison) == {7: Kind.GIVEN_UP, 8: Kind.MISSING}
    [example] = comparison.findings().examples[Kind.GIVEN_UP]
    assert example == Example(7, Intent(Action.ADD, case.position(7), 0), "UNDECODABLE")


def test_examples_are_few_and_say_what_decided() -> None:
    """Of each kind a handful of contacts is shown, with the change that decided them, however many there are."""
    case = Case(log=dict.fromkeys(range(1, 21), Action.ADD), members=frozenset(range(30, 50)))
    for findings in (case.compare().findings(), case.compare().findings() + case.compare().findings()):
        assert {kind: len(several) for kind, several in findings.examples.items() if several} == {
            Kind.MISSING: EXAMPLES,
            Kind.UNKNOWN: EXAMPLES,
        }
    assert findings.examples[Kind.MISSING][1] == Example(2, Intent(Action.ADD, Position(TOPIC, 0, 1), 1))
    assert findings.examples[Kind.UNKNOWN][0] == Example(30)


@pytest.mark.parametrize(
    ("log", "members", "found", "wanted"),
    [
        # The log knows one id, HubSpot the other.
        ({7: Action.ADD}, {8}, {8: {7}}, {7: Kind.MERGED, 8: Kind.MERGED}),
        # Both are told of and in: the survivor is right as it is.
        ({7: Action.ADD, 8: Action.ADD}, {8}, {8: {7}}, {7: Kind.MERGED}),
        # The one is in, the other is out: HubSpot has one contact for both.
        ({7: Action.ADD, 8: Action.REMOVE}, {8}, {8: {7}}, {7: Kind.MERGED, 8: Kind.MERGED}),
        # The survivor is not on the list.
        ({7: Action.ADD}, set(), {8: {7}}, {7: Kind.MISSING}),
        # It exists by itself.
        ({7: Action.ADD}, set(), {7: set()}, {7: Kind.MISSING}),
        # It does not exist at all.
        ({7: Action.ADD}, set(), {}, {7: Kind.NOT_FOUND}),
        # Whom the log wants out does not explain a member.
        ({7: Action.REMOVE}, {8}, {8: {7}}, {8: Kind.UNKNOWN}),
        ({}, {8}, {8: set()}, {8: Kind.UNKNOWN}),
        ({}, {8}, {}, {8: Kind.UNKNOWN}),
    ],
)
def test_merged_contacts(
    log: dict[int, Action], members: set[int], found: dict[int, set[int]], wanted: dict[int, Kind]
) -> None:
    """Who stands on the list under another id has not drifted; who does not exist cannot be added by anybody."""
    comparison = Case(log=log, members=frozenset(members)).compare()
    asked = comparison.to_look_up(10)
    comparison.looked_up(asked, Contacts({contact: frozenset(merged) for contact, merged in found.items()}))
    assert kinds(comparison) == wanted
    assert comparison.findings().drift == sum(kind in DRIFT for kind in wanted.values())


@pytest.mark.parametrize(
    ("exists", "tried_for", "kind"),
    [(False, 0.0, Kind.NOT_FOUND), (True, 0.0, Kind.MISSING), (True, 2 * LAG, Kind.NOT_FOUND)],
)
def test_who_was_not_found_and_exists_by_now(exists: bool, tried_for: float, kind: Kind) -> None:
    """A contact that exists by now is missing once nobody tries it any more."""
    told = {7: [Told(SETTLED, Outcome.NOT_FOUND)]}
    comparison = Case(log={7: Action.ADD}, told=told, tried_for=tried_for).compare()
    assert comparison.to_look_up(10) == [7]
    comparison.looked_up([7], Contacts({7: frozenset()} if exists else {}))
    assert kinds(comparison) == {7: kind}


def test_a_survivor_explains_those_who_were_not_asked_for() -> None:
    """When a member tells who was merged into it, those are explained as well."""
    comparison = Case(log={6: Action.ADD, 7: Action.ADD}, members=frozenset({8})).compare()
    comparison.looked_up([8], Contacts({8: frozenset({6, 7})}))
    assert set(kinds(comparison).values()) == {Kind.MERGED}


def test_a_merged_contact_whose_change_is_on_its_way() -> None:
    """A member in whose place a change is on its way is not unknown."""
    for action in Action:
        comparison = Case(log={9: action}, members=frozenset({8}), committed=0).compare()
        comparison.looked_up(comparison.to_look_up(10), Contacts({8: frozenset({9})}))
        assert kinds(comparison)[8] is Kind.MERGED


def test_contacts_of_another_range_get_the_benefit_of_the_doubt() -> None:
    """Whom a contact explains that lies in another range, of which nothing is known here, has not drifted."""
    comparison = Case(log={7: Action.ADD}, members=frozenset({9})).compare(IdRange(6, 9))
    comparison.looked_up([7, 9], Contacts({11: frozenset({7}), 9: frozenset({3})}))
    assert kinds(comparison) == {7: Kind.MERGED, 9: Kind.MERGED}


def test_only_so_many_are_looked_up() -> None:
    """However many differ, few are looked up: missing and unknown ones by turns, then those who left."""
    log = {**dict.fromkeys(range(1, 6), Action.ADD), 20: Action.REMOVE}
    case = Case(log=log, members=frozenset({10, 11, 20}))
    assert sorted(case.compare().to_look_up(4)) == [1, 2, 10, 11]
    assert sorted(case.compare().to_look_up(8)) == [1, 2, 3, 4, 5, 10, 11, 20]
    assert len(case.compare().to_look_up(100)) == 8
