"""A histogram for prometheus-client that takes thousands of observations at once: its own takes one by one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class Observed:
    """The observations of one set of labels. One thread writes; others may read."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Take one observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def observe_ages(self, now: float, times: Sequence[int]) -> None:
        """Take how many seconds before `now` each of `times` was; they are in milliseconds, and none is negative."""
        times = sorted(times)
        future = len(times) - bisect_right(times, now * 1000)  # by a clock ahead of ours: as if it were just now
        older = [bisect_left(times, (now - bound) * 1000) for bound in self._bounds]
        for number, (above, below) in enumerate(zip([len(times), *older], [*older, 0], strict=True)):
            self._counts[number] += above - below
        past = times[: len(times) - future]
        self._sum += len(past) * now - sum(past) / 1000

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """Give how many are at or below each bound, and their sum."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        return list(zip(names, accumulate(self._counts.copy()), strict=True)), self._sum


class Histogram(Collector):
    """Observations by labels; `bounds` are the upper ends of the buckets, rising."""

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._bounds = bounds
        self._observed: dict[tuple[str, ...], Observed] = {}
        registry.register(self)

    def labels(self, *values: str) -> Observed:
        """Give those of a set of labels, which are there from then on."""
        return self._observed.setdefault(values, Observed(self._bounds))

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Tell the name alone."""
        return [HistogramMetricFamily(self._name, self._documentation, labels=self._labels)]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Give all."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, observed in self._observed.copy().items():
            buckets, total = observed.read()
            family.add_metric(values, buckets, total)
        return [family]
