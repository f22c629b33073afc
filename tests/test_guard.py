"""The guard against emptying a list: what it lets go, what it holds, and when it asks for a look."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.changes import Assignment
from consumer.guard import AGAIN, FRESH, LOOK_AGAIN, STEPS, Guard, Held, Limit, Removals, Ruling
from consumer.offsets import Offsets
from consumer.outcomes import ContactOutcome, Outcome
from consumer.window import Window
from tests.strategies import ADD, REMOVE, change

HALF = Limit(share=50, above=10, within=3600.0)
DAY = 86_400.0
GO, RELEASED, LOOK, HOLD = Ruling.GO, Ruling.RELEASED, Ruling.LOOK, Ruling.HOLD


def held(removes: int, recent: int, size: int) -> Held:
    """Give what a member holds that has the only partition."""
    return Held(removes, recent, size, 1, 0)


class Bench:
    """A guard and the window of its list. Contacts are numbered as their changes are, from 0 on."""

    def __init__(self, limit: Limit | None = HALF, size: int | None = 100) -> None:
        self.offsets = Offsets()
        self.guard = Guard(limit, DAY, self.offsets)
        self.assignment = Assignment("changes", 0, 1)
        self.offsets.assign(self.assignment)
        self.window = Window(self.offsets)
        self.size = size
        self.newest = -1

    @property
    def hold_ended(self) -> str | None:
        """Why nothing is held any more; None while something is."""
        return None if self.guard.held else self.guard.ended

    def leave(self, number: int) -> None:
        """Let so many more contacts leave."""
        for _ in range(number):
            self.newest += 1
            self.window.fold(self.newest, change(self.assignment, self.newest, REMOVE), 0.0)

    def come_back(self, *contacts: int) -> None:
        """Let contacts that left enter again."""
        for contact in contacts:
            self.newest += 1
            self.window.fold(contact, change(self.assignment, self.newest, ADD), 0.0)

    def weigh(self, now: float = 0.0) -> Ruling:
        """Weigh what waits."""
        return self.guard.weigh(self.window, self.newest, now)

    def look_and_weigh(self, now: float = 0.0) -> Ruling:
        """Weigh what waits, with the look that this takes."""
        assert self.weigh(now) is LOOK
        self.guard.shown(self.size, now, asked=True)
        return self.weigh(now)

    def send(self, now: float = 0.0, outcome: Outcome = Outcome.REMOVED) -> None:
        """Let all that waits leave, and HubSpot give it an outcome."""
        self.guard.left(self.newest)
        contacts = self.window.take().rest()
        self.guard.applied([ContactOutcome(contact, outcome, change) for contact, change in contacts.items()], now)
        if self.size is not None and outcome is Outcome.REMOVED:
            self.size -= len(contacts)


@pytest.mark.parametrize(
    ("removes", "recent", "size", "exceeded"),
    [
        (10, 0, 0, False),
        (11, 0, 0, True),
        (50, 0, 100, False),
        (51, 0, 100, True),
        (10, 40, 60, False),
        (11, 40, 60, True),
        (4, 6, 0, False),
        (5, 6, 0, True),
        (10, 0, None, False),
        (11, 0, None, True),
        (5, 6, None, True),
    ],
)
def test_what_is_too_much(removes: int, recent: int, size: int | None, *, exceeded: bool) -> None:
    """Too much is more than `above` and more than the share of all who were there: exactly those, and no more."""
    assert HALF.exceeded(removes, recent, size) is exceeded


@given(st.integers(1, 100), st.integers(-1, 2), st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_share_is_exact(share: int, more: int, recent: int, size: int) -> None:
    """No rounding decides, however large the list is; and the more was removed before, the sooner it is too much."""
    limit = Limit(share, 0, 1.0)
    removes = max(0, share * size // 100 + more)
    assert limit.exceeded(removes, 0, size) is (100 * removes > share * size and removes > 0)
    if limit.exceeded(removes, recent, size):
        assert limit.exceeded(removes, recent + 1, max(0, size - 1))
        assert limit.exceeded(removes + 1, recent, size)


def test_without_a_limit_all_goes() -> None:
    """Who has not switched the guard on is never asked, and no list is looked at."""
    bench = Bench(limit=None)
    bench.leave(1_000)
    assert bench.weigh() is GO


def test_few_removals_need_no_look() -> None:
    """Up to `above` removals leave without a question to HubSpot, however small the list is; additions always do."""
    bench = Bench(size=1)
    bench.leave(10)
    bench.come_back(*range(1_000, 2_000))
    assert bench.weigh() is GO


def test_a_look_comes_first_and_decides() -> None:
    """What could be too much is weighed against the size that a look shows, and then goes or is held."""
    for removes, ruling in ((50, GO), (51, HOLD)):
        bench = Bench(size=100)
        bench.leave(removes)
        assert bench.look_and_weigh() is ruling
        assert bench.guard.held == (held(51, 0, 100) if ruling is HOLD else None)


def test_a_mass_exit_in_many_flushes_is_seen() -> None:
    """Flushes that are small each are held once they are too much together."""
    bench = Bench(size=100)
    left = 0
    for now in range(20):
        bench.leave(10)
        ruling = bench.look_and_weigh(float(now)) if bench.weigh(float(now)) is LOOK else bench.weigh(float(now))
        if ruling is HOLD:
            break
        bench.send(float(now))
        left += 10
    assert left == 50
    assert bench.guard.held == held(10, 50, 50)


def test_what_was_removed_is_forgotten_in_time() -> None:
    """What was removed counts for `within`, at most a sixtieth of it longer, and not less."""
    removals = Removals(3600.0)
    removals.add(3, 0.0)
    removals.add(4, 59.0)
    removals.add(5, 60.0)
    removals.add(0, 100.0)
    assert removals.recent(3599.9) == 12
    assert removals.recent(3600.0 + 3600.0 / STEPS - 0.1) == 5
    assert removals.recent(3660.0) == 0
    for second in range(100_000):
        removals.add(1, float(second))
    assert 3600 <= removals.recent(99_999.0) <= 3660
    assert len(removals._parts) <= STEPS + 2


def test_only_what_hubspot_removed_counts() -> None:
    """Contacts that were not on the list were not removed from it."""
    bench = Bench(size=100)
    for _ in range(10):
        bench.leave(10)
        assert bench.weigh() is GO
        bench.send(outcome=Outcome.UNCHANGED)


def test_a_size_seen_moments_ago_is_good_enough() -> None:
    """The size of a look serves the flushes of the next seconds, with what HubSpot says it changed reckoned in."""
    bench = Bench(size=100)
    bench.guard.shown(100, 0.0, asked=False)
    bench.leave(20)
    assert bench.weigh(1.0) is GO
    bench.send(1.0)
    bench.leave(31)
    assert bench.weigh(FRESH) is HOLD
    assert bench.guard.held == held(31, 20, 80)
    bench = Bench(size=100)
    bench.guard.shown(100, 0.0, asked=False)
    bench.leave(20)
    assert bench.weigh(FRESH + 0.1) is LOOK


def test_a_look_serves_its_flush_however_long_that_waits() -> None:
    """A flush that waits for its account's rate after the look is not looked at again and again."""
    bench = Bench(size=100)
    bench.leave(20)
    assert bench.look_and_weigh(0.0) is GO
    bench.leave(5)
    assert bench.weigh(1_000.0) is GO
    bench.send(1_000.0)
    bench.leave(20)
    assert bench.weigh(2_000.0) is LOOK


def test_an_unknown_size_holds() -> None:
    """Where HubSpot does not tell the size, what is more than `above` is held, and it is said that way."""
    bench = Bench(size=None)
    bench.leave(11)
    assert bench.look_and_weigh() is HOLD
    assert str(bench.guard.held) == "11 contacts would be removed, and HubSpot does not tell how many the list has"


def test_what_is_held_is_told_in_numbers() -> None:
    """A person reads how many of how many, and what went before."""
    assert str(Held(8_000, 0, 10_000)) == "8,000 of the list's 10,000 contacts would be removed"
    assert str(Held(8_000, 1_000, 9_000)) == (
        "8,000 of the list's 9,000 contacts would be removed, after 1,000 within guard.within"
    )


def test_a_retry_is_not_weighed_again() -> None:
    """What was let go leaves in the end: only new removals are a reason to ask again."""
    bench = Bench(size=100)
    bench.leave(40)
    assert bench.look_and_weigh(0.0) is GO
    bench.guard.left(bench.newest)
    bench.guard.shown(60, 100.0, asked=False)  # HubSpot took the request and did not say so
    bench.come_back(500)
    assert bench.weigh(100.0) is GO
    bench.leave(1)
    assert bench.weigh(100.0) is HOLD


def test_what_is_held_is_weighed_again_when_something_came() -> None:
    """A held flush rests until something has changed, and ends by itself when the log has made it small again."""
    bench = Bench(size=100)
    bench.leave(60)
    assert bench.look_and_weigh(0.0) is HOLD
    assert bench.guard.again_at == AGAIN
    assert bench.weigh(LOOK_AGAIN * 2) is HOLD, "nothing came, so nobody is asked"
    bench.come_back(*range(9))
    now = LOOK_AGAIN * 2 + AGAIN
    assert bench.look_and_weigh(now) is HOLD, "the size is old"
    assert bench.guard.held == held(51, 0, 100)
    bench.come_back(9)
    assert bench.weigh(now + FRESH) is GO
    assert bench.hold_ended == "small again"


def test_a_held_list_is_looked_at_once_a_minute_at_most() -> None:
    """While a flush stays too large by the size last seen, HubSpot is not asked with everything that comes."""
    bench = Bench(size=100)
    bench.leave(60)
    assert bench.look_and_weigh(0.0) is HOLD
    looks = 0
    for step in range(1, 121):
        bench.leave(1)
        now = step * AGAIN
        if bench.weigh(now) is LOOK:
            looks += 1
            bench.guard.shown(100, now, asked=True)
            assert bench.weigh(now) is HOLD
    assert 8 <= looks <= 120 * AGAIN / LOOK_AGAIN


def test_a_small_size_is_not_believed_when_it_is_old() -> None:
    """What seems to be small again is looked at before it leaves."""
    bench = Bench(size=100)
    bench.leave(60)
    assert bench.look_and_weigh(0.0) is HOLD
    bench.come_back(*range(20))
    bench.size = 70
    assert bench.look_and_weigh(30.0) is HOLD
    assert bench.guard.held == held(40, 0, 70)


def test_removals_that_age_end_a_hold() -> None:
    """What was too much only because of what went before goes on once that is `within` ago."""
    bench = Bench(size=100)
    bench.leave(45)
    assert bench.look_and_weigh(0.0) is GO
    bench.send(0.0)
    bench.leave(8)
    assert bench.weigh(0.0) is HOLD
    assert bench.weigh(3_599.0) is HOLD
    assert bench.weigh(3_660.0) is GO


def test_a_release_covers_what_waits_until_it_has_left() -> None:
    """What was released leaves, retries included; what comes behind it is weighed by itself, the count begun anew."""
    bench = Bench(size=100)
    bench.leave(90)
    assert bench.look_and_weigh(0.0) is HOLD
    bench.guard.release(bench.newest)
    assert (bench.hold_ended, bench.guard.again_at) == ("released", float("-inf"))
    bench.leave(5)
    assert bench.weigh(0.0) is GO, "five more are no reason to hold it again"
    bench.leave(6)
    assert bench.look_and_weigh(10.0) is RELEASED, "eleven of the ten that will be left are"
    assert bench.guard.held is None
    bench.send(10.0)
    bench.leave(5)
    assert bench.weigh(11.0) is HOLD
    assert bench.guard.held == held(5, 11, 0)


def test_a_release_begins_to_count_anew() -> None:
    """What was removed before a release, and by it, is no reason to hold what follows."""
    bench = Bench(size=100)
    bench.leave(50)
    assert bench.look_and_weigh(0.0) is GO
    bench.send(0.0)
    bench.leave(20)
    assert bench.weigh(0.0) is HOLD
    bench.guard.release(bench.newest)
    assert bench.weigh(0.0) is GO
    bench.send(0.0)
    bench.leave(10)
    assert bench.weigh(1.0) is GO
    bench.send(1.0)
    bench.leave(6)
    assert bench.weigh(2.0) is HOLD
    assert bench.guard.held == held(6, 10, 20)


def test_a_member_reckons_with_the_others() -> None:
    """Members that share the partitions hold a mass exit together, though none of them sees more than its part."""
    bench = Bench(size=1_000)
    bench.offsets.total = 4
    bench.leave(100)
    assert bench.look_and_weigh(0.0) is GO, "the others may remove 300 meanwhile, which makes 40 %"
    bench.send(0.0)
    bench.guard.shown(600, 0.0, asked=False)  # they did
    bench.leave(25)
    assert bench.weigh(0.0) is GO
    bench.leave(1)
    assert bench.weigh(0.0) is HOLD, "104 more of the 1,000 that were there"
    assert str(bench.guard.held) == (
        "26 of the list's 600 contacts would be removed (1 of 4 partitions), after 400 within guard.within"
    )
    bench.offsets.total = 1
    assert bench.weigh(AGAIN) is GO, "what it would remove now, it alone would"


def test_above_is_of_all_members_together() -> None:
    """What all members remove together is small as long as it is no more than `above`."""
    bench = Bench(size=1)
    bench.offsets.total = 5
    bench.leave(2)
    assert bench.weigh(0.0) is GO
    bench.leave(1)
    assert bench.look_and_weigh(0.0) is HOLD


def test_what_is_held_for_too_long_is_named() -> None:
    """After `give_up_after` of holding its changes are given up, those that came later when their time has come."""
    bench = Bench(size=100)
    bench.leave(60)
    assert bench.look_and_weigh(0.0) is HOLD
    assert bench.guard.too_long(59, 0.0) == 0
    assert bench.guard.too_long(70, DAY / 2) == 0
    assert bench.guard.too_long(80, DAY) == 59
    assert bench.guard.too_long(80, DAY * 1.5) == 70


def test_an_empty_window_ends_the_hold() -> None:
    """What has gone to another owner, or was given up, is not held here any more."""
    bench = Bench(size=100)
    bench.leave(60)
    assert bench.look_and_weigh(0.0) is HOLD
    bench.window.forget(bench.assignment)
    bench.guard.emptied()
    assert bench.hold_ended == "nothing waits any more"
