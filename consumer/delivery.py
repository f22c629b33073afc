"""From windows to HubSpot and back: which list sends when, and what its answer sets off.

Lists that have something to do wait in a heap by their time, so nothing looks at all of them. A list whose time has
come stands in its account's line; the account lets one after the other send, as its rate allows.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import partial
from itertools import count, islice

from consumer.accounts import Account
from consumer.changes import Assignment, Change
from consumer.lane import Lane
from consumer.list_sync import Settled, Trigger
from consumer.metrics import AccountMetrics
from consumer.outcomes import GAVE_UP, HELD, Answer, Applied, DeadLetter, Details, Request, Scope, Terminal, Verdict
from consumer.packed import Packed, Told, number_of
from consumer.permit import Fence, Permit
from consumer.ports import Outside

MOST_PUBLISHED = 1_000  # lists whose gauges and status are brought up to date at once


class Delivery:
    """Owns the state of every list and account."""

    def __init__(
        self,
        lanes: Iterable[Lane],
        account_series: Mapping[str, AccountMetrics],
        outside: Outside,
        fence: Fence,
        catching_up: AbstractSet[Assignment],
    ) -> None:
        self.lanes = {lane.list.connector: lane for lane in lanes}
        self.accounts = {lane.account.name: lane.account for lane in self.lanes.values()}
        self.account_series = account_series
        self._outside = outside
        self._workers = outside.workers
        self._fence = fence
        self._catching_up = catching_up
        self._heap: list[tuple[float, int, Lane]] = []
        self._ties = count()
        self._gated: dict[Lane, None] = {}  # in the order in which they came: a set's would be another in every process
        self._gated_by: tuple[AbstractSet[Assignment], bool] = (frozenset(), False)
        self._changed: dict[Lane, None] = {}  # of which people have not been told yet, in the order in which they came
        self._newest: Packed = 0
        self.pending = 0
        self.over_bound = False
        self.impatient = False  # a refusal of a list or account ends all that waits for it; nothing waits for a probe
        self.trigger: Trigger | None = None  # why windows leave now: `drain`, `revoke`, or None for their own reasons
        for lane in self.lanes.values():
            self._schedule(lane)

    def bury(self, record: DeadLetter, done: Callable[[], None]) -> None:
        """Write a dead letter; `done` is called when Kafka has it, and then it is counted."""

        def acknowledged() -> None:
            self._outside.metrics.dead_letters(record.reason)
            done()

        self._outside.sink.send(record, acknowledged)

    def refuse(self, connector: str, identifier: str, change: Change, wall: float, done: Callable[[], None]) -> None:
        """Write a dead letter for a change whose identifier is no record id."""
        self.bury(self.lanes[connector].invalid(identifier, change, wall), done)

    def fold(
        self,
        connector: str,
        changes: Sequence[Told],
        assignment: Assignment,
        now: float,
        inherited_since: float | None,
    ) -> None:
        """Take changes of one assignment into their list's window, in the order of the log."""
        lane = self.lanes[connector]
        self._newest = changes[-1][1]
        self._changed[lane] = None
        more = lane.list.fold(changes, assignment, now, inherited_since)
        self.pending += more
        lane.collapsed += len(changes) - more
        if more and (inherited_since is not None or lane.list.may_wake_earlier(more)):
            self._schedule(lane)

    def turn(self, now: float) -> None:
        """Let every list send whose time has come, as far as its account lets it."""
        self._open_gate()
        while self._heap and self._heap[0][0] <= now:
            when, _, lane = heapq.heappop(self._heap)
            if lane.wakes_at == when:
                lane.wakes_at = None
                self._wake(lane, now)
        if self._fence.open_at(now):
            for account in self.accounts.values():
                self._send_all(account, now)

    def receive(self, answers: Iterable[Answer], now: float) -> None:
        """Bring answers home."""
        for answer in answers:
            lane = self.lanes[answer.request.connector]
            lane.permit = None
            lane.note(answer)
            self._note(lane.account, answer)
            verdict = lane.list.weigh(answer.verdict)
            self._blame(lane, verdict, answer.request, answer.answered_at)
            looked = not (answer.request.adds or answer.request.removes)
            given_up = lane.account.answered(
                verdict, now, self._outside.chance(), number_of(self._newest), looked=looked
            )
            with self._recount(lane):
                settled = lane.list.answered(
                    verdict,
                    now,
                    self._outside.chance(),
                    spend=self.over_bound or self.impatient,
                    size=answer.facts.size if answer.facts else None,
                )
            for each in settled:
                self._write(lane, answer, each)
            if self.impatient and isinstance(verdict, Terminal) and verdict.scope is Scope.ACCOUNT:
                self._give_up(lane.account, number_of(self._newest), answer, verdict, now)
            elif given_up:
                self._give_up(lane.account, given_up, answer, Terminal(verdict.details, GAVE_UP, Scope.BATCH), now)
            self._schedule(lane)

    def next_time(self, now: float) -> float:
        """When there is something to do for time alone, infinity if never."""
        times = [self._heap[0][0]] if self._heap else []
        if self._fence.open_at(now):
            for account in self.accounts.values():
                ready = account.ready_at(now, refresh=self._workers.refresh_due(account.name))
                if ready is not None:
                    times.append(ready)
        return min(times, default=float("inf"))

    def hasten(self, now: float) -> None:
        """Make all that waits due now, for a stop. What was not found has its end already, and no stop waits for it."""
        self.forget_not_found()
        for lane in self.lanes.values():
            lane.list.hasten(now)
            self._schedule(lane)

    def release(self, connector: str) -> int | None:
        """Let go what the guard holds of a connector's list; give how many contacts that are, None if it holds none."""
        lane = self.lanes.get(connector)
        if lane is None or lane.list.held is None:
            return None
        with self._recount(lane):
            contacts = lane.list.release()
        self._schedule(lane)
        return contacts

    def relieve(self, now: float) -> None:
        """Over the bound, relieve the refused or held list with most contacts.

        A refused one tries again, and lets go of them if it is refused; a held one lets go of them now.
        """
        stuck = [
            lane
            for lane in self.lanes.values()
            if lane.list.pending and (lane.list.held or lane.list.parking or lane.account.parking)
        ]
        lane = max(stuck, key=lambda each: each.list.pending, default=None)
        if lane is None:
            return
        if lane.list.held:
            self._end_hold(lane, lane.list.newest, "limits.max_pending_contacts was reached", now)
        else:
            lane.list.not_before = lane.account.not_before = now
            lane.list.hasten(now)
            self._schedule(lane)

    def unfinished(self, deadline: float, assignments: Collection[Assignment] | None = None) -> bool:
        """Tell whether anything (of these assignments) is on the wire, or is due and may be sent before `deadline`."""
        for lane in self.lanes.values():
            if not lane.list.pending or (assignments is not None and not lane.list.carries(assignments)):
                continue
            if lane.list.held:
                continue  # until a person decides, which no stop waits for
            if lane.list.flies(assignments):
                return True
            due = lane.list.changes_ready_at()
            if due is not None and max(due, lane.account.not_before) <= deadline and not self._is_gated(lane):
                return True
        return False

    def flying(self, assignments: Collection[Assignment]) -> int:
        """Count the requests on the wire that carry anything of these assignments."""
        return sum(lane.list.flies(assignments) for lane in self.lanes.values())

    def forget(self, assignment: Assignment) -> None:
        """Drop all that waits of an assignment, and let nothing of it leave any more."""
        for lane in self.lanes.values():
            if lane.permit is not None and lane.list.carries((assignment,)):
                lane.permit.withdraw()
            with self._recount(lane):
                lane.list.forget(assignment)

    def forget_not_found(self, assignments: Collection[Assignment] | None = None) -> None:
        """Try no contact again (of these assignments) that HubSpot did not find."""
        for lane in self.lanes.values():
            with self._recount(lane):
                lane.list.not_found.forget(assignments)

    def drop(self, unwanted: Callable[[Lane, int, Change], bool], now: float) -> None:
        """Let go of what waits and is unwanted, without a word."""
        for lane in self.lanes.values():
            with self._recount(lane):
                lane.list.drop(partial(unwanted, lane), now)
            self._schedule(lane)

    def publish_pending(self) -> Collection[Lane]:
        """Bring the gauges of waiting contacts, and what was counted while events were read, up to date.

        Gives the lists of which anything that people are shown may have changed since they were given last. Where more
        than MOST_PUBLISHED change all the time, each is told of a few seconds late.
        """
        changed = list(islice(self._changed, MOST_PUBLISHED))
        for lane in changed:
            del self._changed[lane]
            lane.series.pending_contacts.set(lane.list.pending)
            lane.series.events_collapsed.inc(lane.collapsed)
            lane.collapsed = 0
        return changed

    def _wake(self, lane: Lane, now: float) -> None:
        if lane.list.doubtful:
            with self._recount(lane):
                lane.list.settle_doubts(now)
        ready = lane.list.ready_at()
        if ready is not None and ready <= now and not (lane.list.held and self._is_held(lane, now)):
            lane.account.queue(lane.list)
        else:
            self._schedule(lane)

    def _schedule(self, lane: Lane) -> None:
        when = lane.list.wakes_at()
        if when is not None and not lane.account.queued(lane.list) and (lane.wakes_at is None or when < lane.wakes_at):
            lane.wakes_at = when
            heapq.heappush(self._heap, (when, next(self._ties), lane))

    def _note(self, account: Account, answer: Answer) -> None:
        series = self.account_series[account.name]
        for outcome in answer.refreshes:
            series.refreshed(outcome)
            # They may be linked to the account's portal now.
            self._changed.update(dict.fromkeys(self._lanes_of(account)))
        if answer.remaining is not None:
            series.rate_limit_remaining.set(answer.remaining)

    def _open_gate(self) -> None:
        """Look again at the lists that waited for a partition to catch up, when anything about that has changed."""
        by = (frozenset(self._catching_up), self.over_bound)
        if by != self._gated_by:
            self._gated_by = by
            gated, self._gated = self._gated, {}
            for lane in gated:
                self._schedule(lane)

    def _is_gated(self, lane: Lane) -> bool:
        return bool(self._catching_up) and not self.over_bound and lane.list.carries(self._catching_up)

    def _is_held(self, lane: Lane, now: float) -> bool:
        """Ask the list's guard; what it has held for too long ends."""
        held = lane.list.is_held(now)
        self._show(lane)
        if held and (number := lane.list.guard.too_long(lane.list.newest, now)):
            self._end_hold(lane, number, "that went on for longer than retry.give_up_after", now)
        return held

    def _end_hold(self, lane: Lane, number: int, why: str, now: float) -> None:
        """Let go, as dead letters, of what is held and numbered `number` or lower."""
        terminal = Terminal(Details(message=f"held: {lane.list.held}, and {why}"), HELD, Scope.BATCH)
        with self._recount(lane):
            settled = lane.list.give_up(number, terminal, now)
        for each in settled:
            self._bury_all(lane, each, self._outside.clock.time())
            each.batch.close_part()

    def _send_all(self, account: Account, now: float) -> None:
        while True:
            refresh = self._workers.refresh_due(account.name)
            ready = account.ready_at(now, refresh=refresh)
            if ready is None or ready > now:
                return
            lane = self.lanes[account.first.connector]
            due = lane.list.ready_at()
            if due is None or due > now:  # what waited when it lined up has gone since
                account.drop(lane.list)
                self._schedule(lane)
            elif self._is_gated(lane):
                account.drop(lane.list)
                self._gated[lane] = None
            elif self._is_held(lane, now):
                account.drop(lane.list)
                self._schedule(lane)
            else:
                account.next(now, refresh=refresh)
                self._send(lane, now, refresh=refresh)

    def _send(self, lane: Lane, now: float, *, refresh: bool) -> None:
        probe = bool(lane.account.parking)
        with self._recount(lane):
            flush = lane.list.next_request(now, self._outside.new_id(), self.trigger, probe=probe)
        if flush.trigger is not None:
            lane.series.flush(flush.trigger)
        lane.permit = Permit(self._fence, self._outside.clock.monotonic, may_refresh=refresh)
        self._workers.submit(flush.request, lane.permit)
        self._schedule(lane)

    def _blame(self, lane: Lane, verdict: Verdict, request: Request, at: float) -> None:
        """Say where a person is needed after this verdict, and where no longer."""
        account = lane.account
        match verdict:
            case Terminal(scope=Scope.ACCOUNT):
                # Told once for all lists: at the first refusal, not at every probe.
                for each in (lane,) if account.parking else self._lanes_of(account):
                    each.trouble(verdict.reason, verdict.details, at, by_itself=each is lane)
                    self._changed[each] = None
            case Terminal():
                lane.trouble(verdict.reason, verdict.details, at, by_itself=True)
            case Applied() if request.adds or request.removes:
                lane.clear()
                for each in self._lanes_of(account) if account.parking else ():
                    if not each.troubled_by_itself:
                        each.clear()
                        self._changed[each] = None

    def _lanes_of(self, account: Account) -> list[Lane]:
        return [self.lanes[each.connector] for each in account.lists]

    def _give_up(self, account: Account, number: int, answer: Answer, terminal: Terminal, now: float) -> None:
        """End what waits for the account as a whole and is numbered `number` or lower."""
        for lane in self._lanes_of(account):
            with self._recount(lane):
                settled = lane.list.give_up(number, terminal, now)
            for each in settled:
                self._write(lane, answer, each)

    def _write(self, lane: Lane, answer: Answer, settled: Settled) -> None:
        """Write what came to an end; its offsets are held until Kafka has acknowledged it."""
        if settled.outcomes:
            settled.batch.open_part()
            self._outside.sink.send(lane.result(answer, settled.outcomes), settled.batch.close_part)
        self._bury_all(lane, settled, answer.answered_at)
        settled.batch.close_part()

    def _bury_all(self, lane: Lane, settled: Settled, at: float) -> None:
        """Write a dead letter of what was refused or given up."""
        if settled.terminal is not None and settled.refused:
            settled.batch.open_part()
            self.bury(lane.dead_letter(settled.terminal, settled, at), settled.batch.close_part)

    @contextmanager
    def _recount(self, lane: Lane) -> Iterator[None]:
        """Keep the sum of waiting contacts, and what is told of tries and of a hold, true across a change of a list."""
        before = lane.list.pending
        yield
        lane.count_tries()
        self.pending += lane.list.pending - before
        self._show(lane)

    def _show(self, lane: Lane) -> None:
        """Let people see what there is of a list by now."""
        self._changed[lane] = None
        lane.show_hold(self._outside.clock.time())
