"""HubSpot's real client on the simulated portal, in scripted time: a slow answer comes when its time has passed."""

from dataclasses import replace

from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.oauth import TOKEN_PATH, OAuth
from consumer.outcomes import Answer, Request
from consumer.permit import Permit
from consumer.secret import Redactor
from consumer.settings import Settings
from consumer.simulator.portal import Portal
from consumer.simulator.transport import PortalTransport
from tests.fakes.clock import ScriptedClock


class ScriptedWorkers:
    """Performs a request when it is submitted and keeps the answer back for as long as HubSpot took.

    While `holding`, requests are put off until `let_go`: their workers have not asked for their permits yet. So it is
    for `latency` seconds with every request.
    """

    def __init__(self, settings: Settings, portal: Portal, clock: ScriptedClock) -> None:
        self._clock = clock
        self._delay = 0.0
        self._answers: list[tuple[float, Answer]] = []
        self._held: list[tuple[float, Request, Permit]] = []
        self.holding = False
        self.latency = 0.0
        self.submitted: list[Request] = []
        transport = PortalTransport(portal, clock.monotonic, self._note_delay)
        self._clients = {
            name: HubSpotClient(
                settings.hubspot.base_url,
                settings.hubspot.timeout,
                OAuth(
                    name,
                    settings.hubspot.base_url + TOKEN_PATH,
                    account.client_id,
                    account.client_secret,
                    account.refresh_token,
                    Redactor(),
                    clock.monotonic,
                ),
                transport=transport,
                wall=clock.time,
            )
            for name, account in settings.accounts.items()
        }

    @property
    def clients(self) -> dict[str, HubSpotClient]:
        """The accounts' clients, with the member's tokens."""
        return self._clients

    @property
    def on_the_wire(self) -> list[Request]:
        """Requests whose answers are not back."""
        return [answer.request for _, answer in self._answers] + [request for _, request, _ in self._held]

    def submit(self, request: Request, permit: Permit) -> None:
        """Perform a request, or put it off."""
        self.submitted.append(request)
        self._held.append((self._clock.monotonic() + self.latency, request, permit))
        self.work()

    def let_go(self) -> None:
        """Perform what was put off."""
        self.holding = False
        self.work(float("inf"))

    def work(self, until: float | None = None) -> None:
        """Perform what workers have got to by now, or by `until`."""
        until = self._clock.monotonic() if until is None else until
        if self.holding or not self._held:
            return
        due = [each for each in self._held if each[0] <= until]
        self._held = [each for each in self._held if each[0] > until]
        for _, request, permit in due:
            self._perform(request, permit)

    @property
    def next_due(self) -> float:
        """When the next request is performed or the next answer comes; infinity if there is none."""
        return min([each[0] for each in self._answers] + [each[0] for each in self._held], default=float("inf"))

    def take(self, wait: float = 0.0) -> list[Answer]:
        """Give the answers whose time has come."""
        self.work()
        if wait > 0 and not any(at <= self._clock.monotonic() for at, _ in self._answers):
            self._clock.advance(wait)
        now = self._clock.monotonic()
        ready = [answer for at, answer in self._answers if at <= now]
        self._answers = [(at, answer) for at, answer in self._answers if at > now]
        return ready

    def refresh_due(self, account: str) -> bool:
        """Tell whether the account's token has to be renewed."""
        return self._clients[account].auth.refresh_due()

    def hub_id(self, account: str) -> int | None:
        """Give the account's portal, once HubSpot has told it."""
        return self._clients[account].auth.hub_id

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    def _perform(self, request: Request, permit: Permit) -> None:
        self._delay = 0.0
        answer = self._clients[request.account].perform(request, permit)
        answer = replace(answer, answered_at=answer.answered_at + self._delay)
        self._answers.append((self._clock.monotonic() + self._delay, answer))

    def _note_delay(self, seconds: float) -> None:
        self._delay += seconds
