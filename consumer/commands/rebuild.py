"""`rebuild`: makes a list what the log says, beside a running service or before its connector is switched on."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from consumer.changes import Action, TopicPartition
from consumer.commands import clients, tables
from consumer.commands.common import NAME, ask, config_option, json_option, load_or_exit
from consumer.commands.summary import Summary, sending, show_rows
from consumer.intents import EVERYBODY
from consumer.kafka.fold import fold_log
from consumer.kafka.reader import Extent
from consumer.secret import Redactor
from consumer.settings import Settings


@click.command(epilog=f"Example: {NAME} rebuild --connector vip --dry-run")
@config_option
@click.option("--connector", required=True, metavar="NAME", help="Whose list; it may be disabled.")
@click.option("--dry-run", is_flag=True, help="Count what would be sent, and send nothing.")
@json_option
def rebuild(config: Path, connector: str, *, dry_run: bool, as_json: bool) -> None:
    """Make a connector's list what the log says: of each contact the newest change, from the topics' beginning on.

    Beside the running service, and as it does: same windows, limits and retries; what fails is a dead letter. May be
    stopped and started again. A connector that is not enabled is filled as well, before it is switched on.

    Ends with a summary. Exits with 1 if anything failed or was left.
    """
    settings = load_or_exit(config)
    if connector not in settings.connectors:
        raise click.UsageError(f"there is no connector {connector}: name one of {', '.join(settings.connectors)}.")

    def work(redactor: Redactor) -> int:
        from consumer import app  # noqa: PLC0415 - it loads slowly

        its = app.for_replay(settings, {connector})
        summary = Summary()
        with tables.progress() as begin:
            with clients.topic_reader(settings) as reader:
                extents = {topic: reader.extents(topic) for topic in settings.topics.changes}
                if dry_run:
                    log = fold_log(reader, extents, app.make_router(its), {connector: EVERYBODY}, progress=begin("log"))
            if not dry_run:
                starts = {
                    TopicPartition(topic, each.partition): each.begin for topic in extents for each in extents[topic]
                }
                summary.add(app.replay(its, redactor, app.assemble_rebuild, starts, sending(begin)))
        _warn(extents)
        if dry_run:
            wanted = log.intents[connector]
            _show_wanted(settings, connector, Counter(wanted.action(contact) for contact in wanted), as_json=as_json)
        elif as_json:
            tables.print_json(summary.as_object())
        elif not show_rows(summary):
            tables.note(f"the log tells of no contact of {settings.connectors[connector].source}")
        return summary.exit_code

    ask(settings, work)


def _warn(extents: dict[str, list[Extent]]) -> None:
    cut = [
        f"{topic}/{each.partition} begins at {each.begin}" for topic in extents for each in extents[topic] if each.begin
    ]
    if cut:
        tables.note(
            f"retention has taken what came before: {', '.join(cut)}. Who last changed before that is not touched"
        )


def _show_wanted(settings: Settings, connector: str, actions: Counter[Action | None], *, as_json: bool) -> None:
    list_id = settings.connectors[connector].list_id
    told: dict[str, Any] = {"list_id": list_id, "add": actions[Action.ADD], "remove": actions[Action.REMOVE]}
    if as_json:
        tables.print_json({"connector": connector, "would_send": told})
    else:
        tables.show("connector", "list", "to add", "to remove", rows=[(connector, *told.values())])
