"""Filling a list in the background: one at a time, and whoever asks is told how far it is."""

import threading
from collections.abc import Callable, Iterator

import pytest

from consumer.errors import ConsumerError
from consumer.setup.filling import Filler, Stopping, Told
from consumer.setup.words import Filling, SetupProblem
from consumer.summary import Summary

pytestmark = pytest.mark.process


class Rebuild:
    """A rebuild that goes on when it is told to, and ends as it is told to."""

    def __init__(self) -> None:
        self.told: Told = lambda _done, _total: None
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.ends: Callable[[], Summary] = Summary
        self.stopped: list[str] = []

    def __call__(self, connector: str, told: Told, stopping: Stopping) -> Summary:
        """Wait, then end."""
        del connector
        self.told = told
        stopping(self._stop)
        self.begun.set()
        assert self.go_on.wait(60)
        return self.ends()

    def _stop(self, why: str) -> None:
        self.stopped.append(why)
        self.go_on.set()


@pytest.fixture(name="rebuild")
def _rebuild() -> Rebuild:
    return Rebuild()


@pytest.fixture(name="filler")
def _filler(rebuild: Rebuild) -> Iterator[Filler]:
    filler = Filler(rebuild, lambda text: text.replace("secret", "***"))
    yield filler
    filler.close()


def ended(filler: Filler, rebuild: Rebuild) -> Filling:
    """Let it end, and give what is said then."""
    rebuild.go_on.set()
    filler.close()
    state = filler.state("vip")
    assert state is not None
    return state


def test_it_is_told_how_far_it_is(filler: Filler, rebuild: Rebuild) -> None:
    """From nothing to the summary."""
    assert filler.state("vip") is None
    assert filler.begin("vip") == Filling("vip", "running")
    assert rebuild.begun.wait(60)
    rebuild.told(3, 7)
    assert filler.state("vip") == Filling("vip", "running", 3, 7)
    assert filler.begin("vip") == Filling("vip", "running", 3, 7)  # somebody clicks twice
    summary = Summary()
    summary.outcomes["ADDED"] = 1234
    rebuild.ends = lambda: summary
    assert ended(filler, rebuild) == Filling("vip", "done", summary=(("1,234", "applied, added to the list"),))


def test_one_at_a_time(filler: Filler, rebuild: Rebuild) -> None:
    """Two rebuilds would share the account's rate: the second is told to wait."""
    filler.begin("vip")
    with pytest.raises(SetupProblem, match="the list of vip is being filled"):
        filler.begin("winback")
    ended(filler, rebuild)


def test_what_was_not_applied_is_a_failure(filler: Filler, rebuild: Rebuild) -> None:
    """The summary says why, and the page what to do."""
    summary = Summary()
    summary.failed["FORBIDDEN"] = 2
    rebuild.ends = lambda: summary
    filler.begin("vip")
    state = ended(filler, rebuild)
    assert (state.state, state.summary[0][0]) == ("failed", "2")
    assert "fill it again" in (state.problem or "")


def test_an_error_is_told_without_secrets(filler: Filler, rebuild: Rebuild) -> None:
    """Whatever stopped it."""

    def fail() -> Summary:
        raise ConsumerError("Kafka does not take the secret. Mend it.")

    rebuild.ends = fail
    filler.begin("vip")
    assert ended(filler, rebuild) == Filling("vip", "failed", problem="Kafka does not take the ***. Mend it.")


def test_an_error_that_nobody_expected_ends_it_too(filler: Filler, rebuild: Rebuild) -> None:
    """The page does not wait for ever, and the details are in the log alone."""

    def fail() -> Summary:
        raise ZeroDivisionError("secret")

    rebuild.ends = fail
    filler.begin("vip")
    state = ended(filler, rebuild)
    assert (state.state, "secret" in (state.problem or "")) == ("failed", False)


def test_closing_stops_it(filler: Filler, rebuild: Rebuild) -> None:
    """Ctrl-C does not wait for a million contacts."""
    filler.begin("vip")
    assert rebuild.begun.wait(60)
    filler.close()
    assert rebuild.stopped == ["the setup ends"]
    assert filler.state("vip") == Filling("vip", "done")
