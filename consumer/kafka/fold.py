"""What the log asks for in the end: the topics of changes, folded into the newest intent of every contact.

A log may tell of more contacts than fit into memory. So who folds it names for each connector the record ids that it
wants, and how many contacts may be held at once. Where there are more, the range of the connector with most of them is
cut to its lower half, again and again: what is given is complete for the ranges that it names, and the log is folded
once more for the rest.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from consumer.avro import MembershipEvent
from consumer.changes import TopicPartition
from consumer.intents import Folded, IdRange, Intents
from consumer.kafka.reader import CHANGES, Entry, Extent, Form, Progress
from consumer.router import ACTIONS, Delivered, Router

LEAST = 2  # contacts that may be held at once, or nothing could be cut


T = TypeVar("T")


class Reader(Protocol):
    """What is needed of a TopicReader."""

    def read(
        self, topic: str, form: Form[T], *, extents: Sequence[Extent] | None = None, progress: Progress | None = None
    ) -> Iterator[Entry[T]]:
        """Yield what `extents` of a topic hold, or all of it."""

    def extents(self, topic: str) -> list[Extent]:
        """Say what there is of each partition."""

    def committed(self, topic: str) -> dict[int, int | None]:
        """Say how far the group has committed each partition."""


def fold_log(
    reader: Reader,
    extents: Mapping[str, Sequence[Extent]],
    router: Router,
    wanted: Mapping[str, IdRange],
    *,
    most: int | None = None,
    progress: Progress | None = None,
) -> Folded:
    """Fold what lies within `extents`, by topic, for the connectors and record ids that are `wanted`.

    `router` must take the events of these connectors: those of a disabled one are skipped. At `most` so many contacts
    are held, of all connectors together. Raises ReadFailed; ValueError if `most` is less than 2.
    """
    if most is not None and most < LEAST:
        raise ValueError(f"{most} contacts at once are too few to go on with: allow at least {LEAST}")
    held = _Held(wanted, most)
    unreadable = done = 0
    total = sum(each.end - each.begin for several in extents.values() for each in several)
    for topic, several in extents.items():
        before = done

        def told(read: int, _total: int, before: int = before) -> None:
            if progress is not None:
                progress(before + read, total)

        for message, event, problem in reader.read(topic, CHANGES, extents=several, progress=told):
            unreadable += problem is not None
            for where in router.route(event) if event is not None else ():
                if event is not None and isinstance(where, Delivered):
                    held.take(where, event, TopicPartition(topic, message.partition() or 0), message.offset() or 0)
        done += sum(each.end - each.begin for each in several)
    complete = all(each.begin == 0 for several in extents.values() for each in several)
    return Folded(held.intents, held.ranges, complete, unreadable)


class _Held:
    """The intents, and the ranges that they are complete for by now."""

    def __init__(self, wanted: Mapping[str, IdRange], most: int | None) -> None:
        self.intents = {connector: Intents() for connector in wanted}
        self.ranges = dict(wanted)
        self._most = most
        self._number = 0

    def take(self, where: Delivered, event: MembershipEvent, place: TopicPartition, offset: int) -> None:
        """Note a change, if it is wanted."""
        connector, contact = where.connector, where.contact
        if connector not in self.ranges or contact not in self.ranges[connector]:
            return
        its = self.intents[connector]
        self._number += contact not in its
        its.note(contact, ACTIONS[event.transition], place, offset, event.occurred_at)
        if self._most is not None and self._number > self._most:
            self._cut()

    def _cut(self) -> None:
        """Let go of the upper half of the contacts of the connector that has most."""
        largest = max(self.intents, key=lambda each: len(self.intents[each]))
        its = self.intents[largest]
        contacts = sorted(its)
        kept = max(1, len(contacts) // 2)
        self.ranges[largest] = IdRange(self.ranges[largest].above, contacts[kept - 1])
        for contact in contacts[kept:]:
            its.discard(contact)
        self._number -= len(contacts) - kept
