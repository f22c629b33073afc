"""The stand-in for HubSpot: requests and the time go in, replies come out.

Every request goes the same way:

1. Changes that are due by now take effect.
2. What the connector must never send is recorded as a violation and answered with 400.
3. Quotas: a request over one is answered with 429 and not counted.
4. Token and scopes: 401, 403; for OAuth calls the client's id and secret.
5. The first fault in whose scope the request is.
6. The endpoint.

So a fault hits only what would otherwise be served. A page that a person's browser asks for is no call of the app: none
of this concerns it, and it is not in the log. There is no clock, I/O, lock or log in here. The time is in seconds
from anywhere and never goes back.
"""

import heapq
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import unquote

from consumer.simulator import contacts, lists
from consumer.simulator.accounts import Account
from consumer.simulator.bodies import read_change
from consumer.simulator.calls import Call, Change, Endpoint, Quirks
from consumer.simulator.faults import Fault, Schedule
from consumer.simulator.messages import (
    Answer,
    Handled,
    RefusedError,
    Reply,
    Request,
    Violation,
    error,
    rate_limit,
)
from consumer.simulator.oauth import OAuth
from consumer.simulator.pages import Pages
from consumer.simulator.replies import reply_to

_CUT = Answer(0)
_UNREADABLE = '{"recordsIdsAdded": ["1'


class Portal:
    """Any number of accounts behind one address.

    `log` holds every request handled, but for those of pages for people, unless `keep_log` is off; `statuses` counts
    them by status (None: cut) either way. `violations` names what must never have been sent. Two portals with the same
    `seed` that get the same requests at the same times give the same replies.
    """

    def __init__(
        self, accounts: Iterable[Account] = (), *, seed: int = 0, quirks: Quirks | None = None, keep_log: bool = True
    ) -> None:
        self.accounts: dict[str, Account] = {}
        self.quirks = quirks or Quirks()
        self.keep_log = keep_log
        self.log: list[Handled] = []
        self.statuses: Counter[int | None] = Counter()
        self.violations: list[str] = []
        self._seed = seed
        self._faults = Schedule(seed)
        self._oauth = OAuth(self.accounts)
        self._pages = Pages(self.accounts, self._oauth)
        self._endpoints = [
            (re.compile(endpoint.path), endpoint)
            for endpoint in (*lists.ENDPOINTS, *contacts.ENDPOINTS, *self._oauth.endpoints)
        ]
        self._number = 0
        self._due: list[tuple[float, int, Call]] = []
        for account in accounts:
            self.add_account(account)

    def add_account(self, account: Account) -> Account:
        """Let an account in and return it; ValueError if its name is taken."""
        if account.name in self.accounts:
            raise ValueError(f"There is an account {account.name} already: give it another name.")
        self.accounts[account.name] = account
        return account

    def issue_token(self, account: str, now: float) -> str:
        """Make an access token for an account, without a request."""
        return self._oauth.issue(self.accounts[account], now, self.quirks.expires_in)

    def authorize(self, account: str, redirect_uri: str) -> str:
        """Make the code that the browser brings back to `redirect_uri` once a person has agreed; good for one use."""
        return self._oauth.authorize(self.accounts[account], redirect_uri)

    def inject(self, fault: Fault) -> int:
        """Make a fault active; the handle is for `heal`."""
        return self._faults.inject(fault)

    def heal(self, handle: int) -> None:
        """End one fault."""
        self._faults.heal(handle)

    def heal_all(self) -> None:
        """End all faults; late changes that are on their way still arrive."""
        self._faults.heal_all()

    def assert_clean(self) -> None:
        """Raise Violation, naming all of them, if something was sent that must never be."""
        if self.violations:
            raise Violation("HubSpot was sent what it must never be sent:\n" + "\n".join(self.violations))

    def next_due(self) -> float | None:
        """When the next late change takes effect; None if none is on its way."""
        return self._due[0][0] if self._due else None

    def advance(self, now: float) -> None:
        """Let late changes take effect that are due by `now`, in the order in which they are due."""
        while self._due and self._due[0][0] <= now:
            at, number, call = heapq.heappop(self._due)
            try:
                self._serve(replace(call, now=at))
            except RefusedError:
                continue  # the list is gone by now: nothing happens, and there is nobody to tell
            if call.endpoint and call.endpoint.changes:
                self._note_effect(number, at)

    def handle(self, request: Request, now: float) -> Reply:
        """Answer one request that arrives at `now`."""
        self.advance(now)
        page = self._pages.answer(request)
        if page is not None:
            return page
        self._number += 1
        call = self._understand(request, now)
        fault = None
        try:
            self._admit(call)
            fault = self._faults.pick(call)
            answer = self._serve(call) if fault is None else self._suffer(fault, call)
        except RefusedError as refused:
            answer = refused.answer
        self._count(call, answer)
        reply = reply_to(call, answer, fault, self._seed)
        self._record(call, reply, fault)
        self.advance(now)
        return reply

    def _understand(self, request: Request, now: float) -> Call:
        endpoint, arguments = self._route(request)
        oauth = endpoint is not None and endpoint.family in ("token", "oauth")
        account = self._oauth.client_account(request) if oauth else self._oauth.bearer_account(request)
        change = read_change(request) if endpoint and endpoint.serve is lists.add_and_remove else Change()
        return Call(self._number, now, request, self.quirks, endpoint, account, arguments, change)

    def _route(self, request: Request) -> tuple[Endpoint | None, dict[str, str]]:
        for pattern, endpoint in self._endpoints:
            match = pattern.fullmatch(request.path)
            if match and endpoint.method == request.method:
                return endpoint, {name: unquote(value) for name, value in match.groupdict().items()}
        return None, {}

    def _admit(self, call: Call) -> None:
        problem = _violation(call)
        if problem:
            self.violations.append(f"request {call.number}, {call.request.method} {call.request.path}: {problem}")
            raise RefusedError(error(400, "VALIDATION_ERROR", problem))
        if call.account:
            _check_quotas(call.account, call)
        if call.endpoint and call.endpoint.family in ("token", "oauth"):
            self._oauth.check_client(call)
        else:
            self._oauth.check(call)

    def _serve(self, call: Call) -> Answer:
        if call.endpoint is None or call.account is None:
            raise RuntimeError(f"request {call.number} was admitted without endpoint or account")
        return call.endpoint.serve(call.account, call)

    def _suffer(self, fault: Fault, call: Call) -> Answer:
        if fault.name == "token_expired":
            self._oauth.expire(call.request, call.now)
        if fault.effect_after is not None:
            heapq.heappush(self._due, (call.now + fault.effect_after, call.number, call))
        if fault.kind.cut:
            return _CUT
        if fault.kind.answer:
            return fault.kind.answer
        answer = self._serve(call)
        return replace(answer, body=_UNREADABLE) if fault.name == "unreadable" else answer

    def _count(self, call: Call, answer: Answer) -> None:
        if call.account and answer.status != HTTPStatus.TOO_MANY_REQUESTS:
            call.account.rolling.count(call.now)
            call.account.daily.count(call.now)
            if call.endpoint and call.endpoint.family == "search":
                call.account.searches.count(call.now)

    def _record(self, call: Call, reply: Reply, fault: Fault | None) -> None:
        status = None if reply.cut else reply.status
        self.statuses[status] += 1
        if not self.keep_log:
            return
        change = call.change if isinstance(call.change, Change) else Change()
        applied = status == HTTPStatus.OK and call.endpoint is not None and call.endpoint.changes
        self.log.append(
            Handled(
                number=call.number,
                at=call.now,
                account=call.account.name if call.account else None,
                method=call.request.method,
                path=call.request.path,
                list_id=call.list_id,
                adds=change.adds,
                removes=change.removes,
                status=status,
                applied_at=call.now if applied else None,
                fault=fault.name if fault else None,
            )
        )

    def _note_effect(self, number: int, at: float) -> None:
        # A test may have emptied the log between its phases, so the entry may be gone.
        place = bisect_left(self.log, number, key=lambda handled: handled.number)
        if place < len(self.log) and self.log[place].number == number:
            self.log[place] = replace(self.log[place], applied_at=at)


def _violation(call: Call) -> str | None:
    if call.endpoint is None:
        return "the connector has no business here, only at lists, OAuth and contacts that it reads"
    if isinstance(call.change, Change) and (both := set(call.change.adds) & set(call.change.removes)):
        return f"to be added and removed at once: {', '.join(map(str, sorted(both)))}"
    return None


def _check_quotas(account: Account, call: Call) -> None:
    if not account.daily.allows(call.now):
        raise RefusedError(rate_limit("DAILY"))
    if not account.rolling.allows(call.now):
        raise RefusedError(rate_limit("TEN_SECONDLY_ROLLING"))
    if call.endpoint and call.endpoint.family == "search" and not account.searches.allows(call.now):
        raise RefusedError(rate_limit("SECONDLY"))
