"""A replay and the service beside it, in every order that hypothesis thinks of: the last word is the log's."""

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from consumer.simulator.faults import Fault
from tests.fakes.hubspot import ScriptedWorkers
from tests.fakes.replay import Replaying
from tests.fakes.service import Member, World, world

CONTACTS = range(1, 5)
SETTLE = 20.0
FAULTS = (
    Fault("slow", seconds=3, method="PUT", times=1),
    Fault("slow", seconds=15, method="PUT", times=1),  # past the timeout
    Fault("late", seconds=8, method="PUT", times=1),
    Fault("gateway_timeout", method="PUT", times=1, applied_after=9),
    Fault("cut_after", method="PUT", times=1),
    Fault("cut_before", method="PUT", times=1),
    Fault("unavailable", method="PUT", times=2),
    Fault("rate_limited", seconds=2, method="PUT", times=1),
)

Process = Literal["replay", "service"]
PROCESSES: st.SearchStrategy[Process] = st.sampled_from(("replay", "service"))
TELLS = st.tuples(st.just("tell"), st.sampled_from(CONTACTS), st.sampled_from(("ENTER", "EXIT")))
STEPS = st.one_of(
    TELLS,
    st.tuples(st.just("turn"), PROCESSES, st.integers(1, 40)),
    st.tuples(st.just("hold"), PROCESSES),  # its requests are slow to leave
    st.tuples(st.just("let go"), PROCESSES),
    st.tuples(st.just("stall"), st.booleans()),  # what the replay reads
    st.tuples(st.just("fault"), st.sampled_from(FAULTS)),
)
Step = tuple[object, ...]


class Race:
    """A member, a replay beside it, and what the log says."""

    def __init__(self, w: World, refused: list[Step]) -> None:
        self.w = w
        self.truth: dict[int, str] = {}
        self.member: Member = w.member()
        handle = w.portal.inject(Fault("bad_request", method="PUT"))
        for step in refused:
            self.do(step)
        self.member.run_until(w.all_committed)
        w.portal.heal(handle)
        self.replaying = Replaying(w)

    def do(self, step: Step) -> None:
        """Take one step."""
        match step:
            case ("tell", int(contact), str(transition)):
                self.truth[contact] = transition
                self.w.tell(transition, contact)
            case ("turn", name, int(times)):
                for _ in range(times):
                    self.replaying.turn() if name == "replay" else self.member.turn()
            case ("hold", name):
                self._workers(name).holding = True
            case ("let go", name):
                self._workers(name).let_go()
            case ("stall", bool(stalled)):
                self.replaying.log.stalled = stalled
            case ("fault", Fault() as fault):
                self.w.portal.inject(fault)

    def end(self) -> None:
        """Let all go well, and both come to rest."""
        for name in ("replay", "service"):
            self._workers(name).let_go()
        self.replaying.log.stalled = False
        self.w.portal.heal_all()
        until = self.w.clock.monotonic() + 1_000
        while not self.replaying.ended or not self.w.all_committed():
            assert self.w.clock.monotonic() < until, "they did not come to rest"
            self.replaying.turn()
            self.member.turn()
        self.member.run_for(2 * SETTLE)

    def _workers(self, name: object) -> ScriptedWorkers:
        return self.replaying.workers if name == "replay" else self.member.workers


def race(refused: list[Step], steps: list[Step], stop: int | None = None) -> None:
    """Let both run; the replay is told to stop after so many steps."""
    with world(window={"max_age": "1s"}, hubspot={"timeout": "5s", "settle": f"{SETTLE:.0f}s"}) as w:
        running = Race(w, refused)
        for number, step in enumerate(steps):
            running.do(step)
            if number == stop:
                running.replaying.replay.stop("SIGINT")
        running.end()
        told = {contact for contact, transition in running.truth.items() if transition == "ENTER"}
        if stop is None:
            assert w.members() == told
        else:
            newer = {contact for contact in running.truth if w.outcomes(contact)}
            assert w.members() & newer == told & newer


@given(st.lists(TELLS, min_size=1, max_size=6), st.lists(STEPS, max_size=40))
def test_the_list_equals_the_log_after_any_race(refused: list[Step], steps: list[Step]) -> None:
    """While events keep coming and requests are slow, late or lost, the list ends as the log says."""
    race(refused, steps)
