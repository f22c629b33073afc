"""One list as people see it: its series, its log lines, its last request, what needs attention, and its records."""

from consumer import log
from consumer.accounts import Account
from consumer.changes import Change
from consumer.flight import Outcomes
from consumer.list_sync import ListSync, Settled
from consumer.metrics import ListMetrics
from consumer.outcomes import (
    HELD,
    Answer,
    Applied,
    DeadLetter,
    Details,
    ListFacts,
    Outcome,
    Recoverable,
    RefusedContact,
    Result,
    Terminal,
)
from consumer.permit import Permit
from consumer.status import Attention

LONGEST_IDENTIFIER = 256  # characters of a wrong record id that a dead letter carries

_log = log.get(__name__)


class Lane:
    """A list's state together with all that the service shows of it."""

    permit: Permit | None  # of the request on the wire
    wakes_at: float | None  # when the list is looked at next

    def __init__(self, each: ListSync, account: Account, series: ListMetrics) -> None:
        self.list = each
        self.account = account
        self.permit = None
        self.wakes_at = None
        self.collapsed = 0  # changes that were superseded in the window, and are not counted in the series yet
        self.facts: ListFacts | None = None
        self.attention: Attention | None = None
        self.troubled_by_itself = False
        self.hold: Attention | None = None
        self._held = each.held  # what `hold` tells
        self.last_request_at: float | None = None
        self.last_outcome: str | None = None
        self.last_success_at: float | None = None
        self.series = series
        self._log = _log.bind(connector=each.connector, account=each.account, list=each.list_id)
        self._outcomes = {
            Outcome.ADDED: series.contacts_added,
            Outcome.REMOVED: series.contacts_removed,
            Outcome.NOT_FOUND: series.contacts_not_found,
            Outcome.UNCHANGED: series.contacts_unchanged,
            Outcome.MERGED: series.contacts_merged,
        }

    def note(self, answer: Answer) -> None:
        """Count and tell all of an answer that does not depend on whose the contacts are by now."""
        for status in answer.statuses:
            self.series.request(status)
        if answer.statuses:
            self.last_request_at = answer.sent_at
            self.series.request_duration.observe(answer.answered_at - answer.sent_at)
        if answer.facts is not None:
            self.facts = answer.facts
            self.series.named(answer.facts.name)
        self._tell(answer)

    def count_tries(self) -> None:
        """Count what became of contacts that were to be tried again because they were not found."""
        for end, number in self.list.not_found.tell().items():
            self.series.not_found_retries(end, number)
            if end == "no_room" and number:
                self._log.warning("not found, and not tried again: too many wait for that already", contacts=number)

    def trouble(self, reason: str, details: Details, at: float, *, by_itself: bool) -> None:
        """Ask for a person's attention until the list's next success, or, if not `by_itself`, its account's."""
        if self.attention is not None and self.attention.reason == reason:
            self.troubled_by_itself |= by_itself
            return
        self.clear()
        self.attention = Attention(reason, details.message or reason, details.correlation_id, at)
        self.troubled_by_itself = by_itself
        self.series.needs_attention(reason, on=True)

    def clear(self) -> None:
        """Ask for no attention any more."""
        if self.attention is not None:
            self.series.needs_attention(self.attention.reason, on=False)
            self.attention = None

    def show_hold(self, at: float) -> None:
        """Tell people what the guard holds by now, and what they can do; `at` is in seconds since 1970."""
        before, self._held = self._held, self.list.held
        if self._held is before:
            return
        if self._held is None:
            self.hold = None
            self.series.needs_attention(HELD, on=False)
            self._log.info("no longer held", why=self.list.guard.ended)
            return
        if self.hold is None:
            self.series.needs_attention(HELD, on=True)
            self._log.warning("held: it would empty the list", **self._held._asdict(), release=self._release)
        message = f"{self._held}. If that is right, type on this machine: {self._release}"
        self.hold = Attention(HELD, message, None, at if self.hold is None else self.hold.since)

    def result(self, answer: Answer, outcomes: Outcomes) -> Result:
        """Make the record of a successful request, and count it."""
        for outcome, number in outcomes.counts().items():
            self._outcomes[outcome].inc(number)
        # Of those that are sent again the first answer was the one that counts; they come last.
        first = outcomes[: len(outcomes) - len(answer.request.again)]
        self.series.event_to_list.observe_ages(answer.answered_at, [each for each in first.timestamps() if each])
        details = answer.verdict.details
        return Result(
            connector=self.list.connector,
            account=self.list.account,
            list_id=self.list.list_id,
            request_id=answer.request.request_id,
            status=details.status or 0,
            correlation_id=details.correlation_id,
            sent_at=answer.sent_at,
            answered_at=answer.answered_at,
            contacts=outcomes,
        )

    def invalid(self, identifier: str, change: Change, at: float) -> DeadLetter:
        """Make the record of a change whose identifier is no record id, and count it."""
        self.series.failed("INVALID_RECORD_ID", 1)
        return DeadLetter(
            reason="INVALID_RECORD_ID",
            recorded_at=at,
            details=Details(message="not a positive 64-bit decimal number: does the slot hold HubSpot's record id?"),
            connector=self.list.connector,
            account=self.list.account,
            list_id=self.list.list_id,
            contacts=(RefusedContact(identifier[:LONGEST_IDENTIFIER], change.action, change),),
        )

    def dead_letter(self, terminal: Terminal, settled: Settled, at: float) -> DeadLetter:
        """Make the record of contacts that were given up, and count them."""
        self.series.failed(terminal.reason, len(settled.refused))
        return DeadLetter(
            reason=terminal.reason,
            recorded_at=at,
            details=terminal.details,
            connector=self.list.connector,
            account=self.list.account,
            list_id=self.list.list_id,
            request_id=settled.request_id,
            contacts=tuple(
                RefusedContact(str(contact), change.action, change) for contact, change in settled.refused.items()
            ),
        )

    @property
    def _release(self) -> str:
        return f"hubspot-list-sync release {self.list.connector}"

    def _tell(self, answer: Answer) -> None:
        request, details = answer.request, answer.verdict.details
        told = {
            "request_id": request.request_id,
            "correlation_id": details.correlation_id,
            "status": details.status,
            "adds": len(request.adds),
            "removes": len(request.removes),
            "again": len(request.again),
        }
        match answer.verdict:
            case Applied(added=added, removed=removed, missing=missing, merged=merged):
                self.series.contacts_unexpected.inc(answer.verdict.unexpected)
                if request.adds or request.removes:
                    self.last_outcome = "applied"
                    self.last_success_at = answer.answered_at
                    self.series.last_success.set(answer.answered_at)
                    self._log.info(
                        "applied",
                        **told,
                        added=len(added),
                        removed=len(removed),
                        not_found=len(missing),
                        merged=len(merged),
                    )
                else:
                    self._log.info("list looked at", **told, name=self.facts.name if self.facts else None)
            case Recoverable(reason=reason, wait=wait):
                self.last_outcome = f"will be tried again ({reason})"
                self.series.retry(reason)
                self._log.warning("will be tried again", **told, reason=reason, wait=wait, message=details.message)
            case Terminal(reason=reason):
                self.last_outcome = f"refused ({reason})"
                self._log.error("refused", **told, reason=reason, category=details.category, message=details.message)
            case _:
                self._log.info("not sent: the partitions may have another owner by now", **told)
