"""The run loop: one thread that owns all state and is the only reader of the clock. It imports no client library.

A turn: take the answers of the workers, let Kafka report on what was written, poll, bring what was read to the windows,
let lists send, and commit. Nothing in a turn blocks but the poll, for 50 ms at most. Only revoke and stop wait, within
their deadline.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from consumer import __version__, log
from consumer.changes import Message, TopicPartition
from consumer.delivery import Delivery
from consumer.intake import Intake
from consumer.lane import Lane
from consumer.lender import Lender
from consumer.partitions import Partition, Partitions
from consumer.permit import Fence
from consumer.ports import Outside, Source
from consumer.status import Attention, ListStatus, PartitionStatus, ServiceStatus

LONGEST_POLL = 0.05  # seconds: an answer that comes meanwhile waits no longer
COMMIT_EVERY = 1.0
COMMIT_AGAIN = 1.0  # after an error, such as a commit in the middle of a rebalance
PUBLISH_EVERY = 1.0
RELIEVE_EVERY = 30.0
MOST_UNACKNOWLEDGED = 200_000  # contacts' worth of records that Kafka has not acknowledged; past that reading pauses
OUT_OF_RANGE = "OFFSET_OUT_OF_RANGE"
RESUME_AT = 0.5  # of a bound: librdkafka throws its prefetched messages away at each pause, so they must be rare

_log = log.get(__name__)


class State(Enum):
    """Where the loop is.

    RUNNING takes events and sends changes. DRAINING takes nothing new, sends what waits and commits, until all is done
    or the deadline comes. STOPPED has left the group; what was not done is read again by the next owner.
    """

    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the configuration says of waiting: contacts in memory, and seconds for a stop or a revoke."""

    max_pending_contacts: int
    shutdown_timeout: float


class Loop:
    """Turns until it is stopped. It is the source's listener: all of that comes from within `poll`."""

    def __init__(
        self,
        outside: Outside,
        delivery: Delivery,
        intake: Intake,
        partitions: Partitions,
        fence: Fence,
        bounds: Bounds,
        configured: Collection[ListStatus],
        lender: Lender | None = None,
    ) -> None:
        self._workers = outside.workers
        self._sink = outside.sink
        self._metrics = outside.metrics
        self._clock = clock = outside.clock
        self._delivery = delivery
        self._intake = intake
        self._partitions = partitions
        self._fence = fence
        self._bounds = bounds
        self._lists = {each.connector: each for each in configured}  # as they were published
        self._lender = lender
        self._source: Source | None = None
        self._stops: deque[str] = deque()
        self._releases: deque[tuple[str, Callable[[int | None], None]]] = deque()
        self._deadline = float("inf")
        self._paused = False
        self._commit_at = float("-inf")
        self._unanswered = 0  # commits that were asked for
        self._asked_in_doubt = 0  # the fence's doubts when the only one of them was asked for; 0: it ends no doubt
        self._publish_at = float("-inf")
        self._relieve_at = float("-inf")
        self._had_assignment = False
        self._attention: dict[TopicPartition, Attention] = {}
        self._started_at = clock.time()
        self.state = State.RUNNING
        self.last_turn = clock.monotonic()
        self._status = self._describe()

    def run(self, source: Source) -> None:
        """Turn until stopped. Raises what only a new process can mend, after leaving the group."""
        self._source = source
        try:
            while self.state is not State.STOPPED:
                self.turn(source)
        finally:
            self.state = State.STOPPED
            source.close()

    def stop(self, why: str) -> None:
        """Ask to stop: drain first; a second time at once. May be called from a signal handler."""
        self._stops.append(why)

    def release(self, connector: str, told: Callable[[int | None], None]) -> None:
        """Ask to let go what the guard holds of a connector's list. Any thread may ask.

        In its next turn, and in its own thread, the loop calls `told` with how many contacts that are, or with None if
        nothing is held.
        """
        self._releases.append((connector, told))

    def status(self) -> ServiceStatus:
        """Give what people and probes are shown. Any thread may ask."""
        return replace(self._status, last_turn=self.last_turn, draining=self.state is not State.RUNNING)

    def turn(self, source: Source) -> None:
        """Do everything once."""
        self._source = source
        now = self._clock.monotonic()
        self.last_turn = now
        self._obey(now)
        self._serve(now)
        messages = source.poll(max(0.0, min(LONGEST_POLL, self._delivery.next_time(now) - now)))
        now = self._clock.monotonic()
        self._fence.polled(now)
        if self.state is State.RUNNING:
            self._read(source, messages, now)
        self._delivery.turn(now)
        if self._lender is not None:
            self._lender.turn(now, lends=self.state is State.RUNNING)
        self._commit(source, now)
        if self.state is State.DRAINING:
            self._finish(source, now)
        if now >= self._publish_at:
            self._publish(source, now)

    # What the source tells, from within `poll` and `close`.

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Begin with these partitions: nothing is held of them, and their end is asked for."""
        self._metrics.rebalances("assigned")
        self._had_assignment = True
        self._partitions.assign(partitions, self._clock.monotonic())
        if self._source is not None and partitions:
            idle = self._paused or self.state is not State.RUNNING
            (self._source.pause if idle else self._source.resume)(partitions)
        _log.info("partitions assigned", partitions=_names(partitions), total=len(self._partitions))

    def started(self, partition: TopicPartition, committed: int | None, end: int) -> None:
        """Learn where a partition was committed and where it ended."""
        self._partitions.started(partition, committed, end)
        if self._source is not None:
            self._partitions.offsets.total = self._source.total()

    def end_reached(self, partition: TopicPartition) -> None:
        """Learn that all of a partition has been read."""
        self._partitions.end_reached(partition)

    def out_of_range(self, partition: TopicPartition, offset: int | None) -> None:
        """Leave a partition standing whose next offset is not there: to jump would lose changes silently."""
        ours = self._partitions.get(partition)
        if ours is None:
            return
        ours.stuck = True
        self._partitions.catching_up.discard(ours.assignment)  # it has no more to catch up with
        message = (
            f"offset {offset if offset is not None else ours.next_offset} of {partition.topic}/{partition.partition} "
            "is not in the topic: its retention passed it, or the topic was made anew. Decide where to go on, stop "
            "the service, set the group's offset with kafka-consumer-groups --reset-offsets, and start it"
        )
        self._attention[partition] = Attention(OUT_OF_RANGE, message, None, self._clock.time())
        self._metrics.service_needs_attention(OUT_OF_RANGE, on=True)
        _log.error("offset out of range", topic=partition.topic, partition=partition.partition, message=message)

    def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Send what is due and holds changes of these partitions, wait, commit, and forget the rest."""
        self._metrics.rebalances("revoked")
        ours = [partition for key in partitions if (partition := self._partitions.get(key)) is not None]
        flying = self._delivery.flying([partition.assignment for partition in ours])
        if self.state is not State.STOPPED and ours:
            self._hand_over(ours)
        self._forget(partitions)
        _log.info(
            "partitions revoked", partitions=_names(partitions), total=len(self._partitions), were_on_the_wire=flying
        )

    def lost(self, partitions: Collection[TopicPartition]) -> None:
        """Forget these partitions and commit nothing: others may have them already."""
        self._metrics.rebalances("lost")
        self._had_assignment = False
        self._forget(partitions)
        _log.warning("partitions lost", partitions=_names(partitions), total=len(self._partitions))

    def committed(self, offsets: Mapping[TopicPartition, int], errors: Mapping[TopicPartition, str]) -> None:
        """Learn what came of a commit; what was not taken is asked again later."""
        self._unanswered -= 1
        for key, offset in offsets.items():
            self._partitions.committed(key, offset)
        for key in errors:
            partition = self._partitions.get(key)
            if partition is not None:
                partition.asked = None
        if errors:
            self._commit_at = self._clock.monotonic() + COMMIT_AGAIN
            told = {f"{key.topic}/{key.partition}": error for key, error in errors.items()}
            _log.warning("offsets not committed, asked again", errors=told)
        elif offsets and self._asked_in_doubt:
            self._fence.confirmed(self._asked_in_doubt)

    def _obey(self, now: float) -> None:
        while self._releases:
            connector, told = self._releases.popleft()
            told(self._delivery.release(connector))
        while self._stops:
            why = self._stops.popleft()
            if self.state is State.RUNNING:
                _log.info("stopping", why=why, waiting=self._delivery.pending, timeout=self._bounds.shutdown_timeout)
                self.state = State.DRAINING
                self._deadline = now + self._bounds.shutdown_timeout
                if self._source is not None and len(self._partitions):
                    self._source.pause([partition.key for partition in self._partitions])
                self._delivery.trigger = "drain"
                self._delivery.hasten(now)
            else:
                _log.warning("stopping at once", why=why, waiting=self._delivery.pending)
                self._deadline = now

    def _serve(self, now: float, wait: float = 0.0) -> None:
        self._delivery.receive(self._workers.take(wait), now)
        self._sink.serve()

    def _read(self, source: Source, messages: Collection[Message], now: float) -> None:
        wall = self._clock.time()
        waiting = self._intake.take(list(messages), now, wall)
        if waiting:
            source.pause(waiting)
        freed = self._intake.turn(now, wall)
        if freed and not self._paused:
            source.resume(freed)
        self._balance(source, now)

    def _balance(self, source: Source, now: float) -> None:
        """Pause at a bound and resume at half of it, so that the group never waits for HubSpot."""
        full = self._delivery.pending / self._bounds.max_pending_contacts
        load = max(full, self._sink.weight / MOST_UNACKNOWLEDGED)
        if not self._paused and load >= 1:
            self._paused = True
            source.pause([partition.key for partition in self._partitions])
            _log.warning("reading pauses", waiting=self._delivery.pending, unacknowledged=self._sink.pending)
        elif self._paused and load <= RESUME_AT:
            self._paused = False
            source.resume([each.key for each in self._partitions if not each.held and not each.stuck])
            _log.info("reading goes on", waiting=self._delivery.pending)
        self._delivery.over_bound = self._paused and full > RESUME_AT
        if self._delivery.over_bound and now >= self._relieve_at:
            self._relieve_at = now + RELIEVE_EVERY
            self._delivery.relieve(now)

    def _commit(self, source: Source, now: float) -> None:
        """Ask to commit what is committable and was not asked for yet. The answer goes to `committed`."""
        if self._unanswered or (now < self._commit_at and self.state is State.RUNNING):
            return
        offsets = self._partitions.committable(again=self._fence.in_doubt)
        if offsets:
            self._commit_at = now + COMMIT_EVERY
            self._ask_commit(source, offsets)

    def _ask_commit(self, source: Source, offsets: Mapping[TopicPartition, int]) -> None:
        for key, offset in offsets.items():
            partition = self._partitions.get(key)
            if partition is not None:
                partition.asked = offset
        # While an older one is not answered nobody can tell whose answer comes, and it may be from before the doubt.
        self._asked_in_doubt = self._fence.doubts if self._fence.in_doubt and not self._unanswered else 0
        self._unanswered += 1
        source.commit(offsets)

    def _finish(self, source: Source, now: float) -> None:
        """Stop when all that can be done has been done and committed, or at the deadline."""
        busy = self._delivery.unfinished(self._deadline) or self._sink.pending
        if not busy:
            self._commit(source, now)
            busy = bool(self._unanswered or self._partitions.committable())
        if not busy or now >= self._deadline:
            _log.info("stopped", left_for_the_next_owner=self._delivery.pending, unacknowledged=self._sink.pending)
            self.state = State.STOPPED

    def _hand_over(self, partitions: Collection[Partition]) -> None:
        """Send what is due of these partitions, wait for what is on the wire, and commit; within one deadline."""
        assignments = [partition.assignment for partition in partitions]
        deadline = min(self._clock.monotonic() + self._bounds.shutdown_timeout, self._deadline)
        trigger, self._delivery.trigger = self._delivery.trigger, self._delivery.trigger or "revoke"
        wait = 0.0
        self._delivery.forget_not_found(assignments)
        while True:
            self._serve(self._clock.monotonic(), wait)
            now = self._clock.monotonic()
            self._fence.polled(now)  # the loop is awake, and librdkafka keeps the membership alive meanwhile
            self._delivery.turn(now)
            if now >= deadline or not (self._delivery.unfinished(now, assignments) or self._sink.pending):
                break
            wait = min(LONGEST_POLL, deadline - now)
        self._delivery.trigger = trigger
        keys = {partition.key for partition in partitions}
        offsets = {key: offset for key, offset in self._partitions.committable().items() if key in keys}
        if offsets and self._source is not None:
            self._ask_commit(self._source, offsets)

    def _forget(self, keys: Collection[TopicPartition]) -> None:
        for partition in self._partitions.revoke(keys):
            self._delivery.forget(partition.assignment)
            self._metrics.forget_partition(*partition.key)
            self._attention.pop(partition.key, None)
        if not self._attention:
            self._metrics.service_needs_attention(OUT_OF_RANGE, on=False)

    def _publish(self, source: Source, now: float) -> None:
        """Bring gauges and status up to date."""
        self._publish_at = now + PUBLISH_EVERY
        for lane in self._delivery.publish_pending():
            self._lists[lane.list.connector] = self._describe_list(lane)
        for name, account in self._delivery.accounts.items():
            self._delivery.account_series[name].rate_limit.set(account.rate(now))
        self._metrics.consumer_paused.set(self._paused)
        for partition in self._partitions:
            lag = self._lag(source, partition)
            if lag is not None:
                self._metrics.consumer_lag(*partition.key).set(lag)
        self._status = self._describe(source)

    def _lag(self, source: Source, partition: Partition) -> int | None:
        """Give how many events lie between the committed offset, or else the first one read, and the end."""
        end = source.end(partition.key)
        begin = partition.committed
        if begin is None:
            begin = self._partitions.offsets.committable(partition.assignment)
        return None if end is None or begin is None else max(0, end - begin)

    def _describe(self, source: Source | None = None) -> ServiceStatus:
        return ServiceStatus(
            lists=tuple(self._lists.values()),
            partitions=tuple(
                PartitionStatus(
                    topic=each.key.topic,
                    partition=each.key.partition,
                    committed=each.committed,
                    end=source.end(each.key),
                    lag=self._lag(source, each),
                )
                for each in self._partitions
                if source is not None
            ),
            paused=self._paused,
            draining=self.state is not State.RUNNING,
            ready=self._had_assignment,
            last_turn=self.last_turn,
            started_at=self._started_at,
            version=__version__,
            attention=tuple(self._attention.values()),
        )

    def _describe_list(self, lane: Lane) -> ListStatus:
        return replace(
            self._lists[lane.list.connector],
            list_name=lane.facts.name if lane.facts else None,
            waiting=lane.list.pending,
            last_request_at=lane.last_request_at,
            last_outcome=lane.last_outcome,
            last_success_at=lane.last_success_at,
            attention=lane.attention,
            hold=lane.hold,
            hub_id=self._workers.hub_id(lane.account.name),
        )


def _names(partitions: Collection[TopicPartition]) -> list[str]:
    return sorted(f"{each.topic}/{each.partition}" for each in partitions)
