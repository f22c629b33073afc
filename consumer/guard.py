"""A guard against emptying a list: may a flush leave, or has a person to say so first? Pure: time is passed in.

**The rule.** A full window leaves at once, so a mass exit comes as many flushes of `max_contacts`, none of which looks
like one. So a flush is weighed together with what HubSpot said it removed within the last `within`. It is held when
both together are more than `above`, and more than the share of the members that the list had before: its size as a
look shows it now, and what was removed. Where HubSpot tells no size, whoever switched the guard on is asked.

- The processes of a group share the partitions, over which the key scatters the profiles. So each takes it that the
  others have as much to remove, in proportion: with 3 of 12 partitions it counts every removal of its own four times.
  Otherwise several would let a mass exit go of which each sees a part.
- A flush that the rule lets go is not weighed again: its retries leave as well. Only removals that came since are a
  reason to weigh it anew.
- A *release* covers what waits now until it has left. What it covers counts neither as waiting nor as removed nor as a
  member, so what comes behind it is weighed by itself.
- A held flush waits in the window, which goes on collapsing. It is weighed again when something has changed, so what
  follows in the log ends the hold by itself when it makes the flush small again.
- A size is a request, so nobody asks for one before a flush could be held, nor for one that was seen moments ago. What
  HubSpot says it added and removed meanwhile is reckoned in.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from consumer.changes import Action
from consumer.offsets import Offsets
from consumer.outcomes import ContactOutcome, Outcome
from consumer.retry import Patience
from consumer.window import Window

AGAIN = 5.0  # seconds until a held flush is weighed again
FRESH = 5.0  # seconds for which a size is as good as new
LOOK_AGAIN = 60.0  # seconds between two looks at a list whose flush is held and stays so by the size last seen
STEPS = 60  # parts of `within` that removals are counted in: each is forgotten up to a part too late, never too early


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be removed within `within` seconds: up to `above` contacts, or `share` percent of the list's members."""

    share: int
    above: int
    within: float

    def exceeded(self, removes: float, recent: float, size: int | None) -> bool:
        """Tell whether `removes` more are too many, where `recent` were removed of a list that has `size` members now.

        Both are of the whole list, as far as one process can reckon. A size that is not known (None) is too small for
        all that is more than `above`.
        """
        removed = recent + removes
        if removed <= self.above:
            return False
        return size is None or removed * 100 > self.share * (size + recent)


class Ruling(Enum):
    """What is to be done with a flush that is due.

    GO: it may leave. RELEASED: of it only what a release covers may. LOOK: the list has to be looked at first. HOLD: it
    has to wait for a person, or for the log.
    """

    GO = "go"
    RELEASED = "released"
    LOOK = "look"
    HOLD = "hold"


class Held(NamedTuple):
    """A held flush: how many it would remove, how many were removed of the list before, and how many contacts it has.

    HubSpot may not tell that (None). Whoever holds it has `partitions` of `total` partitions.
    """

    removes: int
    recent: int
    size: int | None
    partitions: int = 1
    total: int = 1

    def __str__(self) -> str:
        told = self.size is not None
        contacts = f"of the list's {self.size:,} contacts" if told else "contacts"
        part = f" ({self.partitions:,} of {self.total:,} partitions)" if self.partitions < self.total else ""
        before = f", after {self.recent:,} within guard.within" if self.recent else ""
        unknown = "" if told else ", and HubSpot does not tell how many the list has"
        return f"{self.removes:,} {contacts} would be removed{part}{before}{unknown}"


class Removals:
    """How many contacts were removed of the list within the last `within` seconds."""

    __slots__ = ("_number", "_parts", "_within")

    def __init__(self, within: float) -> None:
        self._within = within
        self._parts: deque[tuple[float, float, float]] = deque()  # when each began and ended, and how many
        self._number = 0.0

    def add(self, number: float, now: float) -> None:
        """Note that so many were removed."""
        if not number:
            return
        self._number += number
        if self._parts and now - self._parts[-1][0] < self._within / STEPS:
            began, _, before = self._parts.pop()
            self._parts.append((began, now, before + number))
        else:
            self._parts.append((now, now, number))

    def recent(self, now: float) -> float:
        """Give how many."""
        while self._parts and self._parts[0][1] + self._within <= now:
            self._number -= self._parts.popleft()[2]
        if not self._parts:
            self._number = 0.0  # rounding leaves nothing behind
        return self._number

    def clear(self) -> None:
        """Begin anew."""
        self._parts.clear()
        self._number = 0.0


class Guard:
    """The guard of one list; without a limit it lets all go and costs nothing.

    `give_up_after`: see `Patience`. `offsets` know how many partitions are ours, and how many there are.
    """

    def __init__(self, limit: Limit | None, give_up_after: float, offsets: Offsets) -> None:
        self.held: Held | None = None
        self.ended = ""  # why the latest hold ended
        self.again_at = float("-inf")  # a held flush is not weighed before
        self.released = -1  # up to this number a person let changes go
        self._let_go = -1  # up to this number changes have been let go, by the rule or by a person
        self._limit = limit
        self._offsets = offsets
        self._removals = Removals(limit.within if limit else 0.0)
        self._patience = Patience(give_up_after)
        self._size: int | None = None
        self._seen_at = float("-inf")
        self._asked = False  # the list was looked at for the flush that waits
        self._weighed: tuple[object, ...] = ()  # what the latest hold was decided on

    def weigh(self, window: Window, newest: int, now: float) -> Ruling:
        """Say what is to be done with a flush of `window`; `newest` is the highest number that was ever in there.

        After LOOK bring in what `shown` asks for, and weigh again.
        """
        if self._limit is None:
            return Ruling.GO
        recent = self._removals.recent(now)
        weighed = (newest, len(window), recent, self._times, self._seen_at)
        if not (self.held and weighed == self._weighed):
            ruling = self._rule(self._limit, window, recent, now)
            if ruling is Ruling.GO:
                self._end("small again")
            if ruling is not Ruling.HOLD:
                return ruling
        self._weighed = weighed
        self._asked = False
        self.again_at = now + AGAIN
        return Ruling.HOLD

    def _rule(self, limit: Limit, window: Window, recent: float, now: float) -> Ruling:
        times = self._times
        if recent + len(window) * times <= limit.above:
            return Ruling.GO
        numbers = window.removals()
        covered = sum(number <= self.released for number in numbers)
        removes = len(numbers) - covered
        if recent + removes * times <= limit.above or max(numbers, default=-1) <= self._let_go:
            return Ruling.GO
        size = None if self._size is None else max(0, self._size - round(covered * times))
        exceeded = limit.exceeded(removes * times, recent, size)
        if not self._asked and now - self._seen_at > (LOOK_AGAIN if self.held and exceeded else FRESH):
            return Ruling.LOOK
        if exceeded and (self.held or not covered):
            self.held = Held(removes, round(recent), size, len(self._offsets), self._offsets.total)
            return Ruling.HOLD
        return Ruling.RELEASED if exceeded else Ruling.GO

    def shown(self, size: int | None, now: float, *, asked: bool) -> None:
        """Learn from a look how many members the list has. `asked`: the look was made because of a LOOK."""
        self._size, self._seen_at = size, now
        self._asked |= asked

    def applied(self, outcomes: Iterable[ContactOutcome], now: float) -> None:
        """Learn what HubSpot made of a request."""
        if self._limit is None:
            return
        added = removed = counted = 0
        for each in outcomes:
            if each.outcome not in (Outcome.ADDED, Outcome.REMOVED, Outcome.MERGED):
                continue
            if each.change.action is Action.ADD:
                added += 1
            else:
                removed += 1
                counted += each.change.number > self.released
        self._removals.add(counted * self._times, now)
        if self._size is not None:
            self._size = max(0, self._size + added - removed)

    def left(self, newest: int) -> None:
        """Learn that a flush has been taken of all that was there up to `newest`."""
        self._let_go = newest
        self._asked = False

    def release(self, newest: int) -> None:
        """Let go what waits, which is all up to `newest`, and begin to count anew."""
        self.released = self._let_go = newest
        self._removals.clear()
        self._end("released")

    def emptied(self) -> None:
        """Learn that nothing waits any more: it was given up, or its partitions have gone."""
        self._asked = False
        self._end("nothing waits any more")

    def too_long(self, newest: int, now: float) -> int:
        """Give the number up to which changes have been held for too long; `newest` is the highest that is held."""
        return self._patience.failed(now, newest)

    @property
    def _times(self) -> float:
        """How many times as much as this process all of them do together; 1 where that is not known."""
        ours = len(self._offsets)
        return max(1.0, self._offsets.total / ours) if ours else 1.0

    def _end(self, why: str) -> None:
        if self.held:
            self.held, self.ended = None, why
            self.again_at = float("-inf")
            self._patience.succeeded()
