"""Filling a list from the log in the background, one connector at a time."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from consumer import log
from consumer.errors import ConsumerError
from consumer.setup.words import Filling, SetupProblem
from consumer.summary import Summary

Told = Callable[[int, int], None]
"""Is told how many contacts are done, of how many."""

Stopping = Callable[[Callable[[str], None]], None]
"""Is given what stops the work: a function of the reason, for any thread."""

_log = log.get(__name__)


class Rebuild(Protocol):
    """Rebuilds a connector's list, and gives what came of it. Raises ConsumerError."""

    def __call__(self, connector: str, told: Told, stopping: Stopping) -> Summary:
        """Do it."""


class Filler:
    """Runs `rebuild` in a thread; any thread may ask how far it is. `clean` takes secrets out of a text."""

    def __init__(self, rebuild: Rebuild, clean: Callable[[str], str]) -> None:
        self._rebuild = rebuild
        self._clean = clean
        self._lock = threading.Lock()
        self._states: dict[str, Filling] = {}
        self._thread: threading.Thread | None = None
        self._stop: Callable[[str], None] | None = None
        self._closing = False

    def begin(self, connector: str) -> Filling:
        """Begin, or say how far it is if it has begun. Raises SetupProblem while another list is filled."""
        with self._lock:
            busy = next((name for name, each in self._states.items() if each.state == "running"), None)
            if busy == connector:
                return self._states[connector]
            if busy is not None:
                raise SetupProblem("failed", f"the list of {busy} is being filled", "Wait until that is done")
            self._states[connector] = Filling(connector, "running")
            self._thread = threading.Thread(target=self._run, args=(connector,), name="filling", daemon=True)
            self._thread.start()
            return self._states[connector]

    def state(self, connector: str) -> Filling | None:
        """Say how far it is; None if none was begun."""
        with self._lock:
            return self._states.get(connector)

    def close(self) -> None:
        """Stop what is running and wait for its end: it lets go of what it has not sent, and may be begun again."""
        with self._lock:
            self._closing = True
            stop, thread = self._stop, self._thread
        if stop is not None:
            stop("the setup ends")
        if thread is not None:
            thread.join()

    def _run(self, connector: str) -> None:
        try:
            summary = self._rebuild(connector, lambda done, total: self._tell(connector, done, total), self._stopping)
            rows = tuple((f"{count:,}", f"{what}: {why}" if why else what) for what, count, why in summary.rows())
            state: Filling = Filling(connector, "failed" if summary.exit_code else "done", summary=rows)
            if summary.exit_code:
                state = replace(state, problem="not all was applied. Mend what is named below, then fill it again")
        except ConsumerError as error:
            state = Filling(connector, "failed", problem=self._clean(str(error)))
        except Exception:  # noqa: BLE001 - a thread that dies in silence would leave the page waiting for ever
            _log.exception("filling a list was stopped by an error that nobody expected", connector=connector)
            state = Filling(connector, "failed", problem="an error that nobody expected: see the log of this command")
        with self._lock:
            self._states[connector], self._stop = state, None

    def _tell(self, connector: str, done: int, total: int) -> None:
        with self._lock:
            self._states[connector] = Filling(connector, "running", done, total)

    def _stopping(self, stop: Callable[[str], None]) -> None:
        with self._lock:
            self._stop, closing = stop, self._closing
        if closing:
            stop("the setup ends")
