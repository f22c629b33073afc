"""Which contacts of a connector a replay still has to look after, and which can be left to the service. Pure.

A contact is *open* from when it is wanted, or first told of, until what was sent of it last had an answer and a look at
the log, begun after that answer, showed nothing newer. Whatever is written later is read by the service after our last
request had its effect, so the service's request comes after ours.

What the log says of an open contact *waits*, packed, until it is handed on to the windows, a few thousand at a time: so
millions may be open. Changes that were handed on are told by their numbers, which rise.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from consumer.changes import Action, TopicPartition
from consumer.intents import Intent, Intents


class Pursuit:
    """The open contacts of one connector, and what became of all of them.

    With `everyone` each contact is wanted that the log tells of before `caught_up`.
    """

    def __init__(self, wanted: Iterable[int] = (), *, everyone: bool = False) -> None:
        self._everyone = everyone
        self._unseen = set(wanted)  # the log has told nothing of them yet
        self._waiting = Intents()
        self._handed: dict[int, int] = {}  # the number of the newest change that was handed on
        self._applied: dict[int, tuple[int, str]] = {}  # of open contacts: the last that HubSpot took, and its outcome
        self._failed: dict[int, str] = {}  # of open contacts: why the last was refused
        self._ended: set[int] = set()
        self._looking: set[int] = set()
        self._outcomes: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._dropped = 0
        self._open = self.contacts = len(self._unseen)  # `contacts`: how many were ever open

    def __contains__(self, contact: int) -> bool:
        return contact in self._handed or contact in self._waiting or contact in self._unseen

    def __len__(self) -> int:
        return self._open

    @property
    def waiting(self) -> int:
        """How many contacts wait to be handed on."""
        return len(self._waiting)

    @property
    def exposed(self) -> bool:
        """True while something that HubSpot took was not compared with the log since."""
        return bool(self._ended) or bool(self._looking) or bool(self._applied)

    def told(self, contact: int, action: Action, place: TopicPartition, offset: int, occurred_at: int) -> None:
        """Take what the log, read in its order, says of a contact; of one that is not open nothing is kept."""
        if contact in self._unseen:
            self._unseen.remove(contact)
        elif contact not in self._handed and contact not in self._waiting:
            if not self._everyone:
                return
            self._open += 1
            self.contacts += 1
        self._waiting.note(contact, action, place, offset, occurred_at)
        self._ended.discard(contact)
        self._looking.discard(contact)

    def caught_up(self) -> int:
        """From now on nobody new is wanted. Closes the contacts of which the log told nothing; gives their number."""
        self._everyone = False
        unseen, self._unseen = len(self._unseen), set()
        self._open -= unseen
        return unseen

    def hand_on(self, number: int) -> tuple[int, Intent]:
        """Give a contact that waits, with its newest intent, which bears this number from now on."""
        contact, intent = self._waiting.take()
        self._handed[contact] = number
        return contact, intent

    def applied(self, contact: int, number: int, outcome: str) -> None:
        """Note that HubSpot took a change. Of a change that was sent twice the first outcome tells what it did."""
        if contact not in self._handed:
            return
        known, _ = self._applied.get(contact, (-1, ""))
        if number > known:
            self._applied[contact] = number, outcome
        self._failed.pop(contact, None)
        self._end(contact, number)

    def refused(self, contact: int, number: int, reason: str) -> None:
        """Note that a change was given up."""
        if contact in self._handed:
            self._failed[contact] = reason
            self._end(contact, number)

    def has_sent_older(self, contact: int, number: int) -> bool:
        """Tell whether HubSpot took a change of this contact that is older than `number`."""
        return contact in self._applied and self._applied[contact][0] < number

    def abandon(self, reason: str | None) -> None:
        """Let go of what waits, for this reason (None: a stop); not of what is newer than something handed on."""
        kept = [(contact, intent) for contact in self._handed if (intent := self._waiting.get(contact)) is not None]
        gone = len(self._waiting) - len(kept)
        self._waiting = Intents()
        for contact, (action, (topic, partition, offset), occurred_at) in kept:
            self._waiting.note(contact, action, TopicPartition(topic, partition), offset, occurred_at)
        self._open -= gone
        if reason is None:
            self._dropped += gone
        elif gone:
            self._failures[reason] += gone

    def begin_look(self, settled: Callable[[int], bool]) -> bool:
        """Begin a look at the log; False if there is nothing to look for.

        `settled`: nothing of the contact waits in a window, is on the wire, or may take effect late.
        """
        self._looking = {contact for contact in self._ended if settled(contact)}
        self._ended -= self._looking
        return bool(self._looking)

    def end_look(self) -> None:
        """Let go of the contacts for which the look showed nothing newer."""
        for contact in self._looking:
            del self._handed[contact]
            _, outcome = self._applied.pop(contact, (0, ""))
            reason = self._failed.pop(contact, None)
            if reason is None:
                self._outcomes[outcome] += 1
            else:
                self._failures[reason] += 1
        self._open -= len(self._looking)
        self._looking = set()

    def outcomes(self) -> Counter[str]:
        """Count the contacts by what HubSpot made of the newest change of each."""
        of_open = (outcome for contact, (_, outcome) in self._applied.items() if contact not in self._failed)
        return self._outcomes + Counter(of_open)

    def failures(self) -> Counter[str]:
        """Count the contacts that failed, by reason."""
        return self._failures + Counter(self._failed.values())

    def left(self) -> int:
        """Count the contacts of which nothing came to an end."""
        return self._dropped + self._open - len(self._applied.keys() | self._failed.keys())

    def _end(self, contact: int, number: int) -> None:
        if number >= self._handed[contact] and contact not in self._waiting:
            self._ended.add(contact)
