"""The newest events of the topics of changes: what sources they are of, and what a source's last ones would ask for.

Of each partition the end is read, of as many offsets as of any other, but for what quiet ones leave to the busy. What
retention, compaction or transactions have left of these offsets is what is looked at.
"""

import time
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from consumer.avro import MembershipEvent
from consumer.changes import TopicPartition
from consumer.kafka.fold import Reader
from consumer.kafka.reader import CHANGES, Extent, ReadFailed
from consumer.sightings import LastEvents, LastRequest, SeenSources, Sightings, shares

MOST = 10_000  # offsets that are looked at
LOOK_BACK = 300_000  # offsets that are looked at for a source that is in none of those
FURTHER = 10  # times as many are looked at then, until the source is found
WITHIN = 20.0  # seconds: a person waits

T = TypeVar("T")

Note = Callable[[MembershipEvent, TopicPartition, int, int], None]
"""Takes an event, where it lies, and when Kafka got it (ms since 1970)."""


class Looked(NamedTuple, Generic[T]):
    """What was found, among so many `events` of any source; `unreadable` messages besides told nothing."""

    found: T
    events: int
    unreadable: int


class RecentEvents:
    """The newest events of `topics`, read anew at each question. Raises ReadFailed.

    `clock` counts seconds; `within` is how many of them a question may take, besides what Kafka takes to answer at all.
    """

    def __init__(
        self,
        reader: Reader,
        topics: Sequence[str],
        *,
        most: int = MOST,
        look_back: int = LOOK_BACK,
        within: float = WITHIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._topics = topics
        self._most = most
        self._look_back = look_back
        self._within = within
        self._clock = clock

    def sources(self) -> Looked[SeenSources]:
        """Say what sources the newest events are of."""
        deadline = self._clock() + self._within
        sightings = Sightings()
        log = _Log(self._reader, self._topics)
        events, unreadable = self._note(
            log.older(self._most), lambda event, _place, _offset, timestamp: sightings.note(event, timestamp), deadline
        )
        return Looked(sightings.seen(), events, unreadable)

    def last_request(self, source_type: str, source_id: str, slot: str, max_contacts: int) -> Looked[LastRequest]:
        """Give the request that a source's last events would make, of at most so many contacts.

        A source of which the newest events hold none, such as one that was typed in, is looked for further back, in
        larger and larger parts, until one holds any or there is no time for more. A part counts as a whole or not at
        all: half of one would not hold the last events.
        """
        deadline = self._clock() + self._within
        last = LastEvents(source_type, source_id, slot)
        log = _Log(self._reader, self._topics)
        most = self._most
        events, unreadable = self._note(log.older(most), last.note, deadline)
        while not last and most < min(log.size, self._look_back):
            most = min(most * FURTHER, self._look_back)
            found = LastEvents(source_type, source_id, slot)
            try:
                more, bad = self._note(log.older(most), found.note, deadline)
            except _TooSlow:
                break
            last, events, unreadable = found, events + more, unreadable + bad
        return Looked(last.request(max_contacts), events, unreadable)

    def _note(self, part: Sequence[tuple[str, Extent]], note: Note, deadline: float) -> tuple[int, int]:
        """Note what lies in a part of the log; give how many events that were, and how many messages told nothing."""
        events = unreadable = 0
        for topic, extents in groupby(part, itemgetter(0)):
            for message, event, problem in self._reader.read(topic, CHANGES, extents=[each for _, each in extents]):
                if self._clock() > deadline:
                    raise _TooSlow(
                        f"the newest events of {', '.join(self._topics)} could not be read within {self._within:g} s: "
                        "Kafka, or the way to it, is slow. Try again, or see what keeps it busy"
                    )
                unreadable += problem is not None
                if event is not None:
                    events += 1
                    _, timestamp = message.timestamp()
                    note(event, TopicPartition(topic, message.partition() or 0), message.offset() or 0, timestamp)
        return events, unreadable


class _TooSlow(ReadFailed):
    """There was no time to read all of a part."""


class _Log:
    """The topics as they are when the question comes; given out part by part, from the end."""

    def __init__(self, reader: Reader, topics: Sequence[str]) -> None:
        self._left = [(topic, extent) for topic in dict.fromkeys(topics) for extent in reader.extents(topic)]
        self._ends = [extent.end for _, extent in self._left]
        self.size = sum(extent.end - extent.begin for _, extent in self._left)

    def older(self, most: int) -> list[tuple[str, Extent]]:
        """Give what belongs to the newest `most` offsets and was not given before."""
        begins = [end - taken for end, taken in zip(self._ends, self._shares(most), strict=True)]
        part = [
            (topic, extent._replace(begin=begin)) for (topic, extent), begin in zip(self._left, begins, strict=True)
        ]
        self._left = [
            (topic, extent._replace(end=begin)) for (topic, extent), begin in zip(self._left, begins, strict=True)
        ]
        return [(topic, extent) for topic, extent in part if extent.begin < extent.end]

    def _shares(self, most: int) -> list[int]:
        return shares([end - extent.begin for end, (_, extent) in zip(self._ends, self._left, strict=True)], most)
