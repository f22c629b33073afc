"""The simulated HubSpot in a process of its own, so that what it takes is not counted as the service's.

`python -m tests.bench.simulator SOCKET SIMULATED` serves until its one caller hangs up. Over the socket come functions,
pickled, each of which is run on the portal between two requests; back go their results.
"""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, TypeVar, cast

from consumer.simulator.accounts import Account, ContactList
from consumer.simulator.portal import Portal
from consumer.simulator.server import SimulatorServer
from tests.bench.events import FIRST_CONTACT, FIRST_LIST
from tests.real.processes import PATIENCE, Process, running, until
from tests.real.service import CLIENT_SECRET, REFRESH_TOKEN

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Simulated:
    """What HubSpot is made of: the account `acme` with lists from FIRST_LIST on and contacts from FIRST_CONTACT on.

    `quota` is in requests per ten seconds, None: no limit. With `keep_log` it remembers every request.
    """

    lists: int
    contacts: int
    quota: int | None = None
    keep_log: bool = False
    seed: int = 0

    def portal(self) -> Portal:
        """Make it."""
        account = Account(
            name="acme",
            client_id="acme-app",
            client_secret=CLIENT_SECRET,
            refresh_token=REFRESH_TOKEN,
            contacts=range(FIRST_CONTACT, FIRST_CONTACT + self.contacts),
            quota=self.quota,
        )
        for number in range(self.lists):
            account.add_list(ContactList(FIRST_LIST + number, f"list {number}"))
        return Portal([account], keep_log=self.keep_log, seed=self.seed)


class Simulator:
    """The process, its address, and a way to look into it and to change it. One thread may call at a time."""

    def __init__(self, process: Process, connection: "Connection[Any, Any]") -> None:
        self.process = process
        self._connection = connection
        self.port = self._received(int)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def call(self, function: Callable[[Portal], Result]) -> Result:
        """Run `function(portal)` over there: a function of a module, or a partial or methodcaller."""
        self._connection.send(function)
        return cast("Result", self._received(object))

    @property
    def requests(self) -> int:
        """All requests so far: for memberships, looks at lists, tokens."""
        return sum(self.call(statuses).values())

    def _received(self, kind: type[Result]) -> Result:
        try:
            received = self._connection.recv()
        except EOFError:
            self.process.wait(PATIENCE)
            raise AssertionError(self.process.tail()) from None
        assert isinstance(received, kind)
        return received


def statuses(portal: Portal) -> Mapping[int | None, int]:
    """Give the number of requests by what they were answered."""
    return dict(portal.statuses)


@contextmanager
def simulator(simulated: Simulated, folder: Path) -> Iterator[Simulator]:
    """Run one; AssertionError at the end if it was sent what must never be sent."""
    socket = folder / "simulator.socket"
    command = [sys.executable, "-m", "tests.bench.simulator", str(socket), json.dumps(asdict(simulated))]
    with running(command, folder / "simulator.log") as process:
        until(socket.exists, process)
        with Client(str(socket)) as connection:
            made = Simulator(process, connection)
            yield made
            made.call(Portal.assert_clean)


def _serve(socket: str, simulated: Simulated) -> None:
    with Listener(socket) as listener, SimulatorServer(simulated.portal()) as server, listener.accept() as caller:
        caller.send(server.port)
        while True:
            try:
                function = caller.recv()
            except EOFError:
                return
            caller.send(server.call(function))


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("socket")
    parser.add_argument("simulated")
    given = parser.parse_args()
    _serve(given.socket, Simulated(**json.loads(given.simulated)))
