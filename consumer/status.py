"""What the loop publishes about itself, and what people and probes are told of it.

Rules. The values are frozen: the loop publishes new ones, the admin server's threads read them. Whatever came from
outside (names, HubSpot's messages) is escaped, by the template. Nothing is said by colour alone.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final

from consumer.templating import template

LIVE_WITHIN: Final = 60.0  # seconds since the last turn of the loop
MAX_ROWS: Final = 500  # of one table, so that 10,000 connectors still make a page that a phone can show

_PAGE: Final = template("status.html")


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


def page(status: ServiceStatus, now: float, hang: str | None = None, *, refresh: bool = True) -> str:
    """Return the status page as HTML. `now` is in seconds since 1970; `hang` is what `stalled` says.

    With `refresh` the page loads itself anew; without, whoever reads slowly keeps it as it is.
    """
    state, explanation = _state(status, hang)
    attentions = sum(bool(item.attentions) for item in status.lists) + len(status.attention)
    return _PAGE(
        status=status,
        now=now,
        refresh=refresh,
        state=state,
        explanation=explanation,
        attentions=attentions,
        facts=_facts(status, attentions),
        lists=heapq.nsmallest(
            MAX_ROWS, status.lists, key=lambda item: (not item.attentions, -item.waiting, item.connector, item.list_id)
        ),
        partitions=heapq.nsmallest(
            MAX_ROWS, status.partitions, key=lambda item: (-(item.lag or 0), item.topic, item.partition)
        ),
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


def _facts(status: ServiceStatus, attentions: int) -> dict[str, int]:
    return {
        "Connectors": len(status.lists),
        "Need attention": attentions,
        "Contacts waiting": sum(item.waiting for item in status.lists),
        "Partitions": len(status.partitions),
        "Events to read": sum(item.lag for item in status.partitions if item.lag is not None),
    }
