"""One member of a group, against librdkafka's mock cluster: a real protocol on a real port."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack

import pytest
from confluent_kafka import KafkaError, Producer
from structlog.testing import capture_logs

from consumer.changes import Message, TopicPartition
from consumer.errors import KafkaFailed
from consumer.kafka.embedded import EmbeddedKafka
from consumer.kafka.source import KafkaSource
from tests.fakes.mock_cluster import HEARTBEAT, LIST_OFFSETS, OFFSET_COMMIT, OFFSET_FETCH, MockCluster

pytestmark = pytest.mark.process

TOPIC = "journey.membership"
P0, P1 = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
POLL = 0.05
MOST_POLLS = 600
FEW_POLLS = 10

# The mock cluster waits for a session but one second when a group changes, and hears of it by heartbeats.
QUICK = {
    "session.timeout.ms": 3000,
    "heartbeat.interval.ms": 100,
    "fetch.wait.max.ms": 20,
    "topic.metadata.refresh.interval.ms": 500,
}


class Member:
    """A listener that remembers, and its source. `on_revoked` is called before partitions go."""

    def __init__(self, bootstrap: str, **properties: str | float) -> None:
        self.owned: set[TopicPartition] = set()
        self.starts: dict[TopicPartition, tuple[int | None, int]] = {}
        self.ended: list[TopicPartition] = []
        self.lacking: list[tuple[TopicPartition, int | None]] = []
        self.taken: list[dict[TopicPartition, int]] = []
        self.refused: list[dict[TopicPartition, str]] = []
        self.gone: list[TopicPartition] = []
        self.messages: list[Message] = []
        self.read_at_end = 0
        self.on_assigned: Callable[[Collection[TopicPartition]], None] = lambda _partitions: None
        self.on_revoked: Callable[[Collection[TopicPartition]], None] = lambda _partitions: None
        settings = {"bootstrap.servers": bootstrap, "group.id": "group", **QUICK, **properties}
        self.source = KafkaSource(settings, [TOPIC], self)

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Note it."""
        assert not self.owned.intersection(partitions)
        self.owned.update(partitions)
        self.on_assigned(partitions)

    def started(self, partition: TopicPartition, committed: int | None, end: int) -> None:
        """Note it."""
        self.starts[partition] = (committed, end)

    def end_reached(self, partition: TopicPartition) -> None:
        """Note it, and how much had been read."""
        self.ended.append(partition)
        self.read_at_end = len(self.messages)

    def out_of_range(self, partition: TopicPartition, offset: int | None) -> None:
        """Note it."""
        self.lacking.append((partition, offset))

    def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Note it."""
        self.on_revoked(partitions)
        self.owned.difference_update(partitions)
        self.gone.extend(partitions)

    def lost(self, partitions: Collection[TopicPartition]) -> None:
        """Note it."""
        self.owned.difference_update(partitions)

    def committed(self, offsets: Mapping[TopicPartition, int], errors: Mapping[TopicPartition, str]) -> None:
        """Note it."""
        if offsets:
            self.taken.append(dict(offsets))
        if errors:
            self.refused.append(dict(errors))

    def poll(self, times: int = 1) -> None:
        """Poll."""
        for _ in range(times):
            self.messages += self.source.poll(POLL)

    def offsets(self, partition: TopicPartition) -> list[int | None]:
        """Offsets of what was read from a partition."""
        return [each.offset() for each in self.messages if (each.topic(), each.partition()) == partition]

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit, and wait for the answer."""
        answers = len(self.taken) + len(self.refused)
        self.source.commit(offsets)
        until(lambda: len(self.taken) + len(self.refused) > answers, self)


def until(done: Callable[[], object], *members: Member) -> None:
    """Let members poll until it is so."""
    for _ in range(MOST_POLLS):
        if done():
            return
        for member in members:
            member.poll()
    raise AssertionError("it does not come about")


class Broker:
    """A cluster whose topic has two partitions, and the members that were started on it."""

    def __init__(self, cluster: MockCluster, stack: ExitStack) -> None:
        self.cluster = cluster
        self._producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0})
        self._stack = stack

    def write(self, partition: TopicPartition, count: int) -> None:
        """Append messages."""
        for number in range(count):
            self._producer.produce(partition.topic, f"value {number}".encode(), partition=partition.partition)
        assert self._producer.flush(20) == 0

    def member(self, **properties: str | float) -> Member:
        """Start a member; it is closed at the end."""
        member = Member(self.cluster.bootstrap, **properties)
        self._stack.callback(member.source.close)
        return member

    def started(self, **properties: str | float) -> Member:
        """Start a member and wait until it has both partitions and has read all."""
        member = self.member(**properties)
        until(lambda: len(member.starts) == 2 and {*member.ended} == {P0, P1}, member)
        return member


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Yield a broker."""
    with MockCluster({TOPIC: 2}) as cluster, ExitStack() as stack:
        yield Broker(cluster, stack)


def test_all_is_read_in_order_from_the_beginning(broker: Broker) -> None:
    """A new group starts with the oldest message, and hears where each partition began and ended."""
    broker.write(P0, 5)
    broker.write(P1, 1500)

    member = broker.started()

    assert member.owned == {P0, P1}
    assert member.starts == {P0: (None, 5), P1: (None, 1500)}
    assert member.offsets(P0) == list(range(5))
    assert member.offsets(P1) == list(range(1500))
    assert member.messages[0].value() is not None
    assert member.lacking == []
    assert (member.source.end(P0), member.source.end(P1)) == (5, 1500)
    assert member.source.end(TopicPartition("unknown", 0)) is None
    assert member.source.total() == 2


def test_the_end_is_told_after_all_before_it_was_given(broker: Broker) -> None:
    """When the end of a partition is told, the loop has been given every message before it."""
    broker.write(P0, 5)
    member = broker.member()
    until(lambda: P0 in member.ended, member)

    assert len(member.offsets(P0)) == member.read_at_end == 5


def test_a_new_group_may_start_at_the_latest(broker: Broker) -> None:
    """With auto.offset.reset latest, a new group skips what is there and reads what comes."""
    broker.write(P0, 5)
    member = broker.started(**{"auto.offset.reset": "latest"})
    assert member.messages == []

    broker.write(P0, 2)
    until(lambda: member.messages, member)

    assert member.starts[P0] == (None, 5)
    assert member.offsets(P0)[0] == 5
    assert member.lacking == []


def test_a_restart_goes_on_where_it_was_committed(broker: Broker) -> None:
    """The next member reads from the committed offset on, whatever was read beyond it."""
    broker.write(P0, 10)
    first = broker.started()
    first.commit({P0: 4, P1: 0})
    assert first.taken == [{P0: 4, P1: 0}]
    first.source.close()

    second = broker.started(**{"auto.offset.reset": "latest"})

    assert second.starts == {P0: (4, 10), P1: (0, 0)}
    assert second.offsets(P0) == [4, 5, 6, 7, 8, 9]


def test_nothing_is_committed_unasked(broker: Broker) -> None:
    """What was read, but not committed by the loop, is read again."""
    broker.write(P0, 3)
    first = broker.started(**{"auto.commit.interval.ms": 10})
    first.poll(FEW_POLLS)
    first.source.close()

    second = broker.started()

    assert second.starts[P0] == (None, 3)
    assert second.offsets(P0) == [0, 1, 2]


@pytest.mark.parametrize(("committed", "begins_at"), [(3, 5), (99, 0)], ids=["retention passed it", "beyond the end"])
@pytest.mark.parametrize("first", ["earliest", "latest"])
def test_an_offset_that_is_not_there_is_reported(broker: Broker, committed: int, begins_at: int, first: str) -> None:
    """A committed offset that the partition no longer holds never jumps: it is told once, and nothing is read."""
    broker.write(P0, 10)
    broker.write(P1, 1)
    before = broker.started()
    before.commit({P0: committed, P1: 0})
    before.source.close()
    if begins_at:
        broker.cluster.delete_records(TOPIC, 0, begins_at)

    member = broker.member(**{"auto.offset.reset": first})
    until(lambda: member.lacking and P1 in member.ended, member)
    broker.write(P0, 1)
    member.poll(FEW_POLLS)

    assert member.lacking == [(P0, committed)]
    assert member.offsets(P0) == []
    assert member.offsets(P1) == [0]
    assert P0 in member.owned


def test_retention_that_overtakes_a_reader_is_reported(broker: Broker) -> None:
    """What is deleted before it was read is missed: the partition is reported, though nothing was committed yet."""
    broker.write(P0, 5)
    member = broker.started()
    member.source.pause([P0])
    broker.write(P0, 10)
    broker.cluster.delete_records(TOPIC, 0, 10)
    member.source.resume([P0])
    until(lambda: member.lacking, member)

    assert member.lacking == [(P0, None)]
    assert member.offsets(P0) == list(range(5))


def test_a_partition_that_comes_back_uncommitted_starts_anew(broker: Broker) -> None:
    """What was read but not committed in an earlier assignment is read again, and is no reason for a report."""
    broker.write(P0, 3)
    broker.write(P1, 3)
    member = broker.started()
    other = broker.member()
    until(lambda: other.owned, member, other)
    other.source.close()
    until(lambda: member.owned == {P0, P1} and len(member.messages) == 9, member)

    assert member.lacking == []


def test_a_member_knows_how_many_partitions_there_are(broker: Broker) -> None:
    """Who has one of two partitions knows that there are two, and nobody knows before somebody has told."""
    member = broker.started()
    other = broker.member()
    assert other.source.total() == 0
    until(lambda: other.starts, member, other)
    assert (len(other.owned), other.source.total()) == (1, 2)


def test_a_paused_partition_is_silent(broker: Broker) -> None:
    """While paused a partition gives nothing, others go on; resumed it gives all that came meanwhile."""
    member = broker.started()
    member.source.pause([P0])
    broker.write(P0, 3)
    broker.write(P1, 3)
    until(lambda: len(member.offsets(P1)) == 3, member)
    member.poll(FEW_POLLS)
    assert member.offsets(P0) == []

    member.source.resume([P0])
    until(lambda: len(member.offsets(P0)) == 3, member)
    assert member.offsets(P0) == [0, 1, 2]


@pytest.mark.parametrize(("reset", "first"), [("earliest", 0), ("latest", 3)])
def test_a_partition_can_be_paused_when_it_is_assigned(broker: Broker, reset: str, first: int) -> None:
    """A pause from within the assignment holds, also for a partition whose start has to be found first."""
    broker.write(P0, 3)
    member = broker.member(**{"auto.offset.reset": reset})
    member.on_assigned = member.source.pause
    until(lambda: len(member.starts) == 2, member)
    member.poll(2 * FEW_POLLS)  # in which librdkafka may lose the pause, once, and give what is there
    broker.write(P0, 3)
    member.poll(2 * FEW_POLLS)
    assert not {3, 4, 5}.intersection(member.offsets(P0))

    member.source.resume([P0, P1])
    until(lambda: P0 in member.ended, member)
    broker.write(P0, 1)
    until(lambda: 6 in member.offsets(P0), member)
    assert member.offsets(P0) == [0, 1, 2, 3, 4, 5, 6][first:]


def test_a_pause_before_the_assignment_means_nothing(broker: Broker) -> None:
    """Only what is ours can be paused: a partition that is assigned later is read."""
    broker.write(P0, 3)
    member = broker.member()
    member.source.pause([P0, P1])
    until(lambda: len(member.offsets(P0)) == 3, member)

    assert member.offsets(P0) == [0, 1, 2]


def test_a_partition_revoked_while_paused_comes_back_reading(broker: Broker) -> None:
    """A pause ends with the assignment that it was asked for."""
    member = broker.started()
    member.source.pause([P0, P1])
    other = broker.member()
    until(lambda: other.owned and len(member.owned) == 1, member, other)
    (moved,) = other.owned
    other.source.close()
    until(lambda: moved in member.owned, member)
    (kept,) = {P0, P1} - {moved}
    broker.write(moved, 2)
    broker.write(kept, 2)
    until(lambda: len(member.offsets(moved)) == 2, member)
    member.poll(FEW_POLLS)

    assert member.offsets(kept) == []


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (KafkaError.REBALANCE_IN_PROGRESS, "REBALANCE_IN_PROGRESS"),
        (KafkaError.ILLEGAL_GENERATION, "ILLEGAL_GENERATION"),
    ],
)
def test_a_refused_commit_is_told_for_each_partition(broker: Broker, code: int, name: str) -> None:
    """A commit in the middle of a rebalance is refused; the listener hears Kafka's name of the error."""
    member = broker.started()
    broker.cluster.fail(OFFSET_COMMIT, code)

    member.commit({P0: 0, P1: 0})

    assert member.taken == []
    assert member.refused == [{P0: name, P1: name}]


def test_a_passing_refusal_of_a_commit_is_not_told(broker: Broker) -> None:
    """While the coordinator loads, the client asks again by itself."""
    member = broker.started()
    broker.cluster.fail(OFFSET_COMMIT, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)

    member.commit({P0: 0})

    assert (member.taken, member.refused) == ([{P0: 0}], [])


def test_two_members_share_the_partitions(broker: Broker) -> None:
    """A second member takes over one partition; the first keeps the other all the time, and hears what it gives up."""
    member = broker.started()
    other = broker.member()
    until(lambda: len(other.owned) == 1 and len(member.owned) == 1, member, other)

    assert member.owned | other.owned == {P0, P1}
    assert set(member.gone) == other.owned
    assert other.gone == []


def test_a_commit_while_partitions_are_revoked_is_answered(broker: Broker) -> None:
    """What is committed from within the revocation counts: the new owner goes on from there.

    A mock cluster that is slow to answer refuses it, unlike a broker; then the new owner begins where nobody committed.
    """
    broker.write(P0, 5)
    broker.write(P1, 5)
    member = broker.started()
    member.on_revoked = lambda partitions: member.source.commit(dict.fromkeys(partitions, 3))
    other = broker.member()
    until(lambda: other.owned and {*other.starts} == other.owned and other.messages, member, other)
    until(lambda: member.taken or member.refused, member, other)

    (moved,) = other.owned
    taken = [] if member.refused else [{moved: 3}]
    assert member.taken == taken
    assert member.refused == ([] if taken else [{moved: "REBALANCE_IN_PROGRESS"}])
    assert other.starts[moved] == (3 if taken else None, 5)
    assert other.offsets(moved)[0] == (3 if taken else 0)


def test_closing_revokes_once_more(broker: Broker) -> None:
    """A member that leaves gives its partitions up first, and may still commit then."""
    broker.write(P0, 5)
    broker.write(P1, 5)
    member = broker.started()
    member.on_revoked = lambda partitions: member.source.commit(dict.fromkeys(partitions, 2))

    member.source.close()

    assert set(member.gone) == {P0, P1}
    assert member.owned == set()
    assert broker.started().starts[P0] == (2, 5)


def test_a_topic_that_does_not_exist_is_waited_for() -> None:
    """A missing topic is said in the log and ends nothing."""
    with MockCluster({}) as cluster, capture_logs() as logs:
        member = Member(cluster.bootstrap)
        member.poll(2 * FEW_POLLS)
        member.source.close()

    assert member.messages == []
    assert {each["error"] for each in logs} == {"UNKNOWN_TOPIC_OR_PART"}


def test_a_failed_question_about_offsets_is_put_again(broker: Broker) -> None:
    """While the end of a partition cannot be had, the member asks on, and reads meanwhile."""
    broker.write(P0, 3)
    broker.cluster.fail(LIST_OFFSETS, *[KafkaError.TOPIC_AUTHORIZATION_FAILED] * 2)

    member = broker.started()

    assert member.starts == {P0: (None, 3), P1: (None, 0)}
    assert member.offsets(P0) == [0, 1, 2]


@pytest.mark.parametrize("code", [KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE])
def test_a_coordinator_that_moves_does_not_end_the_service(broker: Broker, code: int) -> None:
    """While brokers restart nobody may know the group's offsets; it is asked again until somebody does."""
    broker.write(P0, 3)
    member = broker.member()
    member.on_assigned = lambda _partitions: broker.cluster.fail(OFFSET_FETCH, *[code] * 4)
    until(lambda: member.starts.keys() >= {P0, P1} and len(member.offsets(P0)) == 3, member)
    assert member.starts[P0] == (None, 3)


def test_what_only_a_new_process_can_mend_ends_this_one(broker: Broker) -> None:
    """A member that was fenced, because another has its name, gives up."""
    member = broker.started(**{"group.instance.id": "one"})
    broker.cluster.fail(HEARTBEAT, *[KafkaError.FENCED_INSTANCE_ID] * 3)

    with pytest.raises(KafkaFailed, match="the consumer cannot go on"):
        until(lambda: False, member)


def test_a_defect_in_the_listener_reaches_the_loop(broker: Broker) -> None:
    """What the listener raises within a callback comes out of poll and close; the member can leave all the same."""
    member = broker.member()

    def fail(_partitions: Collection[TopicPartition]) -> None:
        raise ZeroDivisionError("a defect")

    broker.write(P0, 5)
    member.on_assigned = fail
    with pytest.raises(ZeroDivisionError, match="a defect"):
        until(lambda: False, member)
    member.on_revoked = fail
    with pytest.raises(ZeroDivisionError, match="a defect"):
        member.source.close()


def test_an_unreachable_broker_is_waited_for() -> None:
    """Without a broker polls are empty and the log says why; nothing is raised."""
    with capture_logs() as logs:
        member = Member("127.0.0.1:9")
        member.poll(FEW_POLLS)
        member.source.close()

    assert member.messages == []
    assert logs


def test_the_embedded_cluster_serves_a_round() -> None:
    """EmbeddedKafka is enough for a group that reads, commits and comes back."""
    with EmbeddedKafka() as kafka:
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        producer.produce(TOPIC, b"value", partition=0)
        assert producer.flush(20) == 0
        first = Member(kafka.bootstrap)
        until(lambda: first.messages and len(first.starts) == 4, first)
        first.commit({P0: 1})
        first.source.close()
        second = Member(kafka.bootstrap)
        until(lambda: P0 in second.starts, second)
        second.source.close()

    assert first.taken == [{P0: 1}]
    assert second.starts[P0] == (1, 1)
    assert second.messages == []
