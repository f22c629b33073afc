"""How far the group is, looked at all the time, and how long it took to go on after each fault."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock
from time import monotonic

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.chaos.plan import PARTITIONS

_LOOK_EVERY = 0.25  # seconds
_ANSWER_WITHIN = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How far each partition is committed, and where it ends, at one time (monotonic seconds)."""

    at: float
    committed: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def lag(self) -> int:
        """Events between the committed offsets and the ends."""
        return sum(self.ends) - sum(self.committed)


class Lag:
    """Looks until it is stopped; a broker that does not answer is asked again. What it saw is in `diary` as well."""

    def __init__(self, bootstrap: str, group: str, topic: str, diary: Path, partitions: int = PARTITIONS) -> None:
        # Of a consumer, for an AdminClient that is answered NOT_COORDINATOR crashes.
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]
        nothing = (0,) * partitions
        self._samples = [Sample(monotonic(), nothing, nothing)]
        self._fault_ends: list[float] = []
        self._lock = Lock()
        self._diary = diary

    def watch(self, until: Event) -> None:
        """Look, again and again."""
        while not until.wait(_LOOK_EVERY):
            try:
                self.look()
            except KafkaException:
                continue
        self._consumer.close()

    def look(self) -> Sample:
        """Look once. KafkaException if the broker does not answer."""
        committed = self._consumer.committed(self._partitions, timeout=_ANSWER_WITHIN)
        ends = [self._consumer.get_watermark_offsets(each, _ANSWER_WITHIN)[1] for each in self._partitions]
        sample = Sample(monotonic(), tuple(max(0, each.offset) for each in committed), tuple(ends))
        with self._lock:
            self._samples.append(sample)
        self._note(f"lag {sample.lag}, committed {sample.committed}")
        return sample

    @property
    def samples(self) -> list[Sample]:
        """All samples so far."""
        with self._lock:
            return [*self._samples]

    @property
    def newest(self) -> Sample:
        """The latest sample."""
        with self._lock:
            return self._samples[-1]

    def fault_began(self, kind: str) -> None:
        """Note that a fault begins now."""
        self._note(f"{kind} begins")

    def fault_ended(self, kind: str) -> None:
        """Note that a fault ends now."""
        with self._lock:
            self._fault_ends.append(monotonic())
        self._note(f"{kind} ends")

    def recoveries(self) -> list[float]:
        """Give for each fault the seconds from its end until the group's lag fell, or was 0."""
        return [_recovery(self._samples, at) for at in self._fault_ends]

    def quiet_after(self) -> float:
        """Give the seconds from the end of the last fault until the lag was 0."""
        last = max(self._fault_ends)
        return next(each.at for each in self._samples if each.at >= last and not each.lag) - last

    def _note(self, what: str) -> None:
        with self._diary.open("a") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S.%f} {what}\n")


def _recovery(samples: list[Sample], ended: float) -> float:
    later = [each for each in samples if each.at >= ended]
    fell = (after.at for before, after in pairwise(later) if after.lag < before.lag or not after.lag)
    return next(fell, later[-1].at) - ended
