"""How long a partition stands still, from what was seen."""

import pytest

from tests.bench.restart import PARTITIONS, longest_pause, longest_standstill
from tests.chaos.lag import Sample


def test_a_partition_stands_still_while_it_has_events_and_its_offset_does_not_move() -> None:
    """It counts from the last time it moved, and for the partition that waits longest."""
    samples = [
        Sample(0.0, (0, 0), (5, 5)),
        Sample(1.0, (5, 1), (9, 9)),
        Sample(2.0, (5, 1), (9, 9)),
        Sample(4.0, (6, 1), (9, 9)),
        Sample(5.0, (6, 9), (9, 9)),
    ]
    assert longest_standstill(samples) == 3.0


def test_a_partition_without_events_does_not_stand_still() -> None:
    """Where all is committed there is nothing to wait for."""
    assert longest_standstill([Sample(at, (7,), (7,)) for at in (0.0, 50.0)]) == 0.0
    assert longest_standstill([Sample(0.0, (7,), (7,)), Sample(50.0, (7,), (7,)), Sample(51.0, (7,), (8,))]) == 1.0


def test_a_pause_is_the_longest_time_without_a_change_of_some_partition() -> None:
    """The ends of the span count, what lies outside of it does not."""
    all_the_time = [(number, float(at)) for number in range(PARTITIONS) for at in range(21)]
    assert longest_pause(all_the_time, 0.0, 20.0) == 1.0
    but_one = [each for each in all_the_time if each[0] or not 3 < each[1] < 9]
    assert longest_pause(but_one, 0.0, 20.0) == pytest.approx(6.0)
    assert longest_pause([(0, 30.0)], 0.0, 20.0) == 20.0
