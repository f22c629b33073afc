"""The rule of the guard, reckoned once more for each member from what goes through its seams."""

from typing import TYPE_CHECKING

from consumer.changes import Action, Change
from consumer.list_sync import ListSync
from consumer.outcomes import Answer, Applied, Request, Scope, Terminal
from tests.simulation.truth import Broken

if TYPE_CHECKING:
    from tests.simulation.members import Actor

LAW = "the guard holds"


class Watched:
    """What a member knows of a list: its size, what was removed of it, and up to which number changes were let go."""

    def __init__(self) -> None:
        self.size: int | None = None
        self.removed: list[tuple[float, float]] = []  # when, and how many of all members together
        self.let_go = self.released = -1
        self.batch: object = None  # of the latest flush


class GuardLaw:
    """Holds each flush of a member against the rule."""

    def __init__(self, actor: "Actor") -> None:
        self._actor = actor
        self._guard = actor.world.settings.guard
        self._watched: dict[str, Watched] = {}

    def submitted(self, request: Request) -> None:
        """Look at a request that is on its way to a worker."""
        each, watched = self._list(request.connector), self._of(request.connector)
        flight = each._flight
        if self._guard.max_removed_share is None or flight is None or not flight.contacts:
            return
        if each.held:
            raise Broken(LAW, f"{self._actor}: {request} leaves, {each.held}")
        if flight.batch is None or flight.batch is watched.batch:
            return  # more of a flush that was let go
        watched.batch = flight.batch
        self._weigh(each, watched, [*flight.contacts.values(), *flight.batch], request)

    def answered(self, answer: Answer) -> None:
        """Take in what an answer tells of a list."""
        each, watched = self._list(answer.request.connector), self._of(answer.request.connector)
        verdict = answer.verdict
        told = isinstance(verdict, Applied) or (isinstance(verdict, Terminal) and verdict.scope is Scope.BATCH)
        if answer.request.look and told:
            watched.size = answer.facts.size if answer.facts else None
        if not isinstance(verdict, Applied) or each._flight is None:
            return
        counted = sum(each._flight.contacts[contact].number > watched.released for contact in verdict.removed)
        watched.removed.append((self._actor.world.clock.monotonic(), counted * _times(each)))
        if watched.size is not None:
            watched.size = max(0, watched.size + len(verdict.added) - len(verdict.removed))

    def released(self, connector: str) -> None:
        """Note that a person has let go what was held."""
        watched = self._of(connector)
        watched.released = watched.let_go = self._list(connector).newest
        watched.removed.clear()

    def _weigh(self, each: ListSync, watched: Watched, changes: list[Change], request: Request) -> None:
        removes = [change.number for change in changes if change.action is Action.REMOVE]
        fresh = any(number > watched.let_go for number in removes)
        watched.let_go = max(watched.let_go, *(change.number for change in changes))
        if not fresh:
            return
        covered = sum(number <= watched.released for number in removes)
        since = self._actor.world.clock.monotonic() - self._guard.within
        recent = sum(number for at, number in watched.removed if at > since)
        removed = recent + (len(removes) - covered) * _times(each)
        if removed <= self._guard.above:
            return
        size = None if watched.size is None else max(0, watched.size - round(covered * _times(each)))
        if size is None or removed * 100 > (self._guard.max_removed_share or 100) * (size + recent):
            raise Broken(
                LAW, f"{self._actor}: {request} is of a flush of {len(removes)} removals, {recent} before, size {size}"
            )

    def _list(self, connector: str) -> ListSync:
        return self._actor.loop._delivery.lanes[connector].list

    def _of(self, connector: str) -> Watched:
        return self._watched.setdefault(connector, Watched())


def _times(each: ListSync) -> float:
    """How many times as many partitions there are as the member has."""
    return max(1.0, each._offsets.total / len(each._offsets)) if len(each._offsets) else 1.0
