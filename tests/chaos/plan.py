"""What a round of chaos does, and when: all of it follows from the seed. Pure.

A round has tracks that run side by side, each one step after the other, so faults of several tracks overlap.
How many steps of each kind there are is fixed; their order, their length and the pauses between them are the seed's.
"""

import random
from dataclasses import dataclass

from consumer.simulator.faults import Fault

MEMBERS = 3
ACCOUNTS = ("acme", "umbra")
LISTS = {4711: "acme", 4712: "acme", 4713: "acme", 4721: "umbra", 4722: "umbra", 4723: "umbra"}
"""The lists, each fed by an audience of the same name, and their accounts."""

PARTITIONS = 6
CONTACTS = 6000
ACTIVE = 1500
"""Record ids go from 1 to CONTACTS, of which so many change at a time."""

MISSING = 50
"""Every so many-th record id is not in HubSpot."""

EVENTS = 210_000
EVENTS_PER_SECOND = 1200

SESSION = 3  # seconds, session.timeout.ms
LATENCY = 1.0  # seconds that HubSpot takes for an answer when all is well
TIMEOUT = 2  # seconds, hubspot.timeout
SETTLE = 4  # seconds, hubspot.settle: no request here is later than that after its timeout or the next assignment
LATEST = 2.5  # seconds at most after which a request that HubSpot did not answer takes effect


@dataclass(frozen=True, slots=True)
class Step:
    """One fault. After a pause of so many seconds it goes on for so many seconds; `fault` is what HubSpot suffers."""

    kind: str
    pause: float
    seconds: float
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything of a round that chance decides. `members` has one track for each member."""

    seed: int
    members: tuple[tuple[Step, ...], ...]
    parts: tuple[Step, ...]
    hubspot: tuple[Step, ...]
    account: str
    revocation: Step


# How many of a kind in a round, and the shortest and longest it goes on: seconds.
_MEMBER_STEPS = (
    ("killed", 21, 1, 6),  # until it is replaced
    ("stopped", 4, 1, 4),
    ("frozen", 2, 1, 4.5),  # less than SESSION and SETTLE together: see the README's residual risks
    ("cut from Kafka", 1, 2, 6),
    ("silent to Kafka", 1, 2, 6),
    ("cut from HubSpot", 1, 2, 6),
    ("silent to HubSpot", 1, 2, 3.5),
)
_PART_STEPS = (("broker away", 2, 1, 6), ("registry away", 2, 2, 12))


def make(seed: int) -> Plan:
    """Give the plan of a seed."""
    chance = random.Random(seed)  # noqa: S311 - a plan must repeat itself
    steps = _shuffled(chance, _MEMBER_STEPS, pause=(7.0, 14.0))
    account = chance.choice(ACCOUNTS)
    return Plan(
        seed=seed,
        members=tuple(tuple(steps[number::MEMBERS]) for number in range(MEMBERS)),
        parts=tuple(_shuffled(chance, _PART_STEPS, pause=(15.0, 35.0))),
        hubspot=tuple(_hubspot(chance)),
        account=account,
        revocation=Step("token revoked", chance.uniform(25, 60), chance.uniform(8, 15)),
    )


def _shuffled(
    chance: random.Random, kinds: tuple[tuple[str, int, float, float], ...], pause: tuple[float, float]
) -> list[Step]:
    steps = [
        Step(kind, chance.uniform(*pause), chance.uniform(shortest, longest))
        for kind, times, shortest, longest in kinds
        for _ in range(times)
    ]
    chance.shuffle(steps)
    return steps


def _hubspot(chance: random.Random) -> list[Step]:
    def late() -> float:
        return chance.uniform(0.1, LATEST)

    def only(name: str, seconds: float = 0.0, **more: float) -> Fault:
        return Fault(name, seconds, method="PUT", **more)  # type: ignore[arg-type]  # times is the only whole one, and given as such

    faults = [
        *[only("slow", chance.uniform(1.2, 1.8)) for _ in range(3)],
        only("slow", TIMEOUT + 1, share=0.3),  # for which nobody waits
        *[only("unavailable", share=share) for share in (0.5, 1.0)],
        only("rate_limited", chance.uniform(0, 3), share=0.3),
        *[only("late", late(), share=0.4) for _ in range(3)],
        *[only("cut_before", share=0.3), only("cut_after", share=0.3)],
        *[
            only(name, share=0.3, applied_after=late())
            for name in ("bad_gateway", "gateway_timeout", "request_timeout")
        ],
        *[only("migrating", 2, share=0.3), only("locked", share=0.3), only("unreadable", share=0.3)],
        *[only("server_error", times=2), only("bad_request", times=2)],
        Fault("refresh_unavailable"),
    ]
    chance.shuffle(faults)
    return [Step(f"HubSpot {each.name}", chance.uniform(2, 8), chance.uniform(2, 6), each) for each in faults]
