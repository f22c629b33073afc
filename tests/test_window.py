"""The window: the newest intent of each contact, whatever the order in which changes are folded."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.changes import Action, Assignment, Change
from consumer.hubspot.answers import record_number
from consumer.offsets import Offsets
from consumer.window import Window
from tests.strategies import ACTIONS, ADD, change

PARTITIONS = tuple(Assignment("changes", number, 1) for number in range(3))
Told = list[tuple[int, Change]]


def _window(told: Told) -> Window:
    offsets = Offsets()
    for assignment in PARTITIONS:
        offsets.assign(assignment)
    window = Window(offsets)
    for contact, each in told:
        window.fold(contact, each, due_at=float(each.number))
    return window


def _intents(window: Window) -> dict[int, Change]:
    return dict(window.take().rest())


@st.composite
def _told(draw: st.DrawFn) -> Told:
    """Give changes of few contacts, numbered as they are read; a contact keeps to one partition."""
    steps = draw(st.lists(st.tuples(st.integers(1, 5), ACTIONS), max_size=40))
    return [
        (contact, change(PARTITIONS[contact % len(PARTITIONS)], number, action))
        for number, (contact, action) in enumerate(steps, start=1)
    ]


@given(_told().flatmap(lambda told: st.tuples(st.just(told), st.permutations(told))))
def test_folding_is_commutative(both: tuple[Told, Told]) -> None:
    """In whatever order changes are folded, the same intents come out, due at the same time."""
    told, shuffled = both
    one, other = _window(told), _window(shuffled)
    assert one.due_at == other.due_at
    assert _intents(one) == _intents(other)


@given(_told(), st.integers(0, 40))
def test_folding_is_associative(told: Told, cut: int) -> None:
    """Folding two windows into one gives what folding all changes one by one gives: windows may end anywhere."""
    first, second = _intents(_window(told[:cut])), _intents(_window(told[cut:]))
    assert _intents(_window([*second.items(), *first.items()])) == _intents(_window(told))


@given(_told())
def test_folding_is_idempotent(told: Told) -> None:
    """A change folded twice changes nothing."""
    assert _intents(_window(told + told)) == _intents(_window(told))


@given(_told(), st.integers(0, 40), st.booleans(), st.floats(0.0, 50.0))
def test_merging_is_folding(told: Told, cut: int, swapped: bool, due_at: float) -> None:
    """What a batch has left merges as if folded one by one: intents, due time, and the offsets that are held."""
    windows, committable = [], []
    for merges in (True, False):
        offsets = Offsets()
        for assignment in PARTITIONS:
            offsets.assign(assignment)
        former, latter = Window(offsets), Window(offsets)
        for window, part in ((former, told[:cut]), (latter, told[cut:])):
            for contact, each in part:
                window.fold(contact, each, float(each.number))
        for _, each in told:
            offsets.processed(each.assignment, each.offset)
        kept, given_back = (former, latter) if swapped else (latter, former)
        batch = given_back.take()
        rest = batch.rest()
        if merges:
            kept.merge(rest, due_at)
        else:
            for contact, each in rest.items():
                kept.fold(contact, each, due_at)
        batch.close_part()
        windows.append(kept)
        committable.append([offsets.committable(each) for each in PARTITIONS])

    assert windows[0].due_at == windows[1].due_at
    assert _intents(windows[0]) == _intents(windows[1])
    assert committable[0] == committable[1]


@given(_told())
def test_the_latest_in_the_log_wins(told: Told) -> None:
    """Each contact keeps the last of its changes, whenever they occurred."""
    assert _intents(_window(told)) == dict(told)


@given(st.lists(st.tuples(st.sampled_from(["7", "007", "0007", "70", "0070"]), ACTIONS), min_size=1, max_size=20))
def test_a_contact_is_never_in_both_sets(told: list[tuple[str, Action]]) -> None:
    """However an id is written, its contact is to be added or to be removed, never both."""
    changes = [
        (record_number(identifier) or 0, change(PARTITIONS[0], number, action))
        for number, (identifier, action) in enumerate(told, start=1)
    ]
    intents = _intents(_window(changes))
    adds = {contact for contact, each in intents.items() if each.action is ADD}
    removes = set(intents) - adds
    assert intents.keys() <= {7, 70}
    assert not adds & removes


@given(_told())
def test_a_window_tells_what_is_new_from_what_collapses(told: Told) -> None:
    """Every change either brings a new contact or supersedes one: the counts agree."""
    window = _window([])
    new = sum(window.fold(contact, each, 0.0) for contact, each in told)
    assert new == len(window) == len({contact for contact, _ in told})


@given(_told())
def test_the_age_counts_from_the_first_change(told: Told) -> None:
    """Later changes never push the due time of a window back."""
    window = _window([])
    for number, (contact, each) in enumerate(told):
        window.fold(contact, each, due_at=30.0 + number)
        assert window.due_at == 30.0


@given(_told(), st.integers(1, 7))
def test_a_batch_leaves_in_pieces_that_are_all_of_it(told: Told, size: int) -> None:
    """A batch is cut into requests of a size, together all of the window; its offsets are held until all are done."""
    offsets = Offsets()
    for assignment in PARTITIONS:
        offsets.assign(assignment)
    window = Window(offsets)
    for contact, each in told:
        window.fold(contact, each, 0.0)
        offsets.processed(each.assignment, each.offset)
    if not told:
        return
    batch = window.take()
    pieces = []
    while len(batch):
        pieces.append(batch.cut(size))
        assert len(pieces[-1]) <= size
    assert {contact: each for piece in pieces for contact, each in piece.items()} == dict(told)
    for _ in pieces:
        assert not batch.done
        batch.close_part()
    assert batch.done
    for contact, each in told:
        last = max(other.offset for key, other in told if PARTITIONS[key % 3] is PARTITIONS[contact % 3])
        assert offsets.committable(each.assignment) == last + 1


@given(_told())
def test_a_revoked_partition_leaves_nothing_behind(told: Told) -> None:
    """What came from a partition that is not ours any more is gone, and the rest stays."""
    window = _window(told)
    window.forget(PARTITIONS[0])
    assert _intents(window) == {contact: each for contact, each in dict(told).items() if contact % 3}


@given(_told())
def test_a_window_that_lost_everything_is_not_due(told: Told) -> None:
    """When all partitions of a window are gone nothing waits, and nothing is due."""
    window = _window(told)
    for assignment in PARTITIONS:
        window.forget(assignment)
    assert (len(window), window.due_at) == (0, None)


def test_a_batch_that_lost_its_rest_waits_for_what_was_sent() -> None:
    """Unsent contacts of a revoked partition are not sent; the batch is done when its last request has ended."""
    batch = _window([(contact, change(PARTITIONS[contact % 2], contact)) for contact in (1, 2, 3)]).take()
    assert list(batch.cut(1)) == [1]
    batch.forget(PARTITIONS[0])
    assert [each.offset for each in batch] == [3]
    batch.forget(PARTITIONS[1])
    batch.forget(PARTITIONS[1])
    assert (len(batch), batch.done) == (0, False)
    batch.close_part()
    assert batch.done
