"""Which lists an event concerns, and with which contact. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from consumer.changes import Action
from consumer.hubspot.answers import record_number

ACTIONS = {"ENTER": Action.ADD, "EXIT": Action.REMOVE}


class Event(Protocol):
    """What is looked at of an event."""

    @property
    def source_type(self) -> str:
        """Kind of source: AUDIENCE, JOURNEY, or any other, which nobody takes."""

    @property
    def source_id(self) -> str:
        """Id of the audience or journey."""

    @property
    def identifiers(self) -> "Identifiers":
        """Identifier by PartnerType slot."""


class Identifiers(Protocol):
    """A mapping from slot to identifier."""

    def get(self, slot: str, /) -> str | None:
        """Give the identifier in a slot, if there is one."""


@dataclass(frozen=True, slots=True)
class Route:
    """A connector takes events of one source and finds the HubSpot record id in one slot."""

    connector: str
    source_type: str
    source_id: str
    slot: str
    enabled: bool


class Delivered(NamedTuple):
    """The event concerns this contact of the connector's list."""

    connector: str
    contact: int


class Skipped(NamedTuple):
    """The event asks nothing of the connector (empty: of any): `unrouted`, `disabled` or `no_identifier`."""

    connector: str
    reason: str


class Invalid(NamedTuple):
    """The identifier in the connector's slot is not a HubSpot record id."""

    connector: str
    identifier: str


UNROUTED = (Skipped("", "unrouted"),)


class Router:
    """All connectors, by the source they take."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_source: dict[tuple[str, str], list[Route]] = {}
        for route in routes:
            self._by_source.setdefault((route.source_type, route.source_id), []).append(route)

    def route(self, event: Event) -> Sequence[Delivered | Skipped | Invalid]:
        """Give one answer for each connector of the event's source, or one that nobody takes it."""
        routes = self._by_source.get((event.source_type, event.source_id))
        return UNROUTED if routes is None else [_ask(route, event.identifiers) for route in routes]


def _ask(route: Route, identifiers: Identifiers) -> Delivered | Skipped | Invalid:
    if not route.enabled:
        return Skipped(route.connector, "disabled")
    identifier = identifiers.get(route.slot)
    if identifier is None:
        return Skipped(route.connector, "no_identifier")
    contact = record_number(identifier)
    return Invalid(route.connector, identifier) if contact is None else Delivered(route.connector, contact)
