"""A rebuild of a list beside the members of a simulation."""

from consumer.outcomes import DeadLetter
from tests.fakes.replay import Rebuilding
from tests.fakes.service import World
from tests.simulation.members import Standing


class Rebuild(Rebuilding):
    """The process of a rebuild. After `seconds` (None: never) it is told to stop or, if `kill`, ends at once."""

    def __init__(self, world: World, number: int, seconds: float | None = None, *, kill: bool = False) -> None:
        super().__init__(world, f"c{number}", clock=Standing())
        self.number = number
        self._until = float("inf") if seconds is None else world.clock.monotonic() + seconds
        self._kill = kill
        self._killed = False
        self._letters = len(world.sink.dead_letters)

    @property
    def over(self) -> bool:
        """True once the process has ended."""
        return self._killed or self.ended

    @property
    def unfinished(self) -> bool:
        """True if it ended before all was done: what it sent may have the last word."""
        return self._killed or self.replay.stopped_early

    def step(self) -> bool:
        """Turn once; tell whether it did anything."""
        if self.world.clock.monotonic() >= self._until:
            self._until = float("inf")
            self._killed = self._kill
            self.replay.stop("SIGTERM")
        if self._killed:
            return True
        before = self._done()
        self.workers.work()
        self.turn()
        return self._done() != before

    def letters(self) -> list[DeadLetter]:
        """Give the dead letters that were written since the last time this was asked."""
        before, self._letters = self._letters, len(self.world.sink.dead_letters)
        return self.world.sink.dead_letters[before:]

    def _done(self) -> tuple[object, ...]:
        return len(self.workers.submitted), len(self.workers.on_the_wire), self.replay.progress(self.log)
