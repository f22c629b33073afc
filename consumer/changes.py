"""Words for what flows in: frozen values, no behaviour.

A *change* is one event as it concerns one list: a contact enters or leaves. A change carries the *assignment* it was
read under, so that work which outlives a rebalance can be told from work that is still ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol


class Action(StrEnum):
    """What a change asks of the list."""

    ADD = "ADD"
    REMOVE = "REMOVE"


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, eq=False, slots=True)
class Assignment:
    """One partition for as long as this member owns it in one go.

    Compared by identity: when a partition goes and comes back it is another assignment with the next `epoch`.
    """

    topic: str
    partition: int
    epoch: int


class Change(NamedTuple):
    """One change of one contact, numbered in the order in which it was read.

    Within a partition the order of reading is the order of the log, so of two changes the higher `number` is the newer.
    `occurred_at` (ms since 1970, from the event) is carried along and reported, never compared. `timestamp` is Kafka's
    (ms since 1970, 0 where the broker gave none).
    """

    number: int
    action: Action
    assignment: Assignment
    offset: int
    occurred_at: int
    timestamp: int


Headers = Mapping[str, bytes | str | None] | Sequence[tuple[str, bytes | str | None]]


class Message(Protocol):
    """A Kafka message, as confluent-kafka's client shapes it."""

    def topic(self) -> str | None:
        """Topic it was read from."""

    def partition(self) -> int | None:
        """Partition it was read from."""

    def offset(self) -> int | None:
        """Offset in the partition."""

    def key(self) -> bytes | None:
        """Raw key."""

    def value(self) -> bytes | None:
        """Raw value; None is a tombstone."""

    def timestamp(self) -> tuple[int, int]:
        """Kind of timestamp (0: none) and milliseconds since 1970."""

    def headers(self) -> Headers | None:
        """Headers, in order."""
