"""An audit beside the members of a world, in the same scripted time: by itself, as the command, or lent by a member."""

from collections.abc import Callable, Iterable
from typing import Any

from consumer.app import make_router
from consumer.audit import Audit, Budget, Turns, Walk
from consumer.drift import Listed, Report
from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.oauth import TOKEN_PATH, OAuth
from consumer.kafka import sink
from consumer.kafka.audited import AuditedLog
from consumer.lending import Audited, Audits, Leave, Lending, Returned
from consumer.outcomes import DeadLetter, Result
from consumer.secret import Redactor
from consumer.simulator.transport import PortalTransport
from tests.fakes.service import World
from tests.fakes.topics import audited_log, result_record

MOST = 1_000  # contacts in memory


def lists(world: World) -> list[Listed]:
    """Give all lists of a world."""
    return [Listed(name, each.account, each.list_id) for name, each in world.settings.connectors.items()]


def world_log(world: World, results: Iterable[Result], letters: Iterable[DeadLetter]) -> AuditedLog:
    """Give a world's topics as an audit reads them; the records are looked at when it does."""
    topics = world.settings.topics
    records: dict[str, Any] = {
        topics.results: lambda: [result_record(each) for each in results],
        topics.dead_letters: lambda: [sink._dead_letter(each, None) for each in letters],
    }
    return audited_log(world.settings, world.broker, records, make_router(world.settings))


def clients(world: World) -> dict[str, HubSpotClient]:
    """Give clients with tokens of their own. An answer that is slow, but comes, comes at once."""
    hubspot, clock = world.settings.hubspot, world.clock
    return {
        name: HubSpotClient(
            hubspot.base_url,
            hubspot.timeout,
            OAuth(
                name,
                hubspot.base_url + TOKEN_PATH,
                each.client_id,
                each.client_secret,
                each.refresh_token,
                Redactor(),
                clock.monotonic,
            ),
            transport=PortalTransport(world.portal, clock.monotonic),
            wall=clock.time,
        )
        for name, each in world.settings.accounts.items()
    }


class Auditing:
    """One round over all lists, by a process of its own: it asks whenever it may."""

    def __init__(self, world: World, log: AuditedLog, turns: Turns | None = None, requests: int | None = None) -> None:
        self.reports: list[Report] = []
        self.asked = clients(world)
        self._clock = world.clock
        budget = Budget(requests)
        tried_for = world.settings.not_found.tried_for
        audit = Audit(turns or Turns(lists(world)), log, budget, MOST, self.reports.append, tried_for=tried_for)
        self.walk = Walk(audit.steps(), budget)

    @property
    def due(self) -> float:
        """When the next request may leave; infinity when all is done."""
        return float("inf") if self.walk.request is None else self.walk.not_before

    def look(self) -> None:
        """Note what has happened since."""

    def turn(self) -> None:
        """Ask once, if it is time."""
        request = self.walk.request
        if request is not None and self._clock.monotonic() >= self.walk.not_before:
            answer = self.asked[request.account].read(request)
            self.walk.answered(answer, self._clock.monotonic(), 0.5)

    def run(self) -> list[Report]:
        """Ask until all is done, while time passes for nobody else; give the reports."""
        while self.walk.request is not None:
            self._clock.advance(max(0.0, self.walk.not_before - self._clock.monotonic()))
            self.turn()
        return self.reports

    def close(self) -> None:
        """Close the clients."""
        for each in self.asked.values():
            each.close()


class LentAuditing(Auditing):
    """The same, beside a member: by leave of its loop, with its tokens, which is how the auditor's thread does it."""

    def __init__(
        self,
        world: World,
        log: AuditedLog,
        lending: Lending,
        clients_: dict[str, HubSpotClient],
        turns: Turns | None = None,
        requests: int | None = None,
        note: Callable[[str, float], None] = lambda _account, _at: None,
    ) -> None:
        super().__init__(world, log, turns, requests)
        super().close()
        self.asked = clients_
        self._note = note  # is told of every request that leaves, and when
        self._lending = lending
        self._leave: Leave | None = None
        self._given_at: float | None = None
        self._told = 0
        self._wall = world.clock.time
        lending.tell(Audits(on=True))

    def look(self) -> None:
        """Note when leave is given."""
        if self._leave is not None and self._given_at is None and self._leave.wait(0.0):
            self._given_at = self._clock.monotonic()

    def turn(self) -> None:
        """Ask for leave, or use it."""
        self.look()
        request = self.walk.request
        if request is None or self._clock.monotonic() < self.walk.not_before:
            return
        if self._leave is None:
            self._leave = self._lending.ask(request.account)
        elif self._given_at is not None:
            answer = self.asked[request.account].read(request, may_refresh=self._leave.may_refresh)
            for _ in range(answer.requests):
                self._note(request.account, self._given_at)
            self._leave = self._given_at = None
            self._lending.tell(Returned(request.account, answer))
            self.walk.answered(answer, self._clock.monotonic(), 0.5)
            for report in self.reports[self._told :]:
                self._lending.tell(Audited(report, self._wall()))
            self._told = len(self.reports)

    def close(self) -> None:
        """Close nothing: the clients are the member's."""
