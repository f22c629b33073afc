"""The loop's side of an audit beside the service: gives leave to send, and shows what was found.

Changes come first: leave is given when no list of the account stands in line, nothing has stopped the account, and
nothing else is lent. At the limit of the rate an audit waits.
"""

from collections.abc import Callable, Mapping

from consumer.accounts import Account
from consumer.lane import Lane
from consumer.lending import Audited, Audits, Lending, Returned
from consumer.metrics import AccountMetrics
from consumer.outcomes import Applied, Details, Verdict
from consumer.ports import Workers
from consumer.reads import ReadAnswer


class Lender:
    """Lends the accounts' rate out. `chance` gives numbers in [0, 1)."""

    def __init__(
        self,
        lending: Lending,
        accounts: Mapping[str, Account],
        account_series: Mapping[str, AccountMetrics],
        lanes: Mapping[str, Lane],
        workers: Workers,
        chance: Callable[[], float],
    ) -> None:
        self._lending = lending
        self._accounts = accounts
        self._series = account_series
        self._lanes = lanes
        self._workers = workers
        self._chance = chance

    def turn(self, now: float, *, lends: bool) -> None:
        """Hear the news, and give the leave that is asked for if it can be given, and anything is lent at all."""
        for news in self._lending.news():
            match news:
                case Returned(name, answer):
                    self._take_back(name, answer, now)
                case Audited(report, at):
                    series = self._lanes[report.listed.connector].series
                    if report.findings is None:
                        series.audit_failed()
                    else:
                        series.audited({str(kind): number for kind, number in report.findings.counts.items()}, at)
                case Audits(on):
                    for lane in self._lanes.values():
                        lane.series.audits(on)
        leave = self._lending.asked()
        if leave is None or not lends:
            return
        account = self._accounts[leave.account]
        refresh = self._workers.refresh_due(leave.account)
        if account.may_lend(now, refresh=refresh):
            self._lending.done(leave)
            if leave.give(may_refresh=refresh):
                account.lend(now, refresh=refresh)

    def _take_back(self, name: str, answer: ReadAnswer | None, now: float) -> None:
        verdict: Verdict = Applied(Details())
        if answer is not None:
            series = self._series[name]
            for status in answer.statuses:
                series.audit_request(status)
            for outcome in answer.refreshes:
                series.refreshed(outcome)
            if answer.remaining is not None:
                series.rate_limit_remaining.set(answer.remaining)
            if isinstance(answer.found, Verdict):
                verdict = answer.found
        self._accounts[name].returned(verdict, now, self._chance())
