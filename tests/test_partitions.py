"""Partitions of ours: epochs, catching up, and what is to be committed."""

from confluent_kafka import Message

from consumer.changes import TopicPartition
from consumer.offsets import Offsets
from consumer.partitions import Partition, Partitions

KEY, OTHER = TopicPartition("changes", 0), TopicPartition("changes", 1)


def _assigned() -> tuple[Partitions, Partition]:
    partitions = Partitions(Offsets())
    partitions.assign([KEY, OTHER], now=100.0)
    partition = partitions.get(KEY)
    assert partition is not None
    return partitions, partition


def test_a_partition_that_comes_back_is_another_assignment() -> None:
    """Each time a partition is assigned it has a new epoch and nothing is held of it."""
    partitions, first = _assigned()
    partitions.offsets.hold(first.assignment, 5)
    assert partitions.revoke([KEY]) == [first]
    assert partitions.get(KEY) is None
    partitions.assign([KEY], now=200.0)
    second = partitions.get(KEY)
    assert second is not None
    assert second.assignment is not first.assignment
    assert second.assignment.epoch == first.assignment.epoch + 1
    assert partitions.offsets.committable(second.assignment) is None


def test_a_partition_catches_up_when_all_below_its_end_was_read() -> None:
    """It is catching up until the end that was found at the assignment has been read."""
    partitions, partition = _assigned()
    partitions.started(KEY, committed=3, end=5)
    for offset in (3, 4):
        assert partition.assignment in partitions.catching_up
        assert offset < partition.behind()
        partitions.processed(partition, offset)
    assert partition.assignment not in partitions.catching_up
    assert partition.behind() == 5


def test_a_partition_without_anything_new_has_caught_up_at_once() -> None:
    """Nothing to read again: it is committed at its end."""
    partitions, partition = _assigned()
    partitions.started(KEY, committed=5, end=5)
    assert partition.assignment not in partitions.catching_up
    assert partition.committed == 5


def test_a_partition_has_not_caught_up_before_the_group_has_an_offset_of_it() -> None:
    """Else whoever takes over could not know that something may be on the wire."""
    partitions, partition = _assigned()
    partitions.started(KEY, committed=None, end=1)
    partitions.processed(partition, 0)
    partitions.end_reached(KEY)
    assert partition.assignment in partitions.catching_up
    partitions.committed(KEY, 0)
    assert partition.assignment not in partitions.catching_up
    assert partition.committed == 0


def test_a_commit_may_be_faster_than_the_answer_about_the_start() -> None:
    """What the broker has taken meanwhile stays known."""
    partitions, partition = _assigned()
    partitions.committed(KEY, 0)
    partitions.started(KEY, committed=None, end=0)
    assert partition.committed == 0
    assert partition.assignment not in partitions.catching_up


def test_the_end_may_be_told_by_having_been_reached() -> None:
    """Offsets at the end may bear no message; reaching the end is enough."""
    partitions, partition = _assigned()
    partitions.started(KEY, committed=3, end=9)
    partitions.processed(partition, 3)
    partitions.end_reached(KEY)
    assert partition.assignment not in partitions.catching_up


def test_what_was_read_before_the_end_was_known_counts() -> None:
    """The answer about the end may come after all was read."""
    partitions, partition = _assigned()
    for offset in range(5):
        assert offset < partition.behind(), "as long as nobody knows better"
        partitions.processed(partition, offset)
    partitions.started(KEY, committed=0, end=5)
    assert partition.assignment not in partitions.catching_up


def test_without_a_committed_offset_there_was_no_previous_owner() -> None:
    """A first start inherits nothing."""
    partitions, partition = _assigned()
    partitions.started(KEY, committed=None, end=5)
    assert partition.behind() == 0


def test_what_is_committable_is_asked_for_once() -> None:
    """An offset that was asked for is not asked again, unless told so or after an error."""
    partitions, partition = _assigned()
    assert partitions.committable() == {}
    partitions.processed(partition, 7)
    assert partitions.committable() == {KEY: 8}
    partition.asked = 8
    assert partitions.committable() == {}
    assert partitions.committable(again=True) == {KEY: 8}
    hold = partitions.offsets.hold(partition.assignment, 8)
    partitions.processed(partition, 8)
    assert partitions.committable() == {}
    hold.release()
    assert partitions.committable() == {KEY: 9}


def test_news_of_a_partition_that_is_gone_is_passed_over() -> None:
    """An answer may come after the partition has gone."""
    partitions, _ = _assigned()
    partitions.revoke([KEY, OTHER])
    partitions.started(KEY, committed=1, end=2)
    partitions.end_reached(KEY)
    assert len(partitions) == 0
    assert partitions.catching_up == set()


def test_the_end_may_be_reached_while_a_schema_is_asked_for() -> None:
    """With messages held undecoded, the partition has caught up once the last of them was read."""
    partitions, partition = _assigned()
    partitions.started(KEY, committed=3, end=9)
    partition.held.append(Message(topic=KEY.topic, partition=KEY.partition, offset=3))
    partitions.end_reached(KEY)
    assert partition.assignment in partitions.catching_up
    partitions.processed(partition, 3)
    assert partition.assignment not in partitions.catching_up


def test_nothing_is_held_of_a_partition_that_is_gone() -> None:
    """A revoked assignment has no offsets any more, so nothing can be committed of it."""
    partitions, partition = _assigned()
    partitions.processed(partition, 3)
    partitions.revoke([KEY])
    assert partition.assignment not in partitions.offsets
    assert partition.assignment not in partitions.catching_up
    assert partitions.committable() == {}
