"""Words for what is only read from HubSpot, to hold it against the log: requests and what comes back. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass

from consumer.outcomes import ListFacts, Refresh, Verdict

MOST_CONTACTS = 100
"""Contacts that HubSpot reads at once."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page of a list's members. `cursor` is where the page before said that this one begins, None for the first.

    The members on it must have record ids above `above`.
    """

    account: str
    list_id: int
    cursor: str | None = None
    above: int = 0


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A look at a list itself."""

    account: str
    list_id: int


@dataclass(frozen=True, slots=True)
class ContactsRequest:
    """Contacts by their record ids, MOST_CONTACTS at most."""

    account: str
    contacts: tuple[int, ...]


ReadRequest = PageRequest | ListRequest | ContactsRequest


@dataclass(frozen=True, slots=True)
class Page:
    """Members of a list in the order of their record ids, and where the next page begins (None: no more).

    `total` is how many members HubSpot says the list has.
    """

    members: tuple[int, ...]
    cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Contacts:
    """The contacts that exist, by record id, each with the record ids of those that were merged into it."""

    merged: Mapping[int, frozenset[int]]


Found = Page | ListFacts | Contacts | Verdict
"""What was read, or what it means that nothing was."""


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """What came of one attempt. `sent_at` is in seconds since 1970; the rest as of an Answer."""

    found: Found
    sent_at: float
    statuses: tuple[str, ...] = ()
    remaining: int | None = None
    refreshes: tuple[Refresh, ...] = ()

    @property
    def requests(self) -> int:
        """How many requests went to HubSpot."""
        return len(self.statuses) + len(self.refreshes)
