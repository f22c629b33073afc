"""Threads that perform requests."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.workers import Workers
from consumer.outcomes import Answer, Applied, Request
from consumer.permit import Fence, Permit
from consumer.secret import Redactor, Secret
from tests.fakes.clock import ScriptedClock
from tests.hubspot.world import BASE_URL, TIMEOUT, Gate, oauth

pytestmark = pytest.mark.process

THREADS = 3
PATIENCE = 20.0


class Crew:
    """Workers for accounts `slow` and `quick`, whose HubSpots answer when their gates are opened."""

    def __init__(self) -> None:
        self.clock = ScriptedClock()
        self.gates = {"slow": Gate(), "quick": Gate()}
        self.clients = {name: self._client(gate) for name, gate in self.gates.items()}
        self.workers = Workers(self.clients, THREADS)
        self._before = set(threading.enumerate())

    def submit(self, account: str, count: int = 1) -> None:
        """Submit some requests."""
        for number in range(count):
            request = Request(f"{account}-{number}", "vip", account, 10, adds=(number + 1,))
            fence = Fence(1e9, self.clock.monotonic())
            self.workers.submit(request, Permit(fence, self.clock.monotonic))

    def take(self, count: int) -> list[Answer]:
        """Take so many answers."""
        answers: list[Answer] = []
        while len(answers) < count:
            taken = self.workers.take(PATIENCE)
            assert taken, "no more answers come"
            answers += taken
        return answers

    @property
    def threads(self) -> list[threading.Thread]:
        """Threads that the workers have started, and that still run."""
        return [each for each in threading.enumerate() if each not in self._before]

    def _client(self, gate: Gate) -> HubSpotClient:
        credentials = oauth(Secret("refresh-1"), self.clock.monotonic, Redactor())
        return HubSpotClient(BASE_URL, TIMEOUT, credentials, transport=gate, wall=self.clock.time)


@pytest.fixture
def crew() -> Iterator[Crew]:
    """Yield workers; open all gates and close them at the end."""
    crew = Crew()
    with ExitStack() as stack:
        stack.callback(crew.workers.close)
        for gate in crew.gates.values():
            stack.callback(gate.opened.set)
        yield crew


def test_answers_come_back(crew: Crew) -> None:
    """Each request gives one answer, which can be waited for."""
    crew.gates["quick"].opened.set()
    crew.submit("quick", 5)

    answers = crew.take(5)

    assert sorted(each.request.request_id for each in answers) == [f"quick-{number}" for number in range(5)]
    assert all(isinstance(each.verdict, Applied) for each in answers)
    assert crew.workers.take() == []


def test_nothing_is_waited_for_unasked(crew: Crew) -> None:
    """While no answer is there, the loop gets an empty list at once."""
    crew.submit("slow")

    assert crew.workers.take() == []
    assert crew.workers.take(0.001) == []


def test_a_slow_account_keeps_no_other_waiting(crew: Crew) -> None:
    """When all workers of one account wait for HubSpot, another's requests are performed all the same."""
    crew.submit("slow", THREADS + 2)
    crew.gates["slow"].arrived.acquire(timeout=PATIENCE)
    crew.gates["quick"].opened.set()
    crew.submit("quick", 2)

    assert {each.request.account for each in crew.take(2)} == {"quick"}


def test_threads_are_started_when_they_are_needed(crew: Crew) -> None:
    """An account has as many threads as requests at once, up to its bound; none before the first request."""
    assert crew.threads == []
    crew.submit("slow")
    assert len(crew.threads) == 1
    crew.submit("slow", THREADS + 5)
    assert len(crew.threads) == THREADS
    assert all(each.daemon and each.name.startswith("hubspot-slow-") for each in crew.threads)


def test_a_thread_that_is_free_is_used_again(crew: Crew) -> None:
    """Requests one after the other need one thread."""
    crew.gates["quick"].opened.set()
    for _ in range(5):
        crew.submit("quick")
        crew.take(1)

    assert len(crew.threads) == 1


def test_a_defect_in_a_worker_reaches_the_loop(crew: Crew) -> None:
    """An exception that nobody expected is raised where answers are taken, and the worker goes on."""
    crew.gates["quick"].opened.set()
    crew.gates["quick"].answer = ZeroDivisionError("a defect")
    crew.submit("quick")
    with pytest.raises(ZeroDivisionError, match="a defect"):
        crew.take(1)

    crew.gates["quick"].answer = httpx.Response(200)
    crew.submit("quick")
    assert isinstance(crew.take(1)[0].verdict, Applied)


def test_the_loop_can_ask_whether_a_refresh_is_due(crew: Crew) -> None:
    """Each account tells for itself whether its next request takes a token refresh."""
    crew.gates["quick"].opened.set()
    crew.submit("quick")
    crew.take(1)

    assert not crew.workers.refresh_due("quick")
    assert crew.workers.refresh_due("slow")
    crew.clock.advance(1800.0)
    assert crew.workers.refresh_due("quick")


def test_closing_ends_idle_threads_and_connections(crew: Crew) -> None:
    """When nothing is on the wire, no thread and no connection is left."""
    crew.gates["quick"].opened.set()
    crew.submit("quick", THREADS)
    crew.take(THREADS)

    crew.workers.close()

    assert crew.threads == []
    assert all(gate.closed for gate in crew.gates.values())


def test_closing_waits_for_nobody(crew: Crew) -> None:
    """A request on the wire does not hold up the end; its thread ends with its answer."""
    crew.submit("slow")
    crew.gates["slow"].arrived.acquire(timeout=PATIENCE)
    (thread,) = crew.threads

    crew.workers.close()
    assert thread.is_alive()

    crew.gates["slow"].opened.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
