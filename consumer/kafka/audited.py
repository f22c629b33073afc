"""What an audit reads in Kafka: the changes, what became of them, and how far the service's group is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from consumer.changes import TopicPartition
from consumer.intents import Folded, IdRange
from consumer.kafka.fold import Reader, fold_log
from consumer.kafka.reader import DEAD_LETTERS, RESULTS, Form, Progress
from consumer.router import Router


class AuditedLog:
    """The topics, from their beginnings to where they end when they are asked for. Raises ReadFailed.

    `router` takes the events of all connectors that are audited. `begin` gives, for the name of a topic, what to tell
    how much of it has been read.
    """

    def __init__(
        self,
        reader: Reader,
        changes: Sequence[str],
        results: str,
        dead_letters: str,
        router: Router,
        begin: Callable[[str], Progress | None] = lambda _topic: None,
    ) -> None:
        self._reader = reader
        self._changes = changes
        self._results = results
        self._dead_letters = dead_letters
        self._router = router
        self._begin = begin

    def committed(self) -> dict[TopicPartition, int | None]:
        """Say how far the service's group has committed each partition of the changes; None: nowhere yet."""
        return {
            TopicPartition(topic, partition): offset
            for topic in self._changes
            for partition, offset in self._reader.committed(topic).items()
        }

    def fold(self, wanted: Mapping[str, IdRange], most: int) -> Folded:
        """Fold what the changes hold now, of at most so many contacts at once."""
        extents = {topic: self._reader.extents(topic) for topic in self._changes}
        progress = self._begin(" ".join(self._changes))
        return fold_log(self._reader, extents, self._router, wanted, most=most, progress=progress)

    def letters(self) -> Iterator[dict[str, Any]]:
        """Yield the dead letters."""
        return self._records(self._dead_letters, DEAD_LETTERS)

    def results(self) -> Iterator[dict[str, Any]]:
        """Yield the results."""
        return self._records(self._results, RESULTS)

    def _records(self, topic: str, form: Form[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for entry in self._reader.read(topic, form, progress=self._begin(topic)):
            if entry.record is not None:
                yield entry.record
