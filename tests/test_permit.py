"""Who may still send."""

import pytest

from consumer.permit import Fence, Permit

SESSION = 45.0


def test_a_request_may_leave_while_the_member_polls() -> None:
    """A member that polled within its session may send, up to the last moment of it."""
    permit = Permit(Fence(SESSION, now=100.0), lambda: 100.0 + SESSION)

    assert not permit.started
    assert permit.start()
    assert permit.started


def test_a_withdrawn_request_never_leaves() -> None:
    """What the loop withdraws before it left stays here, and does not count as on the wire."""
    permit = Permit(Fence(SESSION, now=100.0), lambda: 100.0)
    permit.withdraw()

    assert not permit.start()
    assert not permit.started


def test_what_is_on_the_wire_stays_there() -> None:
    """Withdrawing a request that has left tells that it is on the wire, and lets it leave no second time."""
    permit = Permit(Fence(SESSION, now=100.0), lambda: 100.0)
    permit.start()
    permit.withdraw()

    assert permit.started
    assert not permit.start()


def test_a_member_that_has_not_polled_for_a_session_sends_nothing() -> None:
    """When the last poll is older than the session, the member may no longer be the owner: nothing leaves."""
    permit = Permit(Fence(SESSION, now=100.0), lambda: 100.0 + SESSION + 0.001)

    assert not permit.start()
    assert not permit.started


def test_regular_polls_keep_the_fence_open() -> None:
    """Polls that are a session apart, and no more, leave no doubt."""
    fence = Fence(SESSION, now=100.0)
    fence.polled(100.0 + SESSION)
    fence.polled(100.0 + 2 * SESSION)

    assert not fence.in_doubt
    assert fence.open_at(100.0 + 3 * SESSION)


def test_a_late_poll_alone_opens_nothing() -> None:
    """A member that was stopped and wakes up waits for the broker's word, however often it polls."""
    fence = Fence(SESSION, now=100.0)
    fence.polled(100.0 + SESSION + 1)
    fence.polled(100.0 + SESSION + 2)

    assert fence.in_doubt
    assert not fence.open_at(100.0 + SESSION + 2)


def test_the_brokers_word_opens_the_fence() -> None:
    """Once the broker has accepted a commit that was asked for since, requests leave again."""
    fence = Fence(SESSION, now=100.0)
    fence.polled(200.0)
    fence.confirmed(fence.doubts)

    assert not fence.in_doubt
    assert fence.open_at(200.0)


def test_the_brokers_word_does_not_stand_for_a_poll() -> None:
    """A confirmation makes no old poll young."""
    fence = Fence(SESSION, now=100.0)
    fence.confirmed(fence.doubts)

    assert not fence.open_at(100.0 + SESSION + 1)


def test_the_brokers_word_of_before_opens_nothing() -> None:
    """What the broker accepted for a member that slept once says nothing of it once it has slept again."""
    fence = Fence(SESSION, now=100.0)
    fence.polled(200.0)
    asked_for = fence.doubts
    fence.polled(300.0)
    fence.confirmed(asked_for)

    assert fence.in_doubt


class _Interrupted(Fence):
    """A fence whose member wakes up, and polls, just while somebody asks: at the first look at `_in_doubt`."""

    waking = False

    def __getattribute__(self, name: str) -> object:
        value = super().__getattribute__(name)
        if name in ("_in_doubt", "_last_poll") and super().__getattribute__("waking"):
            self.waking = False
            self.polled(200.0)
        return value


@pytest.mark.parametrize("asked_at", [190.0, 200.0])
def test_waking_up_between_two_looks_opens_nothing(asked_at: float) -> None:
    """A worker that asks at the very moment in which the loop wakes up gets no leave."""
    fence = _Interrupted(SESSION, now=100.0)
    fence.waking = True

    assert not fence.open_at(asked_at)
