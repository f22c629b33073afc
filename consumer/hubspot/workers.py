"""Threads that perform requests: a few for each account, so that a slow account keeps none of another's."""

import queue
import threading
from collections.abc import Mapping

from consumer.hubspot.client import HubSpotClient
from consumer.outcomes import Answer, Request
from consumer.permit import Permit


class Workers:
    """Takes frozen requests and gives frozen answers back. The loop never has more out than `threads` an account."""

    def __init__(self, clients: Mapping[str, HubSpotClient], threads: int) -> None:
        self._answers: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()
        self._crews = {account: _Crew(account, client, threads, self._answers) for account, client in clients.items()}

    def submit(self, request: Request, permit: Permit) -> None:
        """Let a worker perform a request."""
        self._crews[request.account].submit(request, permit)

    def take(self, wait: float = 0.0) -> list[Answer]:
        """Return the answers that are there; wait at most `wait` seconds for the first. Raises what a worker raised."""
        taken: list[Answer] = []
        while True:
            try:
                answer = self._answers.get(timeout=wait) if wait > 0 and not taken else self._answers.get_nowait()
            except queue.Empty:
                return taken
            if isinstance(answer, BaseException):
                raise answer
            taken.append(answer)

    def refresh_due(self, account: str) -> bool:
        """Tell whether the account's next request renews its token first."""
        return self._crews[account].client.auth.refresh_due()

    def hub_id(self, account: str) -> int | None:
        """Give the account's portal, once HubSpot has told it."""
        return self._crews[account].client.auth.hub_id

    def close(self) -> None:
        """Send nothing more. Threads that wait for HubSpot end with their answers, or with the process."""
        for crew in self._crews.values():
            crew.close()


class _Crew:
    """The threads of one account, started when they are first needed."""

    def __init__(
        self, account: str, client: HubSpotClient, threads: int, answers: "queue.SimpleQueue[Answer | BaseException]"
    ) -> None:
        self.client = client
        self._name = f"hubspot-{account}"
        self._most = threads
        self._threads: list[threading.Thread] = []
        self._jobs: queue.SimpleQueue[tuple[Request, Permit] | None] = queue.SimpleQueue()
        self._answers = answers
        self._out = 0
        self._lock = threading.Lock()

    def submit(self, request: Request, permit: Permit) -> None:
        with self._lock:
            self._out += 1
            needed = self._out > len(self._threads) and len(self._threads) < self._most
        if needed:
            # Daemons: a worker that waits for HubSpot must not keep the process from ending.
            thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._jobs.put((request, permit))

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        with self._lock:
            idle = self._out == 0
        if idle:
            for thread in self._threads:
                thread.join()
        self.client.close()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            answer: Answer | BaseException
            try:
                answer = self.client.perform(*job)
            except BaseException as error:  # noqa: BLE001 - a defect of ours must reach the loop, not die with a thread
                answer = error
            with self._lock:
                self._out -= 1
            self._answers.put(answer)
