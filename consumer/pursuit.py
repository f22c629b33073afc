"""Which contacts of a replay still have to be looked after, and which can be left to the service. Pure.

A target is *open* until what was sent of it last had an answer, and a look at the log, begun after that answer, showed
nothing newer. Whatever is written later is read by the service after our last request had its effect, so the service's
request comes after ours. Changes are told by their numbers, which rise as the log is read.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from consumer.targets import Whom


class Pursuit:
    """The open contacts, and what became of all of them."""

    def __init__(self, targets: Iterable[Whom]) -> None:
        self._open = set(targets)
        self._newest: dict[Whom, int] = {}
        self._applied: dict[Whom, tuple[int, str]] = {}  # number and outcome of the last that HubSpot took
        self._failed: dict[Whom, str] = {}  # why the last was refused
        self._ended: set[Whom] = set()
        self._looking: set[Whom] = set()

    def __contains__(self, whom: Whom) -> bool:
        return whom in self._open

    def __len__(self) -> int:
        return len(self._open)

    @property
    def exposed(self) -> bool:
        """True while something that HubSpot took was not compared with the log since."""
        return bool(self._ended) or bool(self._looking) or any(whom in self._open for whom in self._applied)

    def folded(self, whom: Whom, number: int) -> None:
        """Note the newest intent of an open target."""
        self._newest[whom] = number
        self._ended.discard(whom)
        self._looking.discard(whom)

    def applied(self, whom: Whom, number: int, outcome: str) -> None:
        """Note that HubSpot took a change. Of a change that was sent twice the first outcome tells what it did."""
        known, _ = self._applied.get(whom, (-1, ""))
        if number > known:
            self._applied[whom] = number, outcome
        self._failed.pop(whom, None)
        self._end(whom, number)

    def refused(self, whom: Whom, number: int, reason: str) -> None:
        """Note that a change was given up."""
        self._failed[whom] = reason
        self._end(whom, number)

    def has_sent_older(self, whom: Whom, number: int) -> bool:
        """Tell whether HubSpot took a change of this contact that is older than `number`."""
        return whom in self._applied and self._applied[whom][0] < number

    def unseen(self) -> list[Whom]:
        """Close the targets of which the log told nothing; give them."""
        unseen = [whom for whom in self._open if whom not in self._newest]
        self._open.difference_update(unseen)
        return unseen

    def begin_look(self, settled: Callable[[Whom], bool]) -> bool:
        """Begin a look at the log; False if there is nothing to look for.

        `settled`: nothing of the contact waits, is on the wire, or may take effect late.
        """
        self._looking = {whom for whom in self._ended if settled(whom)}
        self._ended -= self._looking
        return bool(self._looking)

    def end_look(self) -> None:
        """Let go of the targets for which the look showed nothing newer."""
        self._open -= self._looking
        self._looking = set()

    def outcomes(self) -> Counter[str]:
        """Count the contacts by what HubSpot made of the newest change of each."""
        return Counter(outcome for whom, (_, outcome) in self._applied.items() if whom not in self._failed)

    def failures(self) -> Counter[str]:
        """Count the contacts that failed again, by reason."""
        return Counter(self._failed.values())

    def left(self) -> int:
        """Count the contacts of which nothing came to an end."""
        return sum(whom not in self._applied and whom not in self._failed for whom in self._open)

    def _end(self, whom: Whom, number: int) -> None:
        if whom in self._open and number >= self._newest.get(whom, number):
            self._ended.add(whom)
