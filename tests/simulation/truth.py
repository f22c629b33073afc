"""What is true, whatever the service thinks: the log, and what came of each of its changes."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from consumer.changes import Action
from consumer.drift import DRIFT, Findings, Kind
from consumer.outcomes import DeadLetter, Outcome, Result


class Broken(AssertionError):  # noqa: N818 - the word of its message: a law was broken by the program under test
    """A law of the service was broken."""

    def __init__(self, law: str, details: str) -> None:
        super().__init__(f"{law}: {details}")
        self.law = law


Key = tuple[int, int]
"""A list and a contact."""


@dataclass(frozen=True)
class Told:
    """One event: the contacts that it changes on lists, and the dead letters (of a list, or of none) that it needs."""

    changes: dict[Key, Action] = field(default_factory=dict)
    letters: frozenset[int | None] = frozenset()


class Truth:
    """Knows the log from whoever writes it, and what came of it from the records that Kafka has acknowledged."""

    def __init__(self, partitions: int) -> None:
        self._log: list[list[Told]] = [[] for _ in range(partitions)]
        self._history: dict[Key, list[tuple[int, Action]]] = {}
        self._ended: dict[Key, int] = {}
        self._last_end: dict[Key, Outcome | None] = {}  # None: a dead letter
        self._letters: set[tuple[int, int, int | None]] = set()
        self._ended_to = [0] * partitions  # below, all has an end
        self._answered: dict[Key, int] = {}
        self._last_answer: dict[Key, Outcome] = {}
        self._given_up: set[tuple[Key, int]] = set()
        self._meddled: set[Key] = set()
        self.clocks_were_set = False

    def tell(self, partition: int, told: Told) -> None:
        """Note an event that is being written."""
        offset = len(self._log[partition])
        self._log[partition].append(told)
        for key, action in told.changes.items():
            self._history.setdefault(key, []).append((offset, action))

    def meddle(self, key: Key) -> None:
        """Note that somebody changes a list by hand."""
        self._meddled.add(key)

    def answered(self, result: Result) -> None:
        """Note that the service says of a request that it was applied."""
        for each in result.contacts:
            key = (result.list_id, each.contact)
            self.check_change(key, each.change.assignment.partition, each.change.offset, each.change.action)
            if each.change.offset >= self._answered.get(key, 0):
                self._answered[key] = each.change.offset
                self._last_answer[key] = each.outcome

    def check_change(self, key: Key, partition: int, offset: int, action: Action) -> None:
        """Hold a change that a record carries against the log."""
        if self._log[partition][offset].changes.get(key) is not action:
            raise Broken(
                "records tell the truth", f"list {key[0]}, contact {key[1]}: no {action} at {partition}/{offset}"
            )

    def check_intent(self, key: Key, action: Action, position: int) -> None:
        """Hold what a request asks for against what was answered, and what the member has read (below `position`)."""
        answered = self._answered.get(key, 0)
        intents = {each for offset, each in self._history.get(key, ()) if answered <= offset < position}
        if action not in intents:
            raise Broken(
                "never back to an older intent",
                f"list {key[0]}, contact {key[1]}: {action} was sent, {answered} was answered, the log has "
                f"{self._history.get(key)}",
            )

    def check_try(self, key: Key, position: int) -> None:
        """Hold a contact that is tried again against what was answered, and what the member has read."""
        newest, action = max((each for each in self._history[key] if each[0] < position), default=(-1, None))
        answered = self._answered.get(key), self._last_answer.get(key)
        if action is not Action.ADD or answered != (newest, Outcome.NOT_FOUND):
            raise Broken(
                "only the newest intent is tried again",
                f"list {key[0]}, contact {key[1]}: the newest is {action} at {newest}, and {answered} was answered",
            )

    def record(self, record: Result | DeadLetter) -> None:
        """Note a record that is in its topic."""
        if isinstance(record, Result):
            for each in record.contacts:
                self._end((record.list_id, each.contact), each.change.offset, each.outcome)
        elif record.event is not None:
            self._letters.add((record.event.partition, record.event.offset, None))
        else:
            list_id = record.list_id or 0
            for refused in record.contacts:
                change = refused.change
                if record.reason == "INVALID_RECORD_ID":
                    self._letters.add((change.assignment.partition, change.offset, list_id))
                else:
                    key = (list_id, int(refused.record_id))
                    self.check_change(key, change.assignment.partition, change.offset, change.action)
                    self._end(key, change.offset, None)

    def check_commit(self, partition: int, offset: int) -> None:
        """Hold a commit against what came of all below it.

        Below `offset` each change must have a durable end, its own or that of a newer one of its contact; or a newer
        one lies at `offset` or above, where the next owner finds it.
        """
        log = self._log[partition]
        while self._ended_to[partition] < len(log) and self._has_ended(partition, self._ended_to[partition], len(log)):
            self._ended_to[partition] += 1
        for below in range(self._ended_to[partition], offset):
            if not self._has_ended(partition, below, offset):
                raise Broken("committed <= safe", f"{offset} of partition {partition}, but {below} has no end")

    def last_intents(self, list_id: int) -> dict[int, Action]:
        """Give what the log asks for last of each contact of a list."""
        return {key[1]: history[-1][1] for key, history in self._history.items() if key[0] == list_id}

    def members(self, list_id: int, present: frozenset[int], orphans: AbstractSet[Key]) -> frozenset[int]:
        """Give who is to be on a list.

        What is `present` is right for a contact whose newest change is a dead letter, or asked for one that was not
        found (it may have been created since), for one that somebody has meddled with, and for `orphans`: nobody knew
        any more of what had the last word.
        """
        wanted = set()
        for key, history in self._history.items():
            if key[0] != list_id:
                continue
            offset, action = history[-1]
            open_ends = {None, Outcome.NOT_FOUND} if action is Action.ADD else {None}
            spared = self._ended.get(key) == offset and self._last_end[key] in open_ends
            if key[1] in present if spared or key in orphans else action is Action.ADD:
                wanted.add(key[1])
        meddled = {contact for each, contact in self._meddled if each == list_id}
        return frozenset((wanted - meddled) | (present & meddled))

    def check_findings(self, list_id: int, findings: Findings, unsure: AbstractSet[Key]) -> None:
        """Hold what an audit found against the log. Of contacts that are `unsure` it may say anything."""
        for kind, several in findings.examples.items():
            for contact, intent, _ in several:
                key = (list_id, contact)
                if intent is not None:
                    self.check_change(key, intent.position.partition, intent.position.offset, intent.action)
                offset = -1 if intent is None else intent.position.offset
                if kind in DRIFT and key not in unsure and not self._may_drift(key, kind, offset):
                    raise Broken(
                        "an audit tells the truth",
                        f"list {list_id}, contact {contact} is {kind} by the change at {offset}; the log has "
                        f"{self._history.get(key)}, ended to {self._ended.get(key)}",
                    )

    def check_all_found(
        self,
        list_id: int,
        findings: Findings,
        present: frozenset[int],
        existing: AbstractSet[int],
        unsure: AbstractSet[Key],
    ) -> None:
        """Hold an audit, before which nothing was on its way any more, against who is `present`."""
        told = {example.contact: kind for kind, several in findings.examples.items() for example in several}
        found = {contact: kind for contact, kind in told.items() if (list_id, contact) not in unsure}
        kinds = ((contact, self._kind((list_id, contact), present, existing)) for contact in range(10))
        wanted = {contact: kind for contact, kind in kinds if kind is not None and (list_id, contact) not in unsure}
        if found != wanted and not self._alike(list_id, found, wanted):
            raise Broken("an audit finds all", f"list {list_id}: {found}, wanted {wanted}")

    def _may_drift(self, key: Key, kind: Kind, offset: int) -> bool:
        """Tell whether a contact may differ.

        Its change was given up; or it has ended, and somebody has meddled with the contact or created it since.
        """
        if kind is Kind.GIVEN_UP:
            return (key, offset) in self._given_up
        since = key in self._meddled or self._last_end.get(key) is Outcome.NOT_FOUND
        return since and self._ended.get(key, -1) >= offset

    def _kind(self, key: Key, present: frozenset[int], existing: AbstractSet[int]) -> Kind | None:
        """Say how a contact differs in the end."""
        history, there = self._history.get(key), key[1] in present
        if history is None:
            return Kind.UNKNOWN if there else None
        offset, action = history[-1]
        if (action is Action.ADD) == there:
            return None
        if self._ended.get(key) == offset and self._last_end[key] is None:
            return Kind.GIVEN_UP
        if action is Action.REMOVE:
            return Kind.LEFT
        return Kind.MISSING if key[1] in existing else Kind.NOT_FOUND

    def _alike(self, list_id: int, found: dict[int, Kind], wanted: dict[int, Kind]) -> bool:
        """Tell whether all the difference is why a contact differs, of one that is to differ.

        When a change was both applied and given up, by two members, their clocks tell which of it came last. So it
        may be told wrongly, where somebody has meddled with the contact, or a clock was set.
        """
        return found.keys() == wanted.keys() and all(
            found[contact] is wanted[contact] or self.clocks_were_set or (list_id, contact) in self._meddled
            for contact in found
        )

    def _end(self, key: Key, offset: int, outcome: Outcome | None) -> None:
        if outcome is None:
            self._given_up.add((key, offset))
        if offset >= self._ended.get(key, 0):
            self._ended[key] = offset
            self._last_end[key] = outcome

    def _has_ended(self, partition: int, offset: int, commit: int) -> bool:
        told = self._log[partition][offset]
        return all(
            self._ended.get(key, -1) >= offset or self._history[key][-1][0] >= max(commit, offset + 1)
            for key in told.changes
        ) and all((partition, offset, list_id) in self._letters for list_id in told.letters)
