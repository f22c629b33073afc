"""The thread that audits: when it begins and ends, and that nothing of it reaches anybody else."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from consumer.audit import Log
from consumer.auditor import Auditor
from consumer.changes import TopicPartition
from consumer.drift import Kind, Listed
from consumer.intents import Folded, IdRange, Intents
from consumer.kafka.reader import ReadFailed
from consumer.lending import Audited, Audits, Lending, News, Returned
from consumer.simulator import ContactList
from tests.hubspot.world import World
from tests.simulator.caller import acme

pytestmark = pytest.mark.process

VIP = Listed("vip", "acme", 10)
SOON = 0.001  # seconds
PATIENCE = 20.0


class Heard(Lending):
    """What the thread asks for is given at once, unless `gives` is off; what it tells is kept in a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: queue.Queue[News] = queue.Queue()
        self.asking = threading.Event()
        self.gives = True

    def ask(self, account: str) -> Any:  # noqa: ANN401 - a Leave
        """Give what is asked for."""
        leave = super().ask(account)
        if self.gives:
            leave.give(may_refresh=True)
        self.asking.set()
        return leave

    def tell(self, news: News) -> None:
        """Keep it."""
        self.heard.put(news)

    def until(self, kind: type[News]) -> Any:  # noqa: ANN401 - of that kind
        """Wait for the next news of a kind."""
        while not isinstance(news := self.heard.get(timeout=PATIENCE), kind):
            pass
        return news


class Topics:
    """A log that knows nobody."""

    def __init__(self, told: Callable[[int, int], None]) -> None:
        self._told = told

    def committed(self) -> dict[TopicPartition, int | None]:
        """Say that there is no partition."""
        return {}

    def fold(self, wanted: dict[str, IdRange], most: int) -> Folded:
        """Read a batch, and find nothing in it."""
        assert most > 0
        self._told(1, 1)
        return Folded({name: Intents() for name in wanted}, wanted)

    def letters(self) -> list[dict[str, Any]]:
        """Give none."""
        return []

    results = letters


class Running:
    """An auditor of a list with three members; `owns` says whether this member is the one that audits."""

    def __init__(self, open_log: Callable[..., Any]) -> None:
        account = acme()
        account.lists[10] = ContactList(10, "VIP", members=[1, 2, 3])
        self.hubspot = World(account=account)
        self.lending = Heard()
        self.owns = True
        clients = {"acme": self.hubspot.client}
        self.auditor = Auditor([VIP], SOON, 500, 0.0, self.lending, clients, lambda: self.owns, open_log)


@contextmanager
def nothing(told: Callable[[int, int], None]) -> Iterator[Log]:
    """Open a log that knows nobody."""
    yield Topics(told)  # type: ignore[misc]  # its mappings are dicts


@contextmanager
def running(open_log: Callable[..., Any] = nothing) -> Iterator[Running]:
    """Yield an auditor that runs; it is closed at the end."""
    made = Running(open_log)
    made.auditor.start()
    try:
        yield made
    finally:
        made.auditor.close()
    assert not made.auditor._thread.is_alive()


def test_rounds_are_told() -> None:
    """It tells that it audits, what each request came to, and what it found; and it goes on."""
    with running() as it:
        assert it.lending.until(Audits) == Audits(on=True)
        returned = it.lending.until(Returned)
        assert returned.answer.statuses == ("200",)
        for _ in range(2):
            report = it.lending.until(Audited).report
            assert (report.listed, report.findings.counts[Kind.UNKNOWN]) == (VIP, 3)


def test_it_ends_where_it_waits_for_leave() -> None:
    """A stop is not held up by an audit that waits for its turn."""
    with running() as it:
        it.lending.gives = False
        assert it.lending.asking.wait(PATIENCE)
        it.auditor.close()
        assert not it.auditor._thread.is_alive()


def test_who_loses_the_partition_audits_no_more() -> None:
    """Once another member audits, this one gives up what it waits for, tells so, and may begin again later."""
    with running() as it:
        it.lending.gives = False
        assert it.lending.asking.wait(PATIENCE)
        it.owns = False
        assert it.lending.until(Audits) == Audits(on=True)
        assert it.lending.until(Audits) == Audits(on=False)
        it.lending.gives = it.owns = True
        assert it.lending.until(Audits) == Audits(on=True)
        assert it.lending.until(Audited).report.findings is not None


def test_a_log_that_cannot_be_read_ends_the_round_alone() -> None:
    """Kafka that is away is counted against the list whose turn it was, and the next round is tried."""
    tries: list[int] = []

    @contextmanager
    def broken(told: Callable[[int, int], None]) -> Iterator[Log]:
        tries.append(1)
        if len(tries) == 1:
            raise ReadFailed("topic changes cannot be read")
        topics = Topics(told)
        if len(tries) == 2:
            topics.fold = lambda *_: 1 / 0  # type: ignore[assignment,method-assign]  # a defect of ours
        yield topics  # type: ignore[misc]  # as above

    with running(broken) as it:
        for _ in range(2):
            report = it.lending.until(Audited).report
            assert (report.listed, report.findings) == (VIP, None)
        assert it.lending.until(Audited).report.findings is not None


def test_a_client_that_fails_gives_its_leave_back() -> None:
    """Whatever happens to a request, the loop learns that its leave is used up."""
    with running() as it:
        it.hubspot.wire.before = lambda _request: 1 / 0  # type: ignore[assignment]  # a defect of ours
        while it.lending.until(Returned).answer is not None:
            pass
        it.hubspot.wire.before = lambda _request: None
        while it.lending.until(Audited).report.findings is None:
            pass
