"""What an account holds: credentials of one app in one HubSpot portal, contacts, lists and quotas."""

from bisect import bisect_right
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from consumer.simulator.quota import DailyQuota, RollingQuota

CONTACTS = "0-1"
SCOPES = ("crm.objects.contacts.read", "crm.objects.contacts.write", "crm.lists.read", "crm.lists.write")

ProcessingType = Literal["MANUAL", "SNAPSHOT", "DYNAMIC"]

# Instant 0 of the portal's clock, which counts seconds from anywhere.
_EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


def timestamp(at: float) -> str:
    """Write `at` (seconds) as HubSpot does: ISO 8601, milliseconds, UTC."""
    return (_EPOCH + timedelta(seconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ContactList:
    """One list. `joined` maps each member to when it joined, in the order of joining."""

    def __init__(
        self,
        list_id: int,
        name: str,
        *,
        object_type_id: str = CONTACTS,
        processing_type: ProcessingType = "MANUAL",
        deleted_at: float | None = None,
        legacy_id: int | None = None,
        members: Iterable[int] = (),
    ) -> None:
        self.list_id = list_id
        self.name = name
        self.object_type_id = object_type_id
        self.processing_type = processing_type
        self.deleted_at = deleted_at
        self.legacy_id = legacy_id
        self.joined: dict[int, float] = dict.fromkeys(members, 0.0)
        # Orders of paging, kept between changes: reading a million members takes 4,000 pages.
        self._by_id: list[int] | None = None
        self._by_joining: list[int] | None = None

    @property
    def members(self) -> frozenset[int]:
        """Record ids on the list, as they are now."""
        return frozenset(self.joined)

    def join(self, record_id: int, now: float) -> bool:
        """Add a contact; False if it was there already."""
        if record_id in self.joined:
            return False
        self.joined[record_id] = now
        self._by_id = self._by_joining = None
        return True

    def leave(self, record_id: int) -> bool:
        """Remove a contact; False if it was not there."""
        if self.joined.pop(record_id, None) is None:
            return False
        self._by_id = self._by_joining = None
        return True

    def page_by_id(self, after: int, limit: int) -> tuple[list[int], int | None]:
        """Members with record ids above `after`, and where the next page begins (None: no more)."""
        if self._by_id is None:
            self._by_id = sorted(self.joined)
        start = bisect_right(self._by_id, after)
        page = self._by_id[start : start + limit]
        return page, page[-1] if start + limit < len(self._by_id) else None

    def page_by_joining(self, after: int, limit: int) -> tuple[list[int], int | None]:
        """Members in the order of joining from the `after`th on, and where the next page begins (None: no more)."""
        if self._by_joining is None:
            self._by_joining = list(self.joined)
        end = after + limit
        return self._by_joining[after:end], end if end < len(self._by_joining) else None

    def described(self) -> dict[str, object]:
        """Return the list as HubSpot's answers show it."""
        deleted = {} if self.deleted_at is None else {"deletedAt": timestamp(self.deleted_at)}
        return {
            "listId": str(self.list_id),
            "name": self.name,
            "objectTypeId": self.object_type_id,
            "processingType": self.processing_type,
            "processingStatus": "COMPLETE",
            "size": len(self.joined),
            **deleted,
        }


@dataclass(kw_only=True, eq=False)
class Account:
    """One app installed in one HubSpot portal.

    `contacts` are the record ids that exist: a container (a range costs nothing) or a function of the id. `merged` maps
    the id of a contact that was merged away to the one that survived. `quota` is per ten seconds, `search_quota` per
    second, `daily_quota` from midnight to midnight; None is no limit.

    Of the app: `redirect_uris` are registered, `app_scopes` are those it may ask for; what one account of a client id
    says holds for all. Of the portal: it has no tool for `unavailable_scopes`, so consent to them is refused and calls
    that need them are, too, though a token tells that it has them; `withheld_scopes` are not granted, without a word.
    """

    name: str
    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    hub_id: int = 1001
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    redirect_uris: set[str] = field(default_factory=set)
    app_scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    unavailable_scopes: set[str] = field(default_factory=set)
    withheld_scopes: set[str] = field(default_factory=set)
    contacts: Container[int] | Callable[[int], bool] = field(default=range(1, 1_000_001), repr=False)
    merged: dict[int, int] = field(default_factory=dict, repr=False)
    quota: int | None = 110
    search_quota: int | None = 5
    daily_quota: int | None = None
    midnight: float = 0.0
    lists: dict[int, ContactList] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rolling = RollingQuota(self.quota)
        self.searches = RollingQuota(self.search_quota, seconds=1.0)
        self.daily = DailyQuota(self.daily_quota, self.midnight)
        given, self.merged = self.merged, {}
        for old, survivor in given.items():
            self.merge(old, survivor)

    def add_list(self, contact_list: ContactList) -> ContactList:
        """Put a list into the account and return it; ValueError if its id is taken."""
        if contact_list.list_id in self.lists:
            raise ValueError(f"Account {self.name} has a list {contact_list.list_id} already: give it another list_id.")
        self.lists[contact_list.list_id] = contact_list
        return contact_list

    def list_named(self, name: str, object_type_id: str = CONTACTS) -> ContactList | None:
        """Return the list of this name, whatever the case; deleted lists have given their names back."""
        for found in self.lists.values():
            alike = found.name.casefold() == name.casefold() and found.object_type_id == object_type_id
            if alike and found.deleted_at is None:
                return found
        return None

    def merge(self, old: int, survivor: int) -> None:
        """Merge contact `old` into `survivor`, which takes its place on every list; ValueError if that is a circle."""
        end = self._end_of_merges(survivor)
        if end == old:
            raise ValueError(f"Contact {old} cannot be merged into itself: name another survivor.")
        self.merged[old] = end
        for contact_list in self.lists.values():
            if old in contact_list.joined:
                contact_list.join(end, contact_list.joined[old])
                contact_list.leave(old)

    def survivor(self, record_id: int) -> int | None:
        """Record id under which a contact exists now; None if it does not exist."""
        end = self._end_of_merges(record_id)
        exists = self.contacts(end) if callable(self.contacts) else end in self.contacts
        return end if exists else None

    def merged_into(self, record_id: int) -> list[int]:
        """Record ids of all contacts that were merged into this one, one after the other or at once."""
        return [old for old in self.merged if self._end_of_merges(old) == record_id]

    def _end_of_merges(self, record_id: int) -> int:
        while record_id in self.merged:
            record_id = self.merged[record_id]
        return record_id
