"""What the loop publishes about itself, and what people and probes are told of it.

Rules. The values are frozen: the loop publishes new ones, the admin server's threads read them. Whatever came from
outside (names, HubSpot's messages) is escaped. Nothing is said by colour alone.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LIVE_WITHIN: Final = 60.0  # seconds since the last turn of the loop
MAX_ROWS: Final = 500  # of one table, so that 10,000 connectors still make a page that a phone can show

_PAGE: Final = Template(files("consumer").joinpath("templates/status.html").read_text(encoding="utf-8"))
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Attention:
    """Why a person is needed. `since` is in seconds since 1970; quote `correlation_id` to HubSpot support."""

    reason: str
    message: str
    correlation_id: str | None
    since: float


@dataclass(frozen=True, slots=True)
class ListStatus:
    """One connector and its list. Times are seconds since 1970.

    `hold`: what the guard holds, and how a person lets it go. The list is linked where `app_url` (of HubSpot's pages)
    and `hub_id` (of the portal) are known.
    """

    connector: str
    account: str
    list_id: int
    list_name: str | None
    source: str
    enabled: bool
    waiting: int
    last_request_at: float | None = None
    last_outcome: str | None = None
    last_success_at: float | None = None
    attention: Attention | None = None
    hold: Attention | None = None
    hub_id: int | None = None
    app_url: str | None = None

    @property
    def attentions(self) -> tuple[Attention, ...]:
        """All that asks for a person."""
        return tuple(each for each in (self.hold, self.attention) if each is not None)


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition of this member. None stands for what the broker has not told yet."""

    topic: str
    partition: int
    committed: int | None
    end: int | None
    lag: int | None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The whole member. `last_turn` is monotonic, `started_at` in seconds since 1970.

    `ready`: partitions are assigned, or the group is stable without one for this member. `attention` is what concerns
    no single list, such as a committed offset that is out of range.
    """

    lists: tuple[ListStatus, ...]
    partitions: tuple[PartitionStatus, ...]
    paused: bool
    draining: bool
    ready: bool
    last_turn: float
    started_at: float
    version: str
    attention: tuple[Attention, ...] = ()


def stalled(status: ServiceStatus, now: float) -> str | None:
    """Say why the process should be restarted, or None if it is alive. `now` is monotonic, like `last_turn`."""
    silence = now - status.last_turn
    if silence <= LIVE_WITHIN:
        return None
    return f"The loop has not turned for {silence:.0f} s; more than {LIVE_WITHIN:.0f} s means that it hangs."


def not_ready(status: ServiceStatus) -> str | None:
    """Say why the member takes no part in the work, or None if it does."""
    if status.draining:
        return "The service is draining: it finishes what it holds, takes nothing new and stops."
    if not status.ready:
        return "The service waits for partitions: the consumer group has not given this member its share yet."
    return None


def page(status: ServiceStatus, now: float, hang: str | None = None) -> str:
    """Return the status page as HTML. `now` is in seconds since 1970; `hang` is what `stalled` says."""
    state, explanation = _state(status, hang)
    attentions = sum(bool(item.attentions) for item in status.lists) + len(status.attention)
    return _PAGE.substitute(
        title=(f"{attentions} need attention" if attentions else state) + " · HubSpot list sync",
        state=escape(state),
        state_class="well" if state == "Running" else "warn",
        explanation=escape(explanation),
        version=escape(status.version),
        started=_ago(status.started_at, now),
        facts=_facts(status, attentions),
        notices=_notices(status.attention, now),
        connectors=_connectors(status.lists, now),
        partitions=_partitions(status.partitions),
    )


def _state(status: ServiceStatus, hang: str | None) -> tuple[str, str]:
    """Return the state in a word or two, and in a sentence."""
    if hang is not None:
        return "Hanging", f"{hang} What follows is what was last known."
    if (reason := not_ready(status)) is not None:
        return "Draining" if status.draining else "Not ready", reason
    if status.paused:
        return "Paused", "Reading pauses until HubSpot has taken some of the contacts that wait."
    return "Running", "Changes are read and sent to HubSpot."


def _facts(status: ServiceStatus, attentions: int) -> str:
    lags = [item.lag for item in status.partitions if item.lag is not None]
    facts = {
        "Connectors": len(status.lists),
        "Need attention": attentions,
        "Contacts waiting": sum(item.waiting for item in status.lists),
        "Partitions": len(status.partitions),
        "Events to read": sum(lags),
    }
    return "".join(f"<div><dt>{name}</dt><dd>{value:,}</dd></div>" for name, value in facts.items())


def _notices(attentions: Sequence[Attention], now: float) -> str:
    if not attentions:
        return ""
    items = "".join(f"<li>{_attention(item, now)}</li>" for item in attentions)
    heading = '<h2 id="service">The service needs attention</h2>'
    return f'<section aria-labelledby="service">{heading}<ul class="notices">{items}</ul></section>'


def _connectors(lists: Sequence[ListStatus], now: float) -> str:
    if not lists:
        return "<p>No connector is configured.</p>"
    shown = heapq.nsmallest(
        MAX_ROWS, lists, key=lambda item: (not item.attentions, -item.waiting, item.connector, item.list_id)
    )
    rows = (
        [
            f"{escape(item.connector)}{_quiet(f'Account {item.account}')}",
            escape(item.source),
            _list(item),
            f"{item.waiting:,}",
            _last_request(item, now),
            _condition(item, now),
        ]
        for item in shown
    )
    return _cut("connectors", len(shown), len(lists), "those that need attention first, then the busiest") + _table(
        "connectors",
        {"Connector": "", "Source": "", "List": "", "Waiting": "number", "Last request": "", "State": "state"},
        rows,
    )


def _partitions(partitions: Sequence[PartitionStatus]) -> str:
    if not partitions:
        return "<p>This member reads no partition at present.</p>"
    shown = heapq.nsmallest(MAX_ROWS, partitions, key=lambda item: (-(item.lag or 0), item.topic, item.partition))
    rows = (
        [
            f"{escape(item.topic)} {item.partition}",
            _count(item.committed),
            _count(item.end),
            _count(item.lag),
        ]
        for item in shown
    )
    return _cut("partitions", len(shown), len(partitions), "those furthest behind first") + _table(
        "partitions", {"Partition": "", "Committed": "number", "End": "number", "Lag": "number"}, rows
    )


def _table(title: str, columns: dict[str, str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already. `columns` maps a heading to its cells' class.

    The roles repeat what the elements say, because browsers forget it where the style makes blocks of them on a phone.
    """
    headings = "".join(
        f'<th scope="col" role="columnheader" class="{css}">{name}</th>' for name, css in columns.items()
    )
    body = "".join(f'<tr role="row">{_cells(columns, row)}</tr>' for row in rows)
    return (
        f'<table role="table" aria-labelledby="{title}"><thead role="rowgroup"><tr role="row">{headings}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table>'
    )


def _cells(columns: dict[str, str], row: Sequence[str]) -> str:
    (first, _), *others = columns.items()
    head = f'<th scope="row" role="rowheader" data-label="{first}"><div>{row[0]}</div></th>'
    return head + "".join(
        f'<td role="cell" class="{css}" data-label="{name}"><div>{cell}</div></td>'
        for (name, css), cell in zip(others, row[1:], strict=True)
    )


def _cut(what: str, shown: int, total: int, order: str) -> str:
    if shown == total:
        return ""
    return f"<p>{shown:,} of {total:,} {what} are shown: {order}.</p>"


def _list(item: ListStatus) -> str:
    name = escape(item.list_name or f"List {item.list_id}")
    if item.app_url is not None and item.hub_id is not None:
        address = escape(f"{item.app_url}/contacts/{item.hub_id:d}/objectLists/{item.list_id:d}")
        name = f'<a href="{address}">{name}</a>'
    return name + (_quiet(f"List {item.list_id}") if item.list_name else "")


def _last_request(item: ListStatus, now: float) -> str:
    if item.last_request_at is None:
        return "None yet"
    text = f"{_ago(item.last_request_at, now)}: {escape(item.last_outcome or 'no answer yet')}"
    if item.last_success_at is not None and item.attentions:
        text += f'<p class="quiet">Last success {_ago(item.last_success_at, now)}</p>'
    return text


def _condition(item: ListStatus, now: float) -> str:
    if item.attentions:
        return "".join(_attention(each, now) for each in item.attentions)
    if not item.enabled:
        return '<span class="badge off">Not enabled</span>'
    return '<span class="badge well">OK</span>'


def _attention(attention: Attention, now: float) -> str:
    text = (
        f'<span class="badge warn">Needs attention</span> <strong>{escape(attention.reason)}</strong>'
        f"<p>{escape(attention.message)}</p>"
    )
    if attention.correlation_id is not None:
        text += f"<p>Correlation id for HubSpot support: <code>{escape(attention.correlation_id)}</code></p>"
    return text + f'<p class="quiet">Raised {_ago(attention.since, now)}</p>'


def _quiet(text: str) -> str:
    return f'<div class="quiet">{escape(text)}</div>'


def _count(number: int | None) -> str:
    return "not known" if number is None else f"{number:,}"


def _ago(moment: float, now: float) -> str:
    """Return the age of `moment` in words, with the moment itself (UTC) for machines and on hover."""
    instant = datetime.fromtimestamp(moment, UTC)
    age = max(0, int(now - moment))
    if age < _MINUTE:
        words = f"{age} s ago"
    elif age < _HOUR:
        words = f"{age // _MINUTE} min ago"
    elif age < _DAY:
        words = f"{age // _HOUR} h ago"
    else:
        words = f"{age // _DAY} d ago"
    return f'<time datetime="{instant:%Y-%m-%dT%H:%M:%SZ}" title="{instant:%Y-%m-%d %H:%M:%S} UTC">{words}</time>'
