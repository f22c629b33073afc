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


@dataclass(frozen=True, slots=True)
class Route:
    """A connector takes events of one source and finds the HubSpot record id in one slot."""

    connector: str
    source_type: str
    source_id: str
    slot: str
    enabled: bool

    def contact(self, identifiers: Identifiers) -> "int | Skipped | Invalid":
        """Give the contact that an event of its source concerns, or why there is none."""
        identifier = identifiers.get(self.slot) if self.enabled else None
        if identifier is None:
            return Skipped(self.connector, "no_identifier" if self.enabled else "disabled")
        contact = record_number(identifier)
        return Invalid(self.connector, identifier) if contact is None else contact


class Nobody:
    """Stands where no connector takes events of a source."""

    connector = ""

    def contact(self, _identifiers: Identifiers) -> Skipped:
        """Give why there is no contact."""
        return Skipped(self.connector, "unrouted")


NOBODYS = (Nobody(),)
"""The routes of events that nobody takes."""


class Router:
    """All connectors; `by_source` are the routes of a source's events, by its type and id."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.by_source: dict[tuple[str, str], list[Route]] = {}
        for route in routes:
            self.by_source.setdefault((route.source_type, route.source_id), []).append(route)

    def route(self, event: Event) -> Sequence[Delivered | Skipped | Invalid]:
        """Give one answer for each connector of the event's source, or one that nobody takes it."""
        routes = self.by_source.get((event.source_type, event.source_id), NOBODYS)
        return [_told(each.connector, each.contact(event.identifiers)) for each in routes]


def _told(connector: str, contact: int | Skipped | Invalid) -> Delivered | Skipped | Invalid:
    return Delivered(connector, contact) if isinstance(contact, int) else contact
