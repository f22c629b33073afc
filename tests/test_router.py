"""Which lists an event concerns, and with which contact."""

from typing import NamedTuple

from consumer.router import Delivered, Invalid, Route, Router, Skipped


class _Event(NamedTuple):
    source_type: str
    source_id: str
    identifiers: dict[str, str]


ROUTER = Router(
    [
        Route("vip", "AUDIENCE", "vip", "2006", enabled=True),
        Route("vip-copy", "AUDIENCE", "vip", "9000", enabled=True),
        Route("off", "AUDIENCE", "vip", "2006", enabled=False),
        Route("welcome", "JOURNEY", "vip", "2006", enabled=True),
    ]
)


def test_an_event_goes_to_every_connector_of_its_source() -> None:
    """Each connector gets the identifier of its own slot; a disabled one is skipped."""
    event = _Event("AUDIENCE", "vip", {"2006": "007", "9000": "8"})
    assert list(ROUTER.route(event)) == [Delivered("vip", 7), Delivered("vip-copy", 8), Skipped("off", "disabled")]


def test_a_journey_is_not_an_audience() -> None:
    """Kind and id of the source both count."""
    assert list(ROUTER.route(_Event("JOURNEY", "vip", {"2006": "1"}))) == [Delivered("welcome", 1)]


def test_nobody_takes_the_source() -> None:
    """An event of a source without a connector, or of a kind that nobody knows, is unrouted."""
    for source in (("AUDIENCE", "other"), ("UNKNOWN", "vip")):
        assert list(ROUTER.route(_Event(*source, {"2006": "1"}))) == [Skipped("", "unrouted")]


def test_the_identifier_may_be_missing_or_wrong() -> None:
    """No identifier is skipped, a wrong one is told with what it was."""
    event = _Event("AUDIENCE", "vip", {"2006": "seven"})
    assert list(ROUTER.route(event))[:2] == [Invalid("vip", "seven"), Skipped("vip-copy", "no_identifier")]
