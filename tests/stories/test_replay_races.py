"""A replay, or a rebuild, and the service beside it, in any order that hypothesis thinks of: the log wins."""

from dataclasses import dataclass

from hypothesis import example, given
from hypothesis import strategies as st

from consumer.simulator.faults import Fault
from tests.fakes.replay import Rebuilding, Replaying, Sending
from tests.fakes.service import world

CONTACTS = range(1, 4)
SETTLE = 20.0
FAULTS = (
    None,
    Fault("slow", seconds=3, method="PUT", times=1),
    Fault("slow", seconds=15, method="PUT", times=1),  # past the timeout
    Fault("late", seconds=12, method="PUT", times=1),
    Fault("gateway_timeout", method="PUT", times=1, applied_after=15),
    Fault("cut_after", method="PUT", times=1),
    Fault("cut_before", method="PUT", times=1),
    Fault("unavailable", method="PUT", times=2),
    Fault("rate_limited", seconds=2, method="PUT", times=1),
)

Tell = tuple[int, str]
TELLS = st.tuples(st.sampled_from(CONTACTS), st.sampled_from(("ENTER", "EXIT")))
TURNS = st.sampled_from((0, 5, 40, 150))  # of up to 50 ms each


@dataclass(frozen=True)
class Round:
    """What happens one after the other: to requests at HubSpot, the replay, the log, the service, the replay again.

    A process that is held has its requests wait before they leave; a stalled replay gets nothing of the log.
    """

    fault: Fault | None
    held: bool
    replay_turns: int
    stalled: bool
    tells: list[Tell]
    service_held: bool
    service_turns: int
    replay_turns_again: int


ROUNDS = st.lists(
    st.builds(
        Round,
        fault=st.sampled_from(FAULTS),
        held=st.booleans(),
        replay_turns=TURNS,
        stalled=st.booleans(),
        tells=st.lists(TELLS, max_size=3),
        service_held=st.booleans(),
        service_turns=TURNS,
        replay_turns_again=TURNS,
    ),
    max_size=5,
)


def race(refused: list[Tell], rounds: list[Round], stop: int | None = None, *, rebuild: bool = False) -> None:
    """Let both run; the replay is told to stop in the round of that number. Then all goes well, and both come to rest.

    With `rebuild` the list is rebuilt instead.

    AssertionError if the list is not what the log says. Of a replay that was stopped that is asked of those contacts of
    which HubSpot took something.
    """
    patience = {"timeout": "1h"}  # or else a stop would not wait until what may take effect late has done so
    hubspot = {"timeout": "5s", "settle": f"{SETTLE:.0f}s"}
    with world(window={"max_age": "1s"}, hubspot=hubspot, shutdown=patience) as w:
        truth: dict[int, str] = {}

        def tell(told: list[Tell]) -> None:
            for contact, transition in told:
                truth[contact] = transition
                w.tell(transition, contact)

        member = w.member()
        handle = w.portal.inject(Fault("bad_request", method="PUT"))
        tell(refused)
        member.run_until(w.all_committed)
        w.portal.heal(handle)
        replaying: Sending = Rebuilding(w) if rebuild else Replaying(w)

        for number, each in enumerate(rounds):
            if each.fault is not None:
                w.portal.inject(each.fault)
            replaying.workers.holding = each.held
            replaying.turn(each.replay_turns)
            replaying.log.stalled = each.stalled
            tell(each.tells)
            member.workers.holding = each.service_held
            if number == stop:
                replaying.replay.stop("SIGINT")
            member.turn(each.service_turns)
            replaying.workers.let_go()
            replaying.turn(each.replay_turns_again)
            member.workers.let_go()

        w.portal.heal_all()
        replaying.log.stalled = False
        until = w.clock.monotonic() + 1_000
        while not replaying.ended or not w.all_committed():
            assert w.clock.monotonic() < until, "they did not come to rest"
            replaying.turn()
            member.turn()
        member.run_for(2 * SETTLE)
        asked = {contact for contact in truth if stop is None or w.outcomes(contact)}
        assert w.members() & asked == {contact for contact in asked if truth[contact] == "ENTER"}


LOOKED = Round(None, False, 5, False, [], False, 0, 0)
OVERTAKEN = Round(None, True, 40, True, [(1, "EXIT")], False, 150, 40)
LATE = Round(FAULTS[4], False, 150, False, [(1, "EXIT")], False, 150, 150)


@example(refused=[(1, "ENTER")], rounds=[LOOKED, OVERTAKEN])
@example(refused=[(1, "ENTER")], rounds=[LOOKED, LATE])
@given(st.lists(TELLS, min_size=1, max_size=4), ROUNDS)
def test_the_list_equals_the_log_after_any_race(refused: list[Tell], rounds: list[Round]) -> None:
    """While events keep coming and requests are slow, late or lost, the list ends as the log says."""
    race(refused, rounds)


@example(refused=[(1, "ENTER")], rounds=[LOOKED, OVERTAKEN])
@example(refused=[(1, "ENTER")], rounds=[LOOKED, LATE])
@given(st.lists(TELLS, max_size=4), ROUNDS)
def test_the_list_equals_the_log_after_a_rebuild_in_any_race(refused: list[Tell], rounds: list[Round]) -> None:
    """A rebuild, too, leaves the list as the log says: also of what the service had given up before."""
    race(refused, rounds, rebuild=True)


@given(st.lists(TELLS, min_size=1, max_size=4), ROUNDS, st.integers(0, 4), st.booleans())
def test_a_stop_in_any_race_leaves_no_old_intent(
    refused: list[Tell], rounds: list[Round], stop: int, rebuild: bool
) -> None:
    """Whenever a replay or a rebuild is told to stop, no contact that it sent anything of is left as it was before."""
    race(refused, rounds, stop, rebuild=rebuild)
