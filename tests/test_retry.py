"""When to try again, and when to give up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.retry import Backoff, Parking, Patience

NOW = 1_000.0


@given(st.lists(st.floats(0, 0.999), min_size=1, max_size=100))
def test_backoff_is_exponential_with_full_jitter(chances: list[float]) -> None:
    """The n-th failure in a row waits its random share of 1, 2, 4 … and at most 60 s."""
    backoff = Backoff()
    for number, chance in enumerate(chances):
        assert backoff.failed(NOW, chance) == pytest.approx(NOW + chance * min(60.0, 2.0**number))


def test_backoff_keeps_to_what_hubspot_asks_for() -> None:
    """A wait that HubSpot asks for is a lower bound, whatever the jitter says."""
    assert Backoff().failed(NOW, 0.0, at_least=2.0) == NOW + 2.0


def test_backoff_begins_again_after_a_success() -> None:
    """A success makes the next failure the first again."""
    backoff = Backoff()
    for _ in range(10):
        backoff.failed(NOW, 0.5)
    backoff.succeeded()
    assert backoff.failed(NOW, 0.5) == NOW + 0.5


def test_parking_doubles_from_half_a_minute_to_ten() -> None:
    """What is refused is probed after 30 s, 1 min, 2, 4, 8 and then every 10 min; a success ends it."""
    parking = Parking()
    assert not parking
    assert [parking.refused(NOW) - NOW for _ in range(7)] == [30, 60, 120, 240, 480, 600, 600]
    assert parking
    parking.succeeded()
    assert not parking
    assert parking.refused(NOW) == NOW + 30


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(0, 20)), min_size=1, max_size=100))
def test_patience_ends_for_what_has_failed_for_so_long_and_for_nothing_else(steps: list[tuple[float, int]]) -> None:
    """A change is given up once its failures have lasted; within a minute of that, and never before."""
    give_up_after = 600.0
    patience = Patience(give_up_after)
    now, number = NOW, 0
    first_failed: dict[int, float] = {}
    for pause, read in steps:
        now += pause
        for each in range(number + 1, number + read + 1):
            first_failed[each] = now
        number += read
        given_up = patience.failed(now, number)
        for each, since in first_failed.items():
            if each <= given_up:
                assert now - since >= give_up_after
            elif now - since >= give_up_after + 360:  # a mark a minute, and the longest pause of this test
                pytest.fail(f"change {each} has failed for {now - since} s and still waits")


def test_patience_is_new_after_a_success() -> None:
    """A success makes all failures before it forgotten."""
    patience = Patience(600.0)
    patience.failed(NOW, 5)
    patience.succeeded()
    assert patience.failed(NOW + 700, 5) == 0
    assert patience.failed(NOW + 1400, 5) == 5


def test_failures_and_refusals_may_go_on_for_ever() -> None:
    """After thousands of failures the waits are what they were: a minute, and ten."""
    backoff, parking = Backoff(), Parking()
    backoff.failures = parking.refusals = 5_000
    assert backoff.failed(NOW, 0.5) == NOW + 30.0
    assert parking.refused(NOW) == NOW + 600.0


def test_patience_ends_on_the_second() -> None:
    """Not a second before the time is over."""
    patience = Patience(600.0)
    assert [patience.failed(NOW + after, 5) for after in (0.0, 599.5, 600.0)] == [0, 0, 5]


def test_patience_remembers_what_was_given_up() -> None:
    """A change that was on the wire when its like were given up is given up at the next failure."""
    patience = Patience(600.0)
    patience.failed(NOW, 7)
    assert [patience.failed(NOW + 600, 9), patience.failed(NOW + 601, 9)] == [7, 7]


def test_a_day_of_failures_takes_no_room() -> None:
    """They are remembered by the minute."""
    patience = Patience(86_400.0)
    for second in range(0, 86_400, 10):
        patience.failed(NOW + second, second)
    assert len(patience._marks) <= 1440
