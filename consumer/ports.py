"""The narrow seams between the loop and the outside. What stands behind them is built in `app.py`, or in a test."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from consumer.changes import Message, TopicPartition
from consumer.lending import Lending
from consumer.metrics import Metrics
from consumer.outcomes import Answer, DeadLetter, Request, Result
from consumer.permit import Permit


class Clock(Protocol):
    """Both kinds of time."""

    def monotonic(self) -> float:
        """Seconds for deadlines; they never go back."""

    def time(self) -> float:
        """Seconds since 1970, for people and records."""


class Listener(Protocol):
    """What a source tells about partitions, from within `poll` and `close`, in the loop's thread."""

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Take these partitions: they are ours from now on."""

    def started(self, partition: TopicPartition, committed: int | None, end: int) -> None:
        """Learn where a partition was committed (None: nowhere) and where it ended when it was assigned."""

    def end_reached(self, partition: TopicPartition) -> None:
        """Learn that all that the partition holds has been read."""

    def out_of_range(self, partition: TopicPartition, offset: int | None) -> None:
        """Learn that the next offset to read is not there; nothing is read until a person decides."""

    def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Give these partitions up: they are ours until this returns."""

    def lost(self, partitions: Collection[TopicPartition]) -> None:
        """Forget these partitions: others may have them already."""

    def committed(self, offsets: Mapping[TopicPartition, int], errors: Mapping[TopicPartition, str]) -> None:
        """Learn what came of a commit: offsets that were taken, and Kafka's name of the error for the others."""


class Source(Protocol):
    """Messages of partitions that a group shares out."""

    def poll(self, timeout: float) -> Sequence[Message]:
        """Give the messages that are there; wait at most `timeout` seconds for some. Never for anything else."""

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Read nothing of these until they are resumed."""

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Read these again."""

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Start to commit; the answer goes to the listener, from within a later `poll`."""

    def end(self, partition: TopicPartition) -> int | None:
        """Give the partition's end as last heard, without asking."""

    def total(self) -> int:
        """Give how many partitions the topics have, whoever has them, as last heard; 0 before that is known."""

    def close(self) -> None:
        """Leave the group."""


class Sink(Protocol):
    """Takes records for Kafka and sees to it that each is acknowledged."""

    @property
    def pending(self) -> int:
        """How many records are not acknowledged yet."""

    @property
    def weight(self) -> int:
        """What these records take, as many waiting contacts do."""

    def send(self, record: Result | DeadLetter, done: Callable[[], None]) -> None:
        """Take a record. `done` is called from within `serve`, once Kafka has acknowledged all of it."""

    def serve(self) -> None:
        """Send what waits and call what is done, without blocking."""


class Workers(Protocol):
    """Performs requests elsewhere."""

    def submit(self, request: Request, permit: Permit) -> None:
        """Start a request, which asks `permit` before it leaves."""

    def take(self, wait: float = 0.0) -> list[Answer]:
        """Give the answers that are there; wait at most `wait` seconds for the first."""

    def refresh_due(self, account: str) -> bool:
        """Tell whether the account's next request takes a token refresh."""

    def hub_id(self, account: str) -> int | None:
        """Give the id of the account's portal, once it is known."""


@dataclass(frozen=True, slots=True)
class Outside:
    """All that the loop reaches the outside through, but for its source. `chance` gives numbers in [0, 1).

    `lending` is there where something is audited beside the loop.
    """

    workers: Workers
    sink: Sink
    clock: Clock
    metrics: Metrics
    chance: Callable[[], float]
    new_id: Callable[[], str]
    lending: Lending | None = None
