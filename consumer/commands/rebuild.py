"""`rebuild`: makes a list what the log says, beside a running service or before its connector is switched on."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from consumer.audit import UnknownMembers
from consumer.changes import Action
from consumer.commands import clients, tables
from consumer.commands.audit import compare, problem
from consumer.commands.common import NAME, ask, config_option, json_option, load_or_exit
from consumer.commands.summary import sending, show_rows
from consumer.drift import Listed
from consumer.errors import ConsumerError
from consumer.intents import EVERYBODY
from consumer.kafka.fold import fold_log
from consumer.kafka.reader import Extent
from consumer.secret import Redactor
from consumer.settings import Settings
from consumer.summary import Summary

Extents = Mapping[str, Sequence[Extent]]


class NotExact(ConsumerError):  # noqa: N818 - the name says what is the case
    """Who is on the list and unknown to the log could not be found out, so nothing was sent."""


@click.command(epilog=f"Example: {NAME} rebuild --connector vip --dry-run")
@config_option
@click.option("--connector", required=True, metavar="NAME", help="Whose list; it may be disabled.")
@click.option("--exact", is_flag=True, help="Also take off the list whom the log knows nothing of, after asking.")
@click.option("--yes", is_flag=True, help="Do not ask before --exact takes them off.")
@click.option("--dry-run", is_flag=True, help="Count what would be sent, and send nothing.")
@json_option
def rebuild(config: Path, connector: str, *, exact: bool, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Make a connector's list what the log says: of each contact the newest change, from the topics' beginning on.

    Beside the running service, and as it does: same windows, limits and retries; what fails is a dead letter. May be
    stopped and started again. A connector that is not enabled is filled as well, before it is switched on.

    Members that the log knows nothing of stay, unless --exact is given: then the list is read first, and you are asked.

    Ends with a summary. Exits with 1 if anything failed or was left.
    """
    if yes and not exact:
        raise click.UsageError("--yes answers the question of --exact: add that, or leave it out.")
    settings = load_or_exit(config)
    if connector not in settings.connectors:
        raise click.UsageError(f"there is no connector {connector}: name one of {', '.join(settings.connectors)}.")

    def work(redactor: Redactor) -> int:
        unknown = _unknown_members(settings, redactor, connector) if exact else ()
        with clients.topic_reader(settings) as reader:
            extents = {topic: reader.extents(topic) for topic in settings.topics.changes}
        _warn(extents)
        if dry_run:
            actions = _wanted(settings, connector, extents)
            _show_wanted(settings, connector, actions, len(unknown) if exact else None, as_json=as_json)
            return 0
        if unknown and not yes:
            _ask(settings, connector, len(unknown))
        summary = _send(settings, redactor, connector, extents, unknown)
        if as_json:
            tables.print_json(summary.as_object())
        elif not show_rows(summary):
            tables.note(f"the log tells of no contact of {settings.connectors[connector].source}")
        return summary.exit_code

    ask(settings, work)


def _unknown_members(settings: Settings, redactor: Redactor, connector: str) -> Sequence[int]:
    """Give the members of the list that the log knows nothing of. Raises NotExact."""
    its = settings.connectors[connector]
    unknown = UnknownMembers()
    [report] = compare(settings, redactor, [Listed(connector, its.account, its.list_id)], unknown)
    why = next(problem(report), unknown.unsure)
    if why:
        raise NotExact(f"nothing was sent: who is on list {its.list_id} and unknown to the log is not certain: {why}")
    return unknown.contacts


def _wanted(settings: Settings, connector: str, extents: Extents) -> Counter[Action | None]:
    """Count what the log asks for."""
    from consumer import app  # noqa: PLC0415 - it loads slowly

    router = app.make_router(app.for_replay(settings, {connector}))
    with tables.progress() as begin, clients.topic_reader(settings) as reader:
        log = fold_log(reader, extents, router, {connector: EVERYBODY}, progress=begin("reading the log"))
    its = log.intents[connector]
    return Counter(map(its.action, its))


def _ask(settings: Settings, connector: str, number: int) -> None:
    """Ask whether so many members are to be taken off; exits with 1 unless the answer is yes."""
    its = settings.connectors[connector]
    told = f"List {its.list_id} has {number:,} members that the log of {its.source} knows nothing of"
    click.confirm(f"{told}. Take them off the list?", abort=True, err=True)


def _send(settings: Settings, redactor: Redactor, connector: str, extents: Extents, unknown: Iterable[int]) -> Summary:
    from consumer import app  # noqa: PLC0415 - it loads slowly

    summary = Summary()
    with tables.progress() as begin:
        summary.add(app.rebuild(settings, redactor, connector, extents, sending(begin), unknown=unknown))
    return summary


def _warn(extents: Extents) -> None:
    """Say what the log does not hold any more."""
    cut = [f"{topic}/{each.partition}" for topic in extents for each in extents[topic] if each.begin]
    if cut:
        tables.note(
            f"retention has taken the beginning of {', '.join(cut)}: the log knows nothing of those "
            "whose last change was in there"
        )


def _show_wanted(
    settings: Settings, connector: str, actions: Counter[Action | None], unknown: int | None, *, as_json: bool
) -> None:
    list_id = settings.connectors[connector].list_id
    told: dict[str, Any] = {"list_id": list_id, "add": actions[Action.ADD], "remove": actions[Action.REMOVE]}
    if unknown is not None:
        told["remove_unknown"] = unknown
    if as_json:
        tables.print_json({"connector": connector, "would_send": told})
    else:
        headings = ("connector", "list", "to add", "to remove", "unknown, to remove")
        tables.show(*headings[: 1 + len(told)], rows=[(connector, *told.values())])
