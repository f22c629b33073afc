"""Late effects: requests of which nobody knows whether, or when, HubSpot takes them.

After a timeout or a cut connection a request may still take effect, even after a newer one. So its contacts stay *in
doubt* until `hubspot.settle` has passed. A contact whose intent changed meanwhile is *contested*: it is sent once more
at the end, because the late effect may have undone what was answered in between.

An assignment with a committed offset is such a request too: of every change between that offset and the end of the
partition, the previous owner may have had any on the wire.

A doubt holds the offsets of its contacts until it ends, so that whoever takes over after a crash inherits it.
"""

from collections.abc import Mapping

from consumer.changes import Action, Assignment, Change
from consumer.offsets import Holds, Offsets
from consumer.packed import PackedChanges


class Doubt:
    """The contacts of one request (or of one assignment's inheritance) until `until`."""

    __slots__ = ("_contested", "_first", "_mixed", "holds", "until")

    def __init__(self, until: float, offsets: Offsets) -> None:
        self.until = until
        self.holds = Holds(offsets)
        self._first: dict[int, Action] = {}
        self._mixed: set[int] = set()  # both actions may be on the wire
        self._contested = PackedChanges(offsets)

    def may_have_been_sent(self, contact: int, change: Change) -> None:
        """Add a change to what may take effect late."""
        if self._first.setdefault(contact, change.action) is not change.action:
            self._mixed.add(contact)
        self.intends(contact, change)

    def intends(self, contact: int, change: Change) -> bool:
        """Note the contact's newest intent. True if the contact is contested."""
        first = self._first.get(contact)
        if first is None:
            return False
        if contact in self._mixed or first is not change.action:
            self._contested[contact] = change
            return True
        self._contested.pop(contact, None)
        return False

    def __contains__(self, contact: int) -> bool:
        return contact in self._first

    def contested(self) -> PackedChanges:
        """Give the contacts to be sent once more, each with its newest intent."""
        return self._contested


class Doubts:
    """All doubts of one list: those that have not ended are `open`."""

    __slots__ = ("_inherited", "_offsets", "_settle", "open")

    def __init__(self, settle: float, offsets: Offsets) -> None:
        self._settle = settle
        self._offsets = offsets
        self.open: list[Doubt] = []
        self._inherited: dict[Assignment, Doubt] = {}

    def __bool__(self) -> bool:
        return bool(self.open)

    def __contains__(self, contact: int) -> bool:
        return any(contact in doubt for doubt in self.open)

    def unanswered(self, contacts: Mapping[int, Change], now: float) -> Doubt:
        """Start a doubt for a request without an answer."""
        doubt = Doubt(now + self._settle, self._offsets)
        for contact, change in contacts.items():
            doubt.may_have_been_sent(contact, change)
            if change.assignment in self._offsets:
                doubt.holds.cover(change.assignment, change.offset)
        self.open.append(doubt)
        return doubt

    def inherits(self, contact: int, change: Change, assigned_at: float) -> None:
        """Note a change that the previous owner of its partition may have had on the wire."""
        doubt = self._inherited.get(change.assignment)
        if doubt is None:
            doubt = Doubt(assigned_at + self._settle, self._offsets)
            self._inherited[change.assignment] = doubt
            self.open.append(doubt)
        doubt.may_have_been_sent(contact, change)
        doubt.holds.cover(change.assignment, change.offset)

    def intends(self, contact: int, change: Change) -> None:
        """Note a contact's newest intent, whatever request it will travel in."""
        for doubt in self.open:
            if doubt.intends(contact, change):
                doubt.holds.cover(change.assignment, change.offset)

    def next_end(self) -> float | None:
        """When the next doubt ends."""
        return min((doubt.until for doubt in self.open), default=None)

    def ended(self, now: float) -> list[Doubt]:
        """Take out the doubts that end now. Fold what they contest into the window, then release their holds.

        What they contest of an assignment that is no longer ours is its next owner's to send.
        """
        ended = [doubt for doubt in self.open if doubt.until <= now]
        if ended:
            self.open = [doubt for doubt in self.open if doubt.until > now]
            self._inherited = {key: doubt for key, doubt in self._inherited.items() if doubt.until > now}
        return ended
