"""All measures, in the order in which they run and are shown."""

from collections.abc import Iterable, Mapping, Sequence

from tests.bench import freshness, growth, memory, peers, quota, restart, startstop, throughput
from tests.bench.measure import Measure

SUITE: Mapping[str, Sequence[Measure]] = {
    "throughput": throughput.MEASURES,
    "growth": growth.MEASURES,
    "memory": memory.MEASURES,
    "freshness": freshness.MEASURES,
    "quota": quota.MEASURES,
    "startstop": (*startstop.MEASURES, *restart.MEASURES),
    "peers": peers.MEASURES,
}
"""The measures of each module; a new module has its line here."""


def measures() -> list[Measure]:
    """Give all measures."""
    return [measure for group in SUITE.values() for measure in group]


def choose(names: Iterable[str]) -> list[Measure]:
    """Give the measures of these names, which may be those of modules; all if there is no name. KeyError: unknown."""
    wanted: set[str] = set()
    for name in names:
        wanted |= {each.name for each in SUITE[name]} if name in SUITE else {_known(name)}
    return [each for each in measures() if each.name in wanted or not wanted]


def _known(name: str) -> str:
    if name not in {each.name for each in measures()}:
        raise KeyError(name)
    return name
