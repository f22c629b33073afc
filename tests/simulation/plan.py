"""Plans: what happens in a simulation, step by step, made from a seed. A plan is a value, so it can be cut down."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from consumer.simulator.faults import KINDS, Fault

Random = random.Random
SETTLE = 60.0  # seconds; what takes effect late does so within them
SESSION_TIMEOUT = 30.0

Seam = Literal["commit", "committed", "send", "serve", "submit", "take"]
OddKind = Literal["tombstone", "bytes", "unrouted", "no_identifier", "invalid"]
ODD: tuple[OddKind, ...] = ("tombstone", "bytes", "unrouted", "no_identifier", "invalid")

Answers = Literal["records", "commits", "lookups", "schemas"]
ANSWERS: tuple[Answers, ...] = ("records", "commits", "lookups", "schemas")

SEAMS: tuple[Seam, ...] = ("commit", "committed", "send", "serve", "submit", "take")
"""Where a member may crash: before and after the broker takes a commit, before a record is sent, after records were
acknowledged, before a request is given to a worker, before answers are taken."""


@dataclass(frozen=True)
class Setup:
    """What is there at the start. List `n` follows audience `sources[n]` and belongs to account `n % accounts`."""

    sources: tuple[int, ...] = (0,)
    accounts: int = 1
    partitions: int = 2
    members: int = 1
    max_contacts: int = 1000
    max_age: str = "2s"
    requests_per_10s: int = 100
    messages: int = 100  # in one poll, at most
    shutdown: str = "8s"
    give_up_after: str = "30m"
    retries: int = 3  # of contacts that were not found
    over: str = "14s"
    max_removed_share: str | None = None  # the guard: above 1, within 60 s


@dataclass(frozen=True)
class Pass:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True)
class Tell:
    """Write an event: a contact enters or leaves an audience."""

    source: int
    contact: int
    enters: bool


@dataclass(frozen=True)
class Odd:
    """Write an event that asks for no request, or that nobody can read."""

    kind: OddKind
    partition: int


@dataclass(frozen=True)
class Hit:
    """Make a fault of the simulated HubSpot active."""

    fault: Fault


@dataclass(frozen=True)
class Delete:
    """Delete a list in HubSpot."""

    number: int


@dataclass(frozen=True)
class Create:
    """Create a contact in every account, unless it is there."""

    contact: int


@dataclass(frozen=True)
class Merge:
    """Merge a contact into one that nothing is ever told of, in every account."""

    contact: int


@dataclass(frozen=True)
class Heal:
    """End all faults, and restore what was deleted."""


@dataclass(frozen=True)
class Join:
    """Start one more member."""


@dataclass(frozen=True)
class Stop:
    """Send a member SIGTERM, or two."""

    member: int
    twice: bool


@dataclass(frozen=True)
class Crash:
    """End a member without a word: now, or when it passes a seam for the `count`th time.

    What it had on the wire goes on; of what Kafka had not acknowledged all is `written`, or nothing.
    """

    member: int
    written: bool
    seam: Seam | None = None
    count: int = 1


@dataclass(frozen=True)
class Freeze:
    """Stop a member; it goes on after so many seconds. Thrown out meanwhile, it hears so `notice` seconds later."""

    member: int
    seconds: float
    notice: float


@dataclass(frozen=True)
class Move:
    """Let the group give a partition to another member."""

    partition: int
    member: int


@dataclass(frozen=True)
class Withhold:
    """Let something go unanswered, or answer it again.

    That is: acknowledgements of records, commits, lookups of offsets, questions to the registry.
    """

    what: Answers
    on: bool


@dataclass(frozen=True)
class RefuseCommits:
    """Refuse a member's next commits."""

    member: int
    errors: tuple[str, ...]


@dataclass(frozen=True)
class Rebuild:
    """Start a rebuild of a list. After `seconds` (None: never) it is told to stop or, if `kill`, ends at once."""

    number: int
    seconds: float | None = None
    kill: bool = False


@dataclass(frozen=True)
class Dawdle:
    """Let the workers take so long before they get to a request."""

    seconds: float


@dataclass(frozen=True)
class Release:
    """Let go what a member's guard holds of a list, if it holds anything."""

    member: int
    number: int


@dataclass(frozen=True)
class Jump:
    """Set the date forward or back."""

    seconds: float


@dataclass(frozen=True)
class Meddle:
    """Put a contact on a list by hand, in HubSpot; or take it off, if it is there."""

    number: int
    contact: int


@dataclass(frozen=True)
class Audit:
    """Begin to hold all lists against the log: as a process of its own, or by leave of a member."""

    member: int | None = None


Step = (
    Pass
    | Tell
    | Odd
    | Hit
    | Delete
    | Create
    | Merge
    | Heal
    | Join
    | Stop
    | Crash
    | Freeze
    | Move
    | Withhold
    | RefuseCommits
    | Dawdle
    | Release
    | Rebuild
    | Jump
    | Meddle
    | Audit
)


@dataclass(frozen=True)
class Plan:
    """A simulation: `seed` is for chance inside of it."""

    seed: int
    setup: Setup
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join(
            [f"Plan({self.seed}, {self.setup},", "    (", *(f"        {s}," for s in self.steps), "    ))"]
        )


SETUPS = (
    Setup(),
    Setup(sources=(0, 1), members=2, messages=2, shutdown="1s"),
    Setup(sources=(0, 1, 0), accounts=2, members=2, partitions=3, max_contacts=2, messages=3),
    Setup(
        sources=(0,), members=2, partitions=3, max_contacts=1, max_age="500ms", messages=1, shutdown="2s", over="3500ms"
    ),
    Setup(sources=(0, 1, 2), requests_per_10s=4, partitions=4, members=2, max_contacts=3),
    Setup(sources=(0, 1, 0, 1), accounts=2, requests_per_10s=8, members=3, partitions=4, max_contacts=2),
    Setup(sources=(0, 1, 2, 3), requests_per_10s=5, max_age="500ms", members=1),
    Setup(sources=(0, 1, 0, 1), requests_per_10s=4, max_age="500ms", max_contacts=1, members=2),
    Setup(sources=(0, 1), members=2, max_contacts=2, give_up_after="40s", shutdown="1s", retries=1, over="5s"),
    Setup(sources=(0, 0), max_age="5s", max_contacts=4, members=2, messages=1),
    Setup(sources=(0, 1), max_removed_share="50%"),
    Setup(sources=(0, 1, 0), members=2, max_contacts=2, shutdown="2s", max_removed_share="40%"),
    Setup(sources=(0, 1), members=2, max_contacts=3, give_up_after="40s", max_removed_share="50%"),
)


_Maker = Callable[[Random, Setup], Step]


def make_plan(seed: int) -> Plan:
    """Make the plan of a seed. It likes some kinds of steps, leaves others out, and has few contacts."""
    chance = random.Random(seed)  # noqa: S311 - plans must repeat themselves, secrets are not made here
    setup = chance.choice(SETUPS)
    contacts = chance.choice(((1,), (1, 2), (5,), (5, 4), (1, 2, 3, 4, 5)))
    likes = [(make, usual * chance.choice((0, 1, 1, 3))) for make, usual in _RARE]
    makers = [make for make, _ in (*_USUAL, *likes)]
    weights = [weight for _, weight in (*_USUAL, *likes)]
    made = [chance.choices(makers, weights)[0](chance, setup) for _ in range(chance.randint(15, 60))]
    if chance.random() < 0.6:
        where = chance.randrange(len(made))
        story = chance.choice((_change_of_mind, _change_of_mind, _found_late, _gone_before_it, _rebuilt_meanwhile))
        if setup.max_removed_share is not None and chance.random() < 0.5:
            story = _exodus
        made[where:where] = story(chance, setup)
    steps = (
        replace(step, contact=contacts[(step.contact - 1) % len(contacts)])
        if isinstance(step, Tell | Create | Merge | Meddle)
        else step
        for step in made
    )
    return Plan(seed, setup, tuple(steps))


def _change_of_mind(chance: Random, setup: Setup) -> list[Step]:
    """Let a contact leave again right after a request that takes effect late; its member may be gone by then."""
    source, contact, enters = chance.choice(setup.sources), chance.randint(1, 5), chance.random() < 0.5
    late = Fault("late", seconds=chance.choice((4.0, 8.0, 12.0, 40.0, SETTLE - 1)), method="PUT", times=1)
    rebalance: tuple[_Maker, ...] = (_crash, _freeze, _move, _stop)
    between = [chance.choice(rebalance)(chance, setup)] if chance.random() < 0.5 else []
    return [
        Hit(late),
        Tell(source, contact, enters),
        Pass(chance.choice((0.6, 3.0, 6.0))),
        *between,
        Tell(source, contact, not enters),
        Pass(chance.choice((3.0, 6.0))),
    ]


def _found_late(chance: Random, setup: Setup) -> list[Step]:
    """Let a contact leave that was created after it entered, while it is added by a try that takes effect late."""
    source = chance.choice(setup.sources)
    late = Fault("late", seconds=chance.choice((8.0, 12.0, 40.0, SETTLE - 1)), method="PUT", times=1)
    return [
        Tell(source, 5, enters=True),
        Pass(chance.choice((3.0, 6.0))),
        Create(5),
        Hit(late),
        Pass(chance.choice((3.0, 6.0, 10.0))),
        Tell(source, 5, enters=False),
        Pass(chance.choice((3.0, 6.0))),
    ]


def _gone_before_it(chance: Random, setup: Setup) -> list[Step]:
    """Let a contact that does not exist leave before its entry does, which waits for the first part of its batch."""
    source = chance.choice(setup.sources)
    return [
        Hit(Fault("slow", seconds=4.0, method="PUT", times=1)),
        *(Tell(source, contact, enters=True) for contact in range(1, 6)),
        Pass(chance.choice((1.0, 3.0, 6.0))),
        Tell(source, 5, enters=False),
        Pass(chance.choice((3.0, 6.0))),
        Create(5),
        Pass(10.0),
    ]


def _rebuilt_meanwhile(chance: Random, setup: Setup) -> list[Step]:
    """Let a contact change its mind while a rebuild's request, with what it wanted before, is on the wire."""
    number, contact, enters = chance.randrange(len(setup.sources)), chance.randint(1, 5), chance.random() < 0.5
    source = setup.sources[number]
    return [
        Tell(source, contact, enters),
        Pass(6.0),
        Hit(Fault(chance.choice(("slow", "late")), seconds=chance.choice((4.0, 8.0)), method="PUT", times=1)),
        Rebuild(number),
        Pass(chance.choice((0.3, 0.6, 2.0))),
        Tell(source, contact, not enters),
        Pass(chance.choice((3.0, 10.0))),
    ]


def _exodus(chance: Random, setup: Setup) -> list[Step]:
    """Let all who are in leave, in flushes of which none looks like much."""
    source = chance.choice(setup.sources)
    leaving: list[Step] = []
    for contact in range(1, 5):
        leaving += [Tell(source, contact, enters=False), Pass(chance.choice((3.0, 6.0)))]
    return [*(Tell(source, contact, enters=True) for contact in range(1, 5)), Pass(70.0), *leaving]


def _tell(chance: Random, setup: Setup) -> Step:
    return Tell(chance.choice(setup.sources), chance.randint(1, 5), chance.random() < 0.5)


def _pass(chance: Random, _setup: Setup) -> Step:
    return Pass(chance.choice((0.05, 0.3, 0.6, 1.0, 2.0, 2.0, 5.0, 10.0, 25.0)))


def _odd(chance: Random, setup: Setup) -> Step:
    return Odd(chance.choice(ODD), chance.randrange(setup.partitions))


_SECONDS: dict[str, Sequence[float]] = {
    "slow": (0.5, 3.0, 9.0, 15.0),
    "late": (0.5, 4.0, 8.0, 12.0, 40.0, SETTLE - 1),
    "rate_limited": (0.0, 1.0, 1.0, 3.0),
    "daily_limit": (0.0, 20.0),
    "migrating": (0.0, 20.0),
}
_LATE = ("request_timeout", "bad_gateway", "gateway_timeout")
_OFTEN = ("slow", "slow", "late", "late", "late", "late", "rate_limited", "rate_limited", "unavailable", "cut_after")
_FAULTS = (*KINDS, *_OFTEN)


def _hit(chance: Random, setup: Setup) -> Step:
    name = chance.choice(_FAULTS)
    late = name in _LATE and chance.random() < 0.7
    list_id = 100 + chance.randrange(len(setup.sources)) if chance.random() < 0.3 else None
    return Hit(
        Fault(
            name,
            seconds=chance.choice(_SECONDS.get(name, (0.0, 0.0, 2.0))),
            list_id=None if KINDS[name].on_token else list_id,
            method=None if KINDS[name].on_token else chance.choice(("PUT", "PUT", None)),
            times=chance.choice((1, 1, 1, 2, 5, None)),
            share=chance.choice((1.0, 1.0, 0.5)),
            applied_after=chance.choice((0.5, 4.0, 8.0, 12.0, 40.0, SETTLE - 1)) if late else None,
        )
    )


def _stop(chance: Random, _setup: Setup) -> Step:
    return Stop(chance.randrange(4), chance.random() < 0.3)


def _move(chance: Random, setup: Setup) -> Step:
    return Move(chance.randrange(setup.partitions), chance.randrange(4))


def _crash(chance: Random, _setup: Setup) -> Step:
    seam = chance.choice((None, *SEAMS))
    return Crash(chance.randrange(4), chance.random() < 0.5, seam, chance.choice((1, 1, 2, 3)))


def _freeze(chance: Random, _setup: Setup) -> Step:
    seconds = chance.choice((1.0, 10.0, SESSION_TIMEOUT + 1, SESSION_TIMEOUT + 20, 200.0))
    return Freeze(chance.randrange(4), seconds, chance.choice((0.0, 0.5, 3.0)))


def _rebuild(chance: Random, setup: Setup) -> Step:
    seconds = chance.choice((None, None, 0.3, 3.0, 30.0))
    return Rebuild(chance.randrange(len(setup.sources)), seconds, chance.random() < 0.5)


def _withhold(chance: Random, _setup: Setup) -> Step:
    return Withhold(chance.choice(ANSWERS), chance.random() < 0.6)


def _refuse_commits(chance: Random, _setup: Setup) -> Step:
    errors = ("REBALANCE_IN_PROGRESS", "ILLEGAL_GENERATION", "REQUEST_TIMED_OUT", "_WAIT_COORD")
    return RefuseCommits(chance.randrange(4), tuple(chance.choices(errors, k=chance.randint(1, 3))))


_USUAL: tuple[tuple[_Maker, float], ...] = ((_tell, 10), (_pass, 10))
_RARE: tuple[tuple[_Maker, float], ...] = (
    (_odd, 1),
    (_hit, 5),
    (lambda chance, setup: Delete(chance.randrange(len(setup.sources))), 0.3),
    (lambda chance, _setup: Create(chance.randint(1, 5)), 2),
    (lambda chance, _setup: Merge(chance.randint(1, 5)), 0.5),
    (lambda _chance, _setup: Heal(), 1),
    (lambda _chance, _setup: Join(), 1),
    (_stop, 1),
    (_crash, 2),
    (_freeze, 1),
    (_move, 2),
    (_withhold, 2),
    (_refuse_commits, 1),
    (_rebuild, 1),
    (lambda chance, setup: Meddle(chance.randrange(len(setup.sources)), chance.randint(1, 5)), 0.5),
    (lambda chance, _setup: Audit(chance.choice((None, chance.randrange(4)))), 1),
    (lambda chance, setup: Release(chance.randrange(4), chance.randrange(len(setup.sources))), 1),
    (lambda chance, _setup: Dawdle(chance.choice((0.0, 0.2, 1.0, 4.0))), 2),
    (lambda chance, _setup: Jump(chance.choice((-3600.0, -5.0, 5.0, 86_400.0))), 0.3),
)
