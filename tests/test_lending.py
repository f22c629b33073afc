"""Leave to send, between the loop and a thread: given once, or withdrawn, never both."""

from consumer.lending import Audits, Lending, News, Returned


def test_leave_is_asked_for_and_given() -> None:
    """Who asks waits until leave is given, and learns whether it covers a token refresh."""
    lending = Lending()
    assert lending.asked() is None
    leave = lending.ask("acme")
    assert not leave.wait(0.0)
    asked = lending.asked()
    assert asked is leave
    lending.done(asked)
    assert asked.give(may_refresh=True)
    assert (leave.wait(0.0), leave.account, leave.may_refresh) == (True, "acme", True)
    assert lending.asked() is None


def test_leave_that_is_withdrawn_is_not_given() -> None:
    """Who gives up waiting gets no leave any more; who is told that it was given must give it back."""
    lending = Lending()
    first, second = lending.ask("acme"), lending.ask("beta")
    assert first.withdraw()
    assert not first.give(may_refresh=False)
    assert not first.wait(0.0)
    assert second.give(may_refresh=False)
    assert not second.withdraw()
    lending.done(first)
    assert lending.asked() is second


def test_news_come_in_order_and_once() -> None:
    """What the thread tells is heard once, in its order."""
    lending = Lending()
    told: list[News] = [Audits(on=True), Returned("acme", None), Audits(on=False)]
    for each in told:
        lending.tell(each)
    assert lending.news() == told
    assert lending.news() == []
