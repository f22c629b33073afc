from tests.bench.events import FIRST_CONTACT, Event
from tests.bench.peers.scenarios import folded


def test_the_last_change_of_a_contact_decides() -> None:
    """A list holds whose last event entered it; who left, or never came, is not on it."""
    events = [Event(0, 1), Event(0, 2), Event(0, 1, leaves=True), Event(0, 3, leaves=True), Event(0, 3)]
    assert folded(events, 1) == {0: {FIRST_CONTACT + 2, FIRST_CONTACT + 3}}


def test_a_list_is_its_own() -> None:
    """Who leaves one list stays on another, a list without events is empty, and lists past the first are left out."""
    events = [Event(0, 1), Event(1, 1), Event(0, 1, leaves=True), Event(3, 1)]
    assert folded(events, 3) == {0: frozenset(), 1: {FIRST_CONTACT + 1}, 2: frozenset()}
