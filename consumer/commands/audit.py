"""`audit`: whether each list is what the log says."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from consumer.audit import Audit, Budget, Turns, UnknownMembers, Walk
from consumer.commands import clients, tables
from consumer.commands.common import NAME, ask, config_option, json_option, load_or_exit
from consumer.commands.results import place
from consumer.drift import Example, Kind, Listed, Report
from consumer.hubspot.client import HubSpotClient
from consumer.hubspot.lists_client import CallFailed
from consumer.kafka.audited import AuditedLog
from consumer.outcomes import Recoverable, Terminal
from consumer.rate_limit import RateLimit
from consumer.secret import Redactor
from consumer.settings import Settings

MOST_AT_ONCE = 1_500_000  # contacts in memory, of the lists and of the log

TOLD = {
    Kind.MISSING: "the log says in, not on the list",
    Kind.LEFT: "the log says out, still on the list",
    Kind.UNKNOWN: "on the list, unknown to the log",
    Kind.GIVEN_UP: "the newest change is a dead letter",
    Kind.NOT_FOUND: "the log says in, no such contact in HubSpot",
    Kind.ON_THEIR_WAY: "the newest change is on its way",
    Kind.MERGED: "merged with another contact in HubSpot",
}
REMEDIES = {
    Kind.MISSING: "rebuild sends what the log says",
    Kind.LEFT: "rebuild sends what the log says",
    Kind.UNKNOWN: "rebuild --exact takes off the list who is unknown to the log",
    Kind.GIVEN_UP: "dead-letters replay sends what was given up, once its cause is mended",
    Kind.NOT_FOUND: "no drift: no request can mend it",
    Kind.ON_THEIR_WAY: "no drift: the next audit tells",
    Kind.MERGED: "no drift: the person is on the list",
}
NOT_JUDGED = "no drift: retention has taken the beginning of the log, so nobody knows who is unknown to it"


@click.command(epilog=f"Example: {NAME} audit --connector vip")
@config_option
@click.option(
    "--connector",
    "connectors",
    multiple=True,
    metavar="NAME",
    help="Only this one's list; may be given several times. By default those of all enabled connectors.",
)
@json_option
def audit(config: Path, connectors: tuple[str, ...], *, as_json: bool) -> None:
    """Compare each list as it is in HubSpot with what the log says, and show who differs, how, and what to do.

    Changes nothing, beside the running service or without it. Changes that are still on their way are no drift. It
    reads the whole list and the whole log: a million members take some minutes, within requests_per_10s of its own.

    Exits with 1 if anybody has drifted or a list could not be audited.
    """
    settings = load_or_exit(config)
    lists = _chosen(settings, connectors)

    def work(redactor: Redactor) -> int:
        reports = compare(settings, redactor, lists)
        if as_json:
            tables.print_json(_for_programs(reports))
        elif reports:
            _show(reports)
        else:
            tables.note("there is nothing to audit: no connector is enabled")
        return 1 if any(each.findings is None or each.findings.drift for each in reports) else 0

    ask(settings, work)


def _chosen(settings: Settings, names: Sequence[str]) -> list[Listed]:
    """Give the lists of the connectors that are named, or else of all that are enabled."""
    for name in names:
        if name not in settings.connectors:
            known = ", ".join(settings.connectors)
            raise click.BadParameter(
                f"{name!r} is not among connectors: name one of {known}.", param_hint="--connector"
            )
    return [
        Listed(name, each.account, each.list_id)
        for name, each in settings.connectors.items()
        if name in names or (not names and each.enabled)
    ]


def compare(
    settings: Settings, redactor: Redactor, lists: Sequence[Listed], unknown: UnknownMembers | None = None
) -> list[Report]:
    """Audit lists, in the order in which they are given, and show the progress. Raises ReadFailed."""
    from consumer import app  # noqa: PLC0415 - it loads slowly

    enabled = {
        each.connector: settings.connectors[each.connector].model_copy(update={"enabled": True}) for each in lists
    }
    router = app.make_router(settings.model_copy(update={"connectors": enabled}))
    reports: list[Report] = []
    with ExitStack() as stack:
        begin = stack.enter_context(tables.progress())
        reader = stack.enter_context(clients.topic_reader(settings))
        asked = {
            account: stack.enter_context(clients.hubspot_client(settings, account, redactor))
            for account in dict.fromkeys(each.account for each in lists)
        }
        shown: dict[str, Any] = {}

        def told(connector: str, read: int, total: int | None) -> None:
            if connector not in shown:
                shown[connector] = begin(f"members of {connector}")
            shown[connector](read, total)

        topics = settings.topics
        log = AuditedLog(reader, topics.changes, topics.results, topics.dead_letters, router, begin)
        budget = Budget()
        tried_for = settings.not_found.tried_for
        audit = Audit(
            Turns(lists), log, budget, MOST_AT_ONCE, reports.append, told, unknown=unknown, tried_for=tried_for
        )
        limits = {name: settings.accounts[name].requests_per_10s for name in asked}
        go_through(Walk(audit.steps(), budget), asked, limits)
    return sorted(reports, key=lambda each: lists.index(each.listed))


def go_through(
    walk: Walk,
    asked: Mapping[str, HubSpotClient],
    limits: Mapping[str, int],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Ask the accounts' clients one after the other, no faster than the limits (requests in 10 s) allow."""
    rates = {name: RateLimit(limit) for name, limit in limits.items()}
    while (request := walk.request) is not None:
        client, rate = asked[request.account], rates[request.account]
        while True:
            now, refresh = clock(), client.auth.refresh_due()  # which may fall due while the rate is waited for
            ready = rate.ready_at(max(now, walk.not_before), 1 + refresh)
            if ready <= now:
                break
            sleep(ready - now)
        rate.take(now, 1 + refresh)
        answer = client.read(request, may_refresh=refresh)
        walk.answered(answer, clock(), random.random())  # noqa: S311 - jitter, no secret


def _show(reports: Sequence[Report]) -> None:
    headings = (
        "connector",
        "list",
        "members",
        "in the log",
        *(each.value.replace("_", " ") for each in Kind),
        "verdict",
    )
    tables.show(*headings, rows=[*map(_cells, reports)])
    examples = [row for report in reports for row in _examples(report)]
    if examples:
        tables.show("connector", "contact", "how", "decided by", "occurred at", rows=examples)
    kinds = {kind for each in reports if each.findings for kind, number in each.findings.counts.items() if number}
    unjudged = any(each.findings is not None and not each.findings.complete for each in reports)
    for kind in Kind:
        if kind in kinds:
            tables.say(f"{kind.value.replace('_', ' ')}: {TOLD[kind]}; {_remedy(kind, complete=not unjudged)}")
    for each in reports:
        for said in (*each.notes, *problem(each)):
            tables.say(f"{each.listed.connector}: {said}")


def _cells(report: Report) -> tuple[object, ...]:
    found = report.findings
    if found is None:
        return (report.listed.connector, report.listed.list_id, *[None] * (2 + len(Kind)), "not audited")
    verdict = "as the log says" if not found.drift else f"drift: {found.drift}"
    numbers = (found.counts.get(kind, 0) for kind in Kind)
    return (report.listed.connector, report.listed.list_id, found.members, found.in_log, *numbers, verdict)


def _examples(report: Report) -> Iterator[tuple[object, ...]]:
    found = report.findings
    for kind in Kind if found is not None else ():
        for contact, intent, note in found.examples.get(kind, ()) if found is not None else ():
            how = tables.lines(kind.value.replace("_", " "), note)
            decided = None if intent is None else f"{intent.action} {place(intent.position)}"
            occurred = None if intent is None else tables.moment(intent.occurred_at)
            yield report.listed.connector, contact, how, decided, occurred


def _remedy(kind: Kind, *, complete: bool) -> str:
    return NOT_JUDGED if kind is Kind.UNKNOWN and not complete else REMEDIES[kind]


def problem(report: Report) -> Iterator[str]:
    """Yield why the list was not audited, and what to do, if so."""
    if isinstance(report.failure, Recoverable | Terminal):
        yield f"list {report.listed.list_id} was not audited: {CallFailed(report.failure)}"


def _for_programs(reports: Sequence[Report]) -> dict[str, Any]:
    return {
        "drift": sum(each.findings.drift for each in reports if each.findings is not None),
        "lists": [_as_object(each) for each in reports],
    }


def _as_object(report: Report) -> dict[str, Any]:
    found = report.findings
    told: dict[str, Any] = {
        **report.listed._asdict(),
        "audited": found is not None,
        "problem": next(problem(report), None),
        "notes": list(report.notes),
    }
    if found is None:
        return told
    return {
        **told,
        "members": found.members,
        "in_log": found.in_log,
        "drift": found.drift,
        "log_complete": found.complete,
        "contacts": {kind.value: found.counts.get(kind, 0) for kind in Kind},
        "examples": {kind.value: [*map(_example, found.examples.get(kind, ()))] for kind in Kind},
    }


def _example(example: Example) -> dict[str, Any]:
    contact, intent, note = example
    change = None
    if intent is not None:
        change = {**intent.position._asdict(), "occurred_at": tables.moment(intent.occurred_at)}
    action = None if intent is None else intent.action.value
    return {"record_id": str(contact), "action": action, "change": change, "note": note}
