"""Processes of the tests: each is stopped by its own id, whatever becomes of the test, or of pytest itself."""

import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

PATIENCE = 30.0  # seconds until a test gives up on what should come about
PAUSE = 0.05  # seconds between two looks
TAIL = 40  # lines of a log that a failure shows

# Where there is setpriv (util-linux), the kernel ends the child when pytest ends, be it by SIGKILL.
_BOUND = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()


class Process:
    """A process that runs until it is stopped. `log_file` has all that it says."""

    def __init__(self, popen: subprocess.Popen[bytes], log_file: Path) -> None:
        self._popen = popen
        self.log_file = log_file

    @property
    def pid(self) -> int:
        """Its id."""
        return self._popen.pid

    @property
    def ended(self) -> int | None:
        """Exit code; None while it runs."""
        return self._popen.poll()

    def wait(self, seconds: float) -> int | None:
        """Wait for its end, so many seconds at most; give the exit code, None if it runs on."""
        with suppress(subprocess.TimeoutExpired):
            return self._popen.wait(seconds)
        return None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        self._popen.send_signal(number)

    def stop(self, within: float) -> None:
        """Ask it to end, and end it after so many seconds."""
        self.signal(signal.SIGTERM)
        if self.wait(within) is None:
            self.signal(signal.SIGKILL)
            self._popen.wait()

    def tail(self) -> str:
        """Last lines of the log."""
        lines = self.log_file.read_text(errors="replace").splitlines()[-TAIL:]
        return "\n".join((f"--- {self.log_file.name}, exit code {self.ended}:", *lines))


@contextmanager
def running(
    command: Sequence[str | Path], log_file: Path, environ: Mapping[str, str] | None = None, *, grace: float = 15.0
) -> Iterator[Process]:
    """Run a command until the context is left, `grace` seconds longer at most. `environ` is added to this process's."""
    with (
        log_file.open("ab") as log,
        subprocess.Popen(  # noqa: S603 - our own program
            [*_BOUND, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})},
        ) as popen,
    ):
        process = Process(popen, log_file)
        try:
            yield process
        finally:
            process.stop(grace)


class Restartable(ABC):
    """Context manager: one process that can be away for a while, and comes back with all it had."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop; at the end start again."""
        self._stack.close()
        try:
            yield
        finally:
            self._start()

    @abstractmethod
    def _start(self) -> None:
        """Start it with `_run`, and wait until it answers."""

    def _run(self, command: Sequence[str | Path], log_file: Path) -> Process:
        return self._stack.enter_context(running(command, log_file))


def run(
    command: Sequence[str | Path],
    *,
    given: bytes | None = None,
    environ: Mapping[str, str] | None = None,
    code: int = 0,
) -> bytes:
    """Run a command to its end; give what it prints. AssertionError with all it said if its exit code is not `code`."""
    done = subprocess.run(  # noqa: S603 - our own program
        command, input=given, capture_output=True, check=False, env={**os.environ, **(environ or {})}
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == code, f"{command}: exit code {done.returncode}, {said}"
    return done.stdout


def until(condition: Callable[[], object], *processes: Process, within: float = PATIENCE) -> None:
    """Wait until it is so. AssertionError with the ends of the logs if a process ends first, or after `within` s."""
    deadline = monotonic() + within
    while not condition():
        gone = [each for each in processes if each.ended is not None]
        late = monotonic() > deadline
        if gone or late:
            why = "a process has ended" if gone else f"it does not come about within {within:.0f} s"
            raise AssertionError("\n".join((why, *(each.tail() for each in processes))))
        processes[0].wait(PAUSE)


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
