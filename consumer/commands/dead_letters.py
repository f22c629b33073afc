"""`dead-letters list` and `dead-letters show`: what was not applied and will not be retried."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from consumer import history
from consumer.commands import clients, tables
from consumer.commands.common import (
    NAME,
    ask,
    config_option,
    connector_option,
    json_lines_option,
    json_option,
    limit_option,
    load_or_exit,
    reason_option,
    since_option,
)
from consumer.commands.replay import replay
from consumer.commands.results import Search, as_object, place
from consumer.history import Position, Row, Wanted
from consumer.kafka.reader import DEAD_LETTERS
from consumer.outcomes import DEAD_LETTER_REASONS

LONGEST_PREVIEW = 512  # bytes of a raw event that people are shown
PER_LINE = 16

Fields = dict[str, Any]


class _Place(click.ParamType[tuple[int, int]]):
    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:  # noqa: ANN401 - click's signature
        """Give partition and offset."""
        partition, _, offset = str(value).partition(":")
        if not (partition.isdecimal() and offset.isdecimal() and len(value) <= 30):  # noqa: PLR2004 - more is no place
            self.fail(f"{value!r} is no place: write it as `dead-letters list` does, such as 0:17.", param, ctx)
        return int(partition), int(offset)


@click.group(name="dead-letters", epilog=f"Example: {NAME} dead-letters list --since 24h")
def dead_letters() -> None:
    """Show the changes that were not applied and will not be retried, and why; replay them."""


dead_letters.add_command(replay)


@dead_letters.command(name="list", epilog=f"Example: {NAME} dead-letters list --reason LIST_NOT_FOUND --since 24h")
@config_option
@connector_option
@reason_option
@since_option
@limit_option
@json_lines_option
def list_(
    config: Path, connector: str | None, reason: str | None, since: float | None, limit: int, *, as_json: bool
) -> None:
    """Show the dead letters, newest first: where each is, its reason, what it concerns, and what HubSpot said.

    The place (partition:offset) is what `dead-letters show` takes.
    """
    settings = load_or_exit(config)
    topic = settings.topics.dead_letters
    wanted = Wanted(connector=connector, reason=reason, since=None if since is None else int(since * 1000))

    def work(_redactor: object) -> int:
        with tables.progress() as begin, clients.topic_reader(settings) as reader:
            search = Search(reader, begin, wanted, since)
            found, count = history.newest(search.rows(topic, DEAD_LETTERS, history.letters), limit)
        for row in found if as_json else ():
            tables.print_json({"place": _address(row.written), "contacts": row.contacts, **as_object(row)})
        if found and not as_json:
            headings = ("place", "when", "reason", "connector", "contacts", "HubSpot said")
            tables.show(*headings, rows=[*map(_cells, found)])
        elif not found:
            tables.note(f"nothing like that in {topic}")
        return search.end(len(found), count)

    ask(settings, work)


@dead_letters.command(epilog=f"Example: {NAME} dead-letters show 0:17")
@click.argument("where", type=_Place(), metavar="PARTITION:OFFSET")
@config_option
@json_option
def show(where: tuple[int, int], config: Path, *, as_json: bool) -> None:
    """Show one dead letter whole: why, HubSpot's words, each contact with the change that decided it, the raw event.

    PARTITION:OFFSET is its place, as `dead-letters list` shows it. With --json the bytes of the event are complete.
    """
    settings = load_or_exit(config)
    position = Position(settings.topics.dead_letters, *where)

    def work(_redactor: object) -> int:
        with tables.waiting("Asking Kafka …"), clients.topic_reader(settings) as reader:
            entry = reader.read_one(*position, DEAD_LETTERS)
        if entry is None or entry.record is None:
            problem = "there is no such dead letter, or no longer" if entry is None else entry.problem or "a tombstone"
            tables.note(f"{place(position)}: {problem}")
            return 1
        if as_json:
            tables.print_json(_whole(position, entry.record))
        else:
            _show(position, entry.record)
        return 0

    ask(settings, work)


def _address(position: Position) -> str:
    return f"{position.partition}:{position.offset}"


def _cells(row: Row) -> tuple[object, ...]:
    return (
        _address(row.written),
        tables.moment(row.at),
        row.reason,
        tables.lines(row.connector, row.list_id and f"list {row.list_id}"),
        row.contacts,
        tables.lines(
            _said(row.status, row.category), row.message, row.correlation_id and f"correlation {row.correlation_id}"
        ),
    )


def _said(status: int | None, category: str | None) -> str:
    return " ".join(str(part) for part in (status, category) if part is not None)


def _show(position: Position, letter: Fields) -> None:
    meaning = DEAD_LETTER_REASONS.get(letter["reason"])
    facts = {
        "place": place(position),
        "recorded at": tables.moment(letter["recorded_at"]),
        "reason": letter["reason"] if meaning is None else f"{letter['reason']}: {meaning}",
        "connector": letter["connector"],
        "account": letter["account"],
        "list": letter["list_id"],
        "request": letter["request_id"],
        "status": _said(letter["status"], letter["category"]),
        "message": letter["message"],
        "correlation id": letter["correlation_id"],
    }
    _show_facts(facts)
    if letter["contacts"]:
        rows = [
            (each["record_id"], each["action"], place(_position(each)), tables.moment(each["occurred_at"]))
            for each in letter["contacts"]
        ]
        tables.show("contact", "action", "decided by", "occurred at", rows=rows)
    if letter["event"] is not None:
        _show_event(letter["event"])


def _show_facts(facts: dict[str, object]) -> None:
    for name, value in facts.items():
        if value not in (None, ""):
            tables.say(f"{name + ':':<16}{tables.printable(str(value))}")


def _show_event(event: Fields) -> None:
    tables.say("\nthe event")
    cut = ", cut to fit" if event["truncated"] else ""
    facts: dict[str, object] = {
        "came from": place(_position(event)),
        "timestamp": tables.moment(event["timestamp"]),
        "key": None if event["key"] is None else _text(event["key"]),
        "length": f"{event['value_length']} bytes{cut}",
        "sha256": event["value_sha256"],
    }
    for header in event["headers"]:
        facts[f"header {header['name']}"] = "" if header["value"] is None else _text(header["value"])
    _show_facts(facts)
    for line in _dump(event["value"] or b""):
        tables.say(line)


def _dump(value: bytes) -> Iterator[str]:
    """Yield the beginning of a value as text and, a line for every 16 bytes, in hexadecimal."""
    if value:
        yield f"{'as text:':<16}{_text(value[:LONGEST_PREVIEW])}"
    for start in range(0, min(len(value), LONGEST_PREVIEW), PER_LINE):
        part = value[start : min(start + PER_LINE, LONGEST_PREVIEW)]
        yield f"  {start:08x}  {part.hex(' ')}"
    if len(value) > LONGEST_PREVIEW:
        yield f"  … {len(value) - LONGEST_PREVIEW} more bytes: --json shows all"


def _whole(position: Position, letter: Fields) -> Fields:
    """Give a dead letter as a JSON object: times as ISO 8601, bytes in hexadecimal and as text."""
    event = letter["event"]
    if event is not None:
        headers = [{"name": each["name"], "value": _bytes(each["value"])} for each in event["headers"]]
        event = {
            **event,
            "timestamp": tables.moment(event["timestamp"]),
            "key": _bytes(event["key"]),
            "value": _bytes(event["value"]),
            "headers": headers,
        }
    contacts = [{**each, "occurred_at": tables.moment(each["occurred_at"])} for each in letter["contacts"]]
    return {
        "place": _address(position),
        **letter,
        "recorded_at": tables.moment(letter["recorded_at"]),
        "contacts": contacts,
        "event": event,
    }


def _position(part: Fields) -> Position:
    return Position(part["topic"], part["partition"], part["offset"])


def _bytes(value: bytes | None) -> dict[str, str] | None:
    return None if value is None else {"hex": value.hex(), "text": value.decode(errors="replace")}


def _text(value: bytes) -> str:
    return tables.printable(value.decode(errors="replace"))
