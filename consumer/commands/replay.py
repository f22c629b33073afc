"""`dead-letters replay`: sends what the dead letters did not get through, as the log has it now."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from consumer import history
from consumer.changes import TopicPartition
from consumer.commands import clients, tables
from consumer.commands.common import (
    NAME,
    ask,
    config_option,
    connector_option,
    json_option,
    load_or_exit,
    reason_option,
    since_option,
)
from consumer.commands.results import place as written
from consumer.commands.summary import Begin, sending, show_rows
from consumer.history import Position, Wanted
from consumer.hubspot.answers import record_number
from consumer.intents import Intent
from consumer.kafka.reader import CHANGES, DEAD_LETTERS, RESULTS, Extent, TopicReader
from consumer.router import ACTIONS, Delivered, Router
from consumer.secret import Redactor
from consumer.settings import Settings
from consumer.summary import Summary
from consumer.targets import NO_LONGER, NOT_THERE, TAKEN, UNREADABLE, Key, Place, Plan, Selection, Span, Whom, Word

CLOCKS = 3_600.0  # seconds by which the clocks of brokers and services may differ, and more


@click.command(epilog=f"Example: {NAME} dead-letters replay --reason LIST_NOT_FOUND --since 24h --dry-run")
@config_option
@connector_option
@reason_option
@since_option
@click.option(
    "--max-contacts",
    type=click.IntRange(min=1, max=100_000),
    metavar="N",
    help="Contacts in one request, instead of window.max_contacts; 1 isolates a bad record.",
)
@click.option("--all", "everything", is_flag=True, help="Send what a newer change has superseded as well.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@json_option
def replay(
    config: Path,
    connector: str | None,
    reason: str | None,
    since: float | None,
    max_contacts: int | None,
    *,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send what dead letters say was not applied: of each contact the newest change that the log holds.

    Beside the running service, and as it does: same windows, limits and retries; what fails again is a dead letter
    again. Events that could not be decoded are decoded anew, those with a wrong record id looked at anew. What a newer
    change has superseded is left out, so it may be stopped and started again at any time.

    Ends with a summary. Exits with 1 if anything failed again or could not be replayed.
    """
    settings = load_or_exit(config)
    wanted = Wanted(connector=connector, reason=reason, since=None if since is None else int(since * 1000))

    def work(redactor: Redactor) -> int:
        from consumer import app  # noqa: PLC0415 - it loads slowly

        router = app.make_router(settings)
        with tables.progress() as begin:
            with clients.topic_reader(settings) as reader:
                selection, plan = choose(reader, settings, router, wanted, since, begin, everything=everything)
                intents = newest(reader, plan, router, begin) if dry_run else {}
            summary = Summary(
                selection.superseded, selection.skipped, failed=selection.failed, impossible=selection.impossible
            )
            if plan.targets and not dry_run:
                connectors = {key.connector for key in plan.targets}
                its = app.for_replay(settings, connectors, max_contacts)
                assembled = partial(app.assemble_replay, plan=plan)
                done = app.replay(its, redactor, assembled, plan.starts, sending(begin))
                summary.add(done)
                summary.impossible += Counter({NO_LONGER: done.unseen})
        if dry_run:
            unseen = len({key.whom for key in plan.targets} - intents.keys())
            summary.impossible += Counter({NO_LONGER: unseen})
        _show(summary, intents if dry_run else None, as_json=as_json)
        return summary.exit_code

    ask(settings, work)


def choose(
    reader: TopicReader,
    settings: Settings,
    router: Router,
    wanted: Wanted,
    since: float | None,
    begin: Begin,
    *,
    everything: bool,
) -> tuple[Selection, Plan]:
    """Read the dead letters, and what became of their contacts since. Raises ReadFailed."""
    topics = settings.topics
    enabled = {name: (each.account, each.list_id) for name, each in settings.connectors.items() if each.enabled}
    selection = Selection(enabled, topics.changes)
    for entry in reader.read(topics.dead_letters, DEAD_LETTERS, since=since, progress=begin(topics.dead_letters)):
        if entry.record is not None:
            at = Position(topics.dead_letters, entry.message.partition() or 0, entry.message.offset() or 0)
            if any(history.letters(entry.record, at, wanted)):
                selection.take(entry.record)
        elif entry.problem is not None:
            selection.impossible[UNREADABLE] += 1
    concerned = {key.topic for key in selection.targets} | {place.topic for place in selection.anew}
    spans = {
        TopicPartition(topic, each.partition): Span(each.begin, each.end)
        for topic in sorted(concerned)
        for each in reader.extents(topic)
    }
    _read_anew(reader, selection, router, spans, begin)
    if selection.targets and not everything:
        selection.supersede(_words(reader, topics.results, selection, begin))
    gone = any(
        target.offset < spans[key.place].begin for key, target in selection.targets.items() if key.place in spans
    )
    return selection, selection.plan(spans, reader.complete_from(topics.results) if gone else 0.0)


def newest(reader: TopicReader, plan: Plan, router: Router, begin: Begin) -> dict[Whom, Intent]:
    """Give the newest change of each target that the log holds, or else its dead letter. Raises ReadFailed."""
    found = {
        key.whom: Intent(target.action, Position(key.topic, key.partition, target.offset), target.occurred_at)
        for key, target in plan.recalled.items()
    }
    for topic in sorted({place.topic for place in plan.starts}):
        extents = [
            each._replace(begin=plan.starts[TopicPartition(topic, each.partition)])
            for each in reader.extents(topic)
            if TopicPartition(topic, each.partition) in plan.starts
        ]
        for entry in reader.read(topic, CHANGES, extents=extents, progress=begin(topic)):
            event = entry.record
            for where in router.route(event) if event is not None else ():
                position = Position(topic, entry.message.partition() or 0, entry.message.offset() or 0)
                if event is not None and isinstance(where, Delivered):
                    key = Key(where.connector, where.contact, topic, position.partition)
                    if plan.takes(key, position.offset):
                        found[key.whom] = Intent(ACTIONS[event.transition], position, event.occurred_at)
    return found


def _read_anew(
    reader: TopicReader,
    selection: Selection,
    router: Router,
    spans: Mapping[TopicPartition, Span],
    begin: Begin,
) -> None:
    """Read the events anew: from their dead letters, or where those do not hold them from the log."""
    for place, anew in list(selection.anew.items()):
        if anew.value is not None:
            selection.read(place, reader.decode(anew.value, CHANGES), router)
    by_partition: dict[TopicPartition, list[Place]] = {}
    for place in selection.anew:
        by_partition.setdefault(TopicPartition(place.topic, place.partition), []).append(place)
    for (topic, partition), wanted in by_partition.items():
        span = spans.get(TopicPartition(topic, partition), Span(0, 0))
        there = [place for place in wanted if span.begin <= place.offset < span.end]
        selection.give_up_reading((place for place in wanted if place.offset < span.begin), TAKEN)
        selection.give_up_reading((place for place in wanted if place.offset >= span.end), NOT_THERE)
        if there:
            by_offset: dict[int | None, list[Place]] = {}
            for place in there:
                by_offset.setdefault(place.offset, []).append(place)
            extent = Extent(partition, min(each.offset for each in there), max(each.offset for each in there) + 1)
            for entry in reader.read(topic, CHANGES, extents=[extent], progress=begin(topic)):
                for place in by_offset.get(entry.message.offset(), ()):
                    selection.read(place, entry.record, router)
            selection.give_up_reading((place for place in there if place in selection.anew), TAKEN)


def _words(reader: TopicReader, topic: str, selection: Selection, begin: Begin) -> dict[Key, Word]:
    """Read what was applied to the targets since the first of their dead letters."""
    since = min(target.recorded_at for target in selection.targets.values()) / 1000 - CLOCKS
    words: dict[Key, Word] = {}
    for entry in reader.read(topic, RESULTS, since=max(0.0, since), progress=begin(topic)):
        record = entry.record
        if record is not None and selection.lists.get(record["connector"]) == (record["account"], record["list_id"]):
            for contact in record["contacts"]:
                number = record_number(str(contact["record_id"]))
                key = Key(record["connector"], number or 0, contact["topic"], contact["partition"])
                if key in selection.targets:
                    word = words.setdefault(key, Word())
                    word.heard(contact["offset"], record["sent_at"], record["answered_at"])
    return words


def _show(summary: Summary, intents: Mapping[Whom, Intent] | None, *, as_json: bool) -> None:
    if as_json:
        told = summary.as_object()
        if intents is not None:
            told = {"would_send": [*map(_object, intents.items())], **told}
        tables.print_json(told)
        return
    if intents:
        tables.show("connector", "contact", "action", "decided by", "occurred at", rows=[*_cells(intents.items())])
    if not show_rows(summary) and not intents:
        tables.note("there is nothing to replay")


def _object(intent: tuple[Whom, Intent]) -> dict[str, Any]:
    (connector, contact), (action, position, occurred_at) = intent
    change = {**position._asdict(), "occurred_at": tables.moment(occurred_at)}
    return {"connector": connector, "record_id": str(contact), "action": action, "change": change}


def _cells(intents: Iterable[tuple[Whom, Intent]]) -> Iterator[tuple[object, ...]]:
    for (connector, contact), (action, position, occurred_at) in intents:
        yield connector, contact, action, written(position), tables.moment(occurred_at)
