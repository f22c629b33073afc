"""A simulation: a plan's steps on the whole service, with every law looked at whenever it may be broken.

Time passes in small pieces that grow while nothing happens. In each piece HubSpot's late effects come, the group goes
on, and every member turns once. A member that waits within a callback lets all of that go on for the others.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import NamedTuple

from consumer.changes import Action, TopicPartition
from consumer.drift import LAG, Report
from consumer.loop import State
from consumer.outcomes import DeadLetter, Request, Result
from consumer.settings import Settings
from consumer.simulator.accounts import ContactList
from consumer.simulator.calls import Quirks
from consumer.simulator.messages import Handled
from consumer.simulator.portal import Portal
from tests.fakes.audit import Auditing, LentAuditing, world_log
from tests.fakes.group import Group
from tests.fakes.kafka import TOPIC, MemoryBroker, MemorySource
from tests.fakes.service import FIRST_LIST, World, make_settings
from tests.simulation.members import Actor, Crashed
from tests.simulation.plan import (
    SESSION_TIMEOUT,
    SETTLE,
    Audit,
    Crash,
    Create,
    Dawdle,
    Delete,
    Freeze,
    Heal,
    Hit,
    Join,
    Jump,
    Meddle,
    Merge,
    Move,
    Odd,
    Pass,
    Plan,
    Rebuild,
    RefuseCommits,
    Release,
    Setup,
    Step,
    Stop,
    Tell,
    Withhold,
)
from tests.simulation.rebuilds import Rebuild as Rebuilding
from tests.simulation.truth import Broken, Key, Told, Truth

SHORTEST, LONGEST = 0.05, 5.0  # seconds of a piece of time
MOST_MEMBERS = 4
CONTACTS = frozenset({1, 2, 3})  # exist in HubSpot at the start; plans tell of 4 and 5 as well
SURVIVOR = 10  # a contact is merged into the one whose number is so much higher
SURVIVORS = frozenset(range(SURVIVOR + 1, SURVIVOR + 6))
TOKEN_LIFE = 120  # seconds of an access token
_OF_A_MEMBER = Stop | Crash | Freeze | Move | RefuseCommits | Release | Audit
DAYS = 3 * 86_400.0  # seconds; no plan sets the date so far back
ALL_IN = 6_000.0  # seconds, after everything was healed, until all must be committed


class _Broker(MemoryBroker):
    """Holds every commit against the truth."""

    truth: Truth

    def commit(self, member: MemorySource, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, str]:
        """Take what is the member's own."""
        before = dict(self.committed)
        errors = super().commit(member, offsets)
        for key, offset in offsets.items():
            if offset < before.get(key, 0) and key not in errors:
                raise Broken("commits go forward", f"{offset} of partition {key.partition}, after {before[key]}")
            if key not in errors:
                self.truth.check_commit(key.partition, offset)
        return errors


class Tries(NamedTuple):
    """A contact that was tried again in request `number`, by whom, and as owner since which tick."""

    actor: Actor
    key: TopicPartition
    since: int
    number: int
    contact: int


class Simulation:
    """Plays one plan, once. Raises Broken, or whatever the service raises."""

    def __init__(self, plan: Plan) -> None:
        setup = plan.setup
        self.truth = Truth(setup.partitions)
        broker = _Broker(setup.partitions)
        broker.truth = self.truth
        portal = partial(Portal, seed=plan.seed, quirks=Quirks(expires_in=TOKEN_LIFE))
        self.world = World(_settings(setup), broker, portal)
        self._contacts = {*CONTACTS, *SURVIVORS}
        for account in self.world.accounts.values():
            account.contacts = self._contacts
        self._setup = setup
        self._group = Group(broker)
        self._actors: list[Actor] = []
        self._waiting: list[Actor] = []
        self._sessions: list[tuple[float, MemorySource]] = []  # of crashed members, and when they end
        self._steps: Iterator[Step] = iter(plan.steps)
        self._until = self._now
        self._over = False
        self._piece = SHORTEST
        self._ticks = 0
        self._started = 0
        self._withheld: set[str] = set()
        self._latency = 0.0
        self._tries: list[Tries] = []  # that have not had their effect yet
        self._orphans: set[tuple[int, int]] = set()  # requests, by their numbers, and contacts
        self._rebuilds: list[Rebuilding] = []  # that are running
        self._spoilt: set[int] = set()  # lists of which a rebuild ended too soon
        self._given_up: set[Key] = set()  # by rebuilds
        self._rebuilt: set[int] = set()  # lists of which there was a rebuild
        self._merged: set[int] = set()
        self._audits: list[tuple[Auditing, Actor | None]] = []
        self._results: list[Result] = []
        self._letters: list[DeadLetter] = []

    @property
    def _now(self) -> float:
        return self.world.clock.monotonic()

    def run(self) -> None:
        """Play it to its end."""
        try:
            for _ in range(self._setup.members):
                self._join()
            while not self._over:
                self._go_on(float("inf"))
            self._heal()
            self._end_well()
        finally:
            for actor in self._actors:
                actor.workers.close()
            for rebuild in self._rebuilds:
                rebuild.workers.close()
            for auditing, _ in self._audits:
                auditing.close()

    def tick(self) -> int:
        """Give the next number: what has the lower one was before."""
        self._ticks += 1
        return self._ticks

    def keep(self, record: Result | DeadLetter) -> None:
        """Keep a record that is in its topic."""
        if isinstance(record, Result):
            self._results.append(record)
        else:
            self._letters.append(record)

    def where(self, contact: int) -> TopicPartition:
        """Give the partition of all that is ever told of a contact."""
        return TopicPartition(TOPIC, contact % self._setup.partitions)

    def note_tries(self, actor: Actor, request: Request, seen: Handled) -> None:
        """Look after the effect of contacts that were tried again."""
        for contact in request.again:
            key = self.where(contact)
            self._tries.append(Tries(actor, key, actor.assigned_at[key], seen.number, contact))

    def wait(self, actor: Actor, seconds: float) -> None:
        """Let everything go on while a member waits for an answer, for so long at most."""
        end = self._now + seconds
        self._waiting.append(actor)
        try:
            while (self._now < end and actor.workers.next_due > self._now) or self._now < actor.awake_at:
                self._go_on(min(end, actor.workers.next_due) if self._now >= actor.awake_at else actor.awake_at)
                if actor.crashed:
                    raise Crashed
        finally:
            self._waiting.pop()

    def _go_on(self, limit: float) -> None:
        """Let a piece of time pass, until `limit` at the most, or take the next step."""
        if self._over or self._now < self._until:
            self._pass(limit)
            return
        step = next(self._steps, None)
        if step is None:
            self._over = True
            self._until = float("inf")
        else:
            self._do(step)

    def _pass(self, limit: float) -> None:
        now = self._now
        times = [limit, self._until, *(at for at, _ in self._sessions)]
        times += [each.workers.next_due if each.awake_at <= now else each.awake_at for each in self._actors]
        times += [each.workers.next_due for each in self._rebuilds]
        times += [auditing.due for auditing, _ in self._audits]
        ahead = min((time for time in times if time > now), default=now + LONGEST)
        self.world.clock.advance(min(self._piece, ahead - now))
        now = self._now
        self.world.portal.advance(now)
        self._follow_tries()
        self._end_sessions(now)
        self._group.turn()
        busy = False
        for actor in list(self._actors):
            if actor.awake_at > now or actor in self._waiting or actor not in self._actors:
                continue
            if actor.cast_out:
                self._let_back(actor, now)
            if self._waiting and actor.source.rebalancing:
                continue  # one callback at a time
            busy |= self._turn(actor)
        for each in list(self._rebuilds):
            busy |= each.step()
            self._follow(each)
        busy |= self._turn_audits()
        self._piece = SHORTEST if busy else min(self._piece * 2, LONGEST)

    def _rebuild(self, step: Rebuild) -> None:
        self._rebuilt.add(step.number)
        self._rebuilds.append(Rebuilding(self.world, step.number, step.seconds, kill=step.kill))

    def _follow(self, rebuild: Rebuilding) -> None:
        """Take note of what a rebuild has given up, and how it ended."""
        for letter in rebuild.letters():
            self._given_up.update((letter.list_id or 0, int(each.record_id)) for each in letter.contacts)
        if rebuild.over:
            self._rebuilds.remove(rebuild)
            rebuild.workers.close()
            if rebuild.unfinished:
                self._spoilt.add(rebuild.number)

    def _turn_audits(self) -> bool:
        """Let audits go on, and hold what they have found against the truth; tell whether any did anything."""
        busy = False
        for entry in list(self._audits):
            auditing, actor = entry
            if actor is not None and actor not in self._actors:
                self._audits.remove(entry)  # it went with its member
                continue
            auditing.look()
            if actor is not None and (actor.awake_at > self._now or actor in self._waiting):
                continue
            before, reported = auditing.walk.request, len(auditing.reports)
            auditing.turn()
            for report in auditing.reports[reported:]:
                if report.findings is not None:
                    self.truth.check_findings(report.listed.list_id, report.findings, self._unsure())
            busy |= auditing.walk.request is not before
            if auditing.walk.request is None:
                self._audits.remove(entry)
                auditing.close()
        return busy

    def _audit(self, actor: Actor | None) -> None:
        log = world_log(self.world, self._results, self._letters)
        if actor is None:
            self._audits.append((Auditing(self.world, log), None))
        elif all(actor is not other for _, other in self._audits):
            note = actor.watched.note_start
            self._audits.append((LentAuditing(self.world, log, actor.lending, actor.workers.clients, note=note), actor))

    def _unsure(self) -> set[Key]:
        """Give the lists and contacts of which an audit may say anything.

        Those that a rebuild may have touched meanwhile, or a try that nobody knew of any more; and merged contacts.
        """
        rebuilt = {(FIRST_LIST + number, contact) for number in self._rebuilt for contact in range(1, 6)}
        both = {each for contact in self._merged for each in (contact, contact + SURVIVOR)}
        merged = {(FIRST_LIST + number, each) for number in range(len(self._setup.sources)) for each in both}
        return rebuilt | merged | self._orphaned()

    def _follow_tries(self) -> None:
        """Find the tries that take effect when whoever made them has given the partition up, or is gone.

        Nothing holds the offset of a try, so no next owner knows of it: that may have the last word.
        """
        for each in self._tries:
            if self._handled(each.number).applied_at is not None:
                owner = each.actor in self._actors and each.actor.owns(each.key)
                if not owner or each.actor.assigned_at[each.key] != each.since:
                    self._orphans.add((each.number, each.contact))
        self._tries = [each for each in self._tries if self._handled(each.number).applied_at is None]

    def _handled(self, number: int) -> Handled:
        return self.world.portal.log[bisect_left(self.world.portal.log, number, key=lambda each: each.number)]

    def _orphaned(self) -> set[Key]:
        """Give the lists and contacts on which a try that nobody knew of any more had the last word."""
        last: dict[Key, Handled] = {}
        for each in self.world.portal.log:
            for contact in (*each.adds, *each.removes) if each.applied_at is not None and each.list_id else ():
                known = last.setdefault((each.list_id or 0, contact), each)
                if (each.applied_at or 0.0) >= (known.applied_at or 0.0):
                    last[each.list_id or 0, contact] = each
        return {key for key, each in last.items() if (each.number, key[1]) in self._orphans}

    def _turn(self, actor: Actor) -> bool:
        """Turn a member; tell whether it did anything."""
        before = actor.busy
        try:
            actor.workers.work()
            actor.loop.turn(actor.source)
            if actor.loop.state is State.STOPPED:
                actor.source.close()
        except Crashed:
            self._bury(actor, written=actor.written)
            return True
        if actor.loop.state is State.STOPPED:
            if not actor.cast_out:
                self._group.leave(actor.source)
            self._dismiss(actor)
        return actor.busy != before

    def _end_sessions(self, now: float) -> None:
        for at, source in list(self._sessions):
            if at <= now:
                self._sessions.remove((at, source))
                self._group.cast_out(source)
        for actor in self._actors:
            if actor.awake_at > now >= actor.frozen_at + SESSION_TIMEOUT and not actor.cast_out:
                actor.cast_out = True
                self._group.cast_out(actor.source)

    def _let_back(self, actor: Actor, now: float) -> None:
        """Tell a member that was thrown out, and let it in again."""
        if now >= actor.awake_at + actor.notice:
            actor.cast_out = False
            actor.source.lose(*sorted(key.partition for key in actor.source.owned))
            self._group.join(actor.source)

    def _join(self) -> None:
        actor = Actor(self, self._started)
        self._started += 1
        actor.source.most_messages = self._setup.messages
        self._actors.append(actor)
        self._equip(actor)
        self._group.join(actor.source)

    def _equip(self, actor: Actor) -> None:
        """Bring what is withheld to a member's knowledge."""
        actor.sink.away = "records" in self._withheld
        actor.source.answers_commits = "commits" not in self._withheld
        actor.source.answers_lookups = "lookups" not in self._withheld
        actor.registry.away = "schemas" in self._withheld
        actor.workers.latency = self._latency

    def _crash(self, actor: Actor, *, written: bool) -> None:
        actor.crashed, actor.written = True, written
        if actor not in self._waiting:
            self._bury(actor, written=written)

    def _bury(self, actor: Actor, *, written: bool) -> None:
        actor.sink.crash(written=written)
        if not actor.cast_out:
            since = actor.frozen_at if actor.awake_at > self._now else self._now
            self._sessions.append((since + SESSION_TIMEOUT, actor.source))
        self._dismiss(actor, orderly=False)

    def _dismiss(self, actor: Actor, *, orderly: bool = True) -> None:
        self._actors.remove(actor)
        if orderly:
            actor.check_sums()
        actor.workers.close()

    def _member(self, number: int) -> Actor | None:
        return self._actors[number % len(self._actors)] if self._actors else None

    def _do(self, step: Step) -> None:  # noqa: C901, PLR0912 - one branch for each kind of step
        actor = None
        if isinstance(step, _OF_A_MEMBER) and step.member is not None:
            actor = self._member(step.member)
        match step:
            case Pass(seconds):
                self._until = self._now + seconds
            case Tell():
                self._tell(step)
            case Odd():
                self._tell_odd(step)
            case Hit(fault):
                self.world.portal.inject(fault)
            case Delete(number):
                self._list(number).deleted_at = self._now
            case Create(contact):
                self._contacts.add(contact)
            case Merge(contact):
                self._merged.add(contact)
                for account in self.world.accounts.values():
                    account.merge(contact, contact + SURVIVOR)
            case Heal():
                self._mend()
            case Join() if len(self._actors) < MOST_MEMBERS:
                self._join()
            case Withhold(what, on):
                (self._withheld.add if on else self._withheld.discard)(what)
            case Dawdle(seconds):
                self._latency = seconds
            case Jump(seconds):
                self._set_clocks(seconds)
            case Meddle():
                self._meddle(step)
            case Audit(member) if actor or member is None:
                self._audit(actor)
            case Stop(_, twice) if actor:
                for _ in range(1 + twice):
                    actor.loop.stop("SIGTERM")
            case Crash(_, written, None) if actor:
                self._crash(actor, written=written)
            case Crash(_, written, seam, count) if actor and seam:
                actor.doom, actor.written = (seam, count), written
            case Freeze(_, seconds, notice) if actor and actor.awake_at <= self._now and not actor.cast_out:
                actor.frozen_at, actor.awake_at, actor.notice = self._now, self._now + seconds, notice
            case Move(partition) if actor:
                self._group.move(TopicPartition(TOPIC, partition), actor.source)
            case RefuseCommits(_, errors) if actor:
                actor.source.commit_errors += errors
            case Rebuild() if not self._rebuilds:  # two of them would know nothing of each other
                self._rebuild(step)
            case Release(_, number) if actor:
                actor.release(f"c{number}")
        for each in self._actors:
            self._equip(each)

    def _tell(self, step: Tell) -> None:
        partition = self.where(step.contact).partition
        action = Action.ADD if step.enters else Action.REMOVE
        lists = [FIRST_LIST + number for number, source in enumerate(self._setup.sources) if source == step.source]
        self.truth.tell(partition, Told({(list_id, step.contact): action for list_id in lists}))
        transition = "ENTER" if step.enters else "EXIT"
        self.world.tell(transition, step.contact, source=f"audience:{step.source}", partition=partition)

    def _tell_odd(self, step: Odd) -> None:
        letters: frozenset[int | None] = frozenset()
        if step.kind == "invalid":
            letters = frozenset(FIRST_LIST + n for n, source in enumerate(self._setup.sources) if source == 0)
        elif step.kind == "bytes":
            letters = frozenset({None})
        self.truth.tell(step.partition, Told(letters=letters))
        match step.kind:
            case "tombstone":
                self.world.tell_raw(None, step.partition)
            case "bytes":
                self.world.tell_raw(b"\x07 this is no Avro", step.partition)
            case "unrouted":
                self.world.tell("ENTER", 1, source="audience:nobody", partition=step.partition)
            case "no_identifier":
                self.world.tell("ENTER", None, partition=step.partition)
            case "invalid":
                self.world.tell("ENTER", "bob@example.com", partition=step.partition)

    def _set_clocks(self, seconds: float) -> None:
        self.truth.clocks_were_set = True
        self.world.clock.jump(seconds)

    def _meddle(self, step: Meddle) -> None:
        self.truth.meddle((FIRST_LIST + step.number, step.contact))
        contacts, contact = self._list(step.number), self.world.account.survivor(step.contact)
        if contact is not None and not contacts.leave(contact):
            contacts.join(contact, self._now)

    def _list(self, number: int) -> ContactList:
        list_id = FIRST_LIST + number
        return next(each.lists[list_id] for each in self.world.accounts.values() if list_id in each.lists)

    def _mend(self) -> None:
        self.world.portal.heal_all()
        for number in range(len(self._setup.sources)):
            self._list(number).deleted_at = None

    def _heal(self) -> None:
        """Let all be well from now on."""
        self._mend()
        self._withheld.clear()
        self._latency = 0.0
        for actor in self._actors:
            actor.awake_at = min(actor.awake_at, self._now)
            actor.doom = None
            actor.source.commit_errors.clear()
            self._equip(actor)

    def _release_all(self) -> None:
        for actor in self._actors:
            for connector, lane in actor.loop._delivery.lanes.items():
                if lane.list.held:
                    actor.release(connector)

    def _end_well(self) -> None:
        """Let time pass until all is committed; then every list must be what the log says."""
        self._come_to_rest()
        for number in range(len(self._setup.sources)):
            if number not in self._spoilt:
                found = self._found(number)
                excused = self._orphaned() | self._given_up
                self._compare(number, found, self.truth.members(FIRST_LIST + number, found, excused))
        self._audit_all()
        if self._rebuilt:
            self._rebuild_all()
        self.world.portal.assert_clean()
        for actor in self._actors:
            actor.check_sums()

    def _audit_all(self) -> None:
        """Let so much time pass that nothing is on its way any more: then an audit finds what there is, and no more."""
        self.world.clock.advance(LAG + 1)
        self.world.clock.jump(DAYS)
        auditing = Auditing(self.world, world_log(self.world, self._results, self._letters))
        self._audits.append((auditing, None))
        unsure = self._unsure()
        for number, report in enumerate(sorted(auditing.run(), key=_list_id)):
            list_id, findings = report.listed.list_id, report.findings
            if findings is None:
                raise Broken("an audit finds all", f"list {list_id}: {report.failure}")
            self.truth.check_findings(list_id, findings, unsure)
            present = self.world.members(number)
            self.truth.check_all_found(list_id, findings, present, self._existing, unsure)

    def _rebuild_all(self) -> None:
        """Rebuild each list: then it is the log, whatever was before, but for members that the log does not know."""
        for number in range(len(self._setup.sources)):
            self._rebuild(Rebuild(number))
        self._come_to_rest()
        for number in range(len(self._setup.sources)):
            last = self.truth.last_intents(FIRST_LIST + number)
            wanted = frozenset(each for each in self._existing if last.get(each) is Action.ADD)
            self._compare(number, self._found(number) & last.keys(), wanted)

    @property
    def _existing(self) -> set[int]:
        """Give the contacts that HubSpot finds by their numbers."""
        return {contact for contact in range(1, 6) if self.world.account.survivor(contact) is not None}

    def _come_to_rest(self) -> None:
        deadline = self._now + ALL_IN
        while self._rebuilds or not (self.world.all_committed() and self.world.portal.next_due() is None):
            if not self._actors:
                self._join()
            if self._now > deadline:
                raise Broken("all is committed in the end", f"{self.world.broker.committed} after {ALL_IN} s")
            self._release_all()
            self._pass(float("inf"))

    def _found(self, number: int) -> frozenset[int]:
        return frozenset(each - SURVIVOR if each in SURVIVORS else each for each in self.world.members(number))

    def _compare(self, number: int, found: frozenset[int], wanted: frozenset[int]) -> None:
        if found != wanted:
            raise Broken("each list is what the log says", f"list {number}: {set(found)}, wanted {set(wanted)}")


def _list_id(report: Report) -> int:
    return report.listed.list_id


@cache
def _settings(setup: Setup) -> Settings:
    accounts = ("acme", "beta")[: setup.accounts]
    share = setup.max_removed_share
    guard = {} if share is None else {"max_removed_share": share, "above": 1, "within": "60s"}
    return make_settings(
        len(setup.sources),
        kafka={"session.timeout.ms": int(SESSION_TIMEOUT * 1000)},
        window={"max_age": setup.max_age, "max_contacts": setup.max_contacts},
        hubspot={"timeout": "10s", "settle": f"{SETTLE:.0f}s"},
        accounts={name: {"requests_per_10s": setup.requests_per_10s} for name in accounts},
        connectors={f"c{number}": {"source": f"audience:{source}"} for number, source in enumerate(setup.sources)},
        retry={"give_up_after": setup.give_up_after},
        not_found={"retries": setup.retries, "over": setup.over},
        shutdown={"timeout": setup.shutdown},
        guard=guard,
    )
