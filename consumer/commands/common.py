"""What the commands share: options, settings, the log, and how a command ends.

Exit codes: 0 done, 1 failure, 2 wrong usage or configuration.
"""

import os
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from consumer import log
from consumer.errors import ConfigurationError, ConsumerError, Problem
from consumer.kafka import clients
from consumer.outcomes import DEAD_LETTER_REASONS
from consumer.secret import Redactor
from consumer.settings import Settings, load

NAME = "hubspot-list-sync"
WRONG_CONFIGURATION = 2
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

Command = TypeVar("Command", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=f"{NAME}.yaml",
    envvar="HUBSPOT_LIST_SYNC_CONFIG",
    show_default=True,
    show_envvar=True,
    metavar="FILE",
    help="The configuration.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
json_lines_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, for programs.")
limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="Show the newest N at most.",
)
connector_option = click.option("--connector", metavar="NAME", help="Only those of this connector.")
reason_option = click.option(
    "--reason",
    type=click.Choice(list(DEAD_LETTER_REASONS), case_sensitive=False),
    metavar="REASON",
    help="Only those of this reason, such as LIST_NOT_FOUND.",
)


def log_options(level: str) -> Callable[[Command], Command]:
    """Give a command --log-level, by default `level`, and --log-format; `start_log` takes both."""
    level_option = click.option(
        "--log-level",
        type=click.Choice(log.LEVELS),
        default=level,
        envvar="HUBSPOT_LIST_SYNC_LOG_LEVEL",
        show_default=True,
        show_envvar=True,
        help="Leave out what matters less.",
    )
    format_option = click.option(
        "--log-format",
        type=click.Choice(("json", "text", "auto")),
        default="auto",
        envvar="HUBSPOT_LIST_SYNC_LOG_FORMAT",
        show_default=True,
        show_envvar=True,
        help="auto: text on a terminal, JSON elsewhere.",
    )
    return lambda command: level_option(format_option(command))


def seconds_since_1970(text: str, now: float) -> float:
    """Read how long ago (`90s`, `30m`, `24h`, `7d`), or when (ISO 8601, UTC unless it says otherwise).

    Raises ValueError.
    """
    if ago := re.fullmatch(r"([0-9]{1,9})([smhd])", text):
        return max(0.0, now - int(ago[1]) * SECONDS[ago[2]])
    moment = datetime.fromisoformat(text)
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


class _Since(click.ParamType[float]):
    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's signature
        """Give seconds since 1970."""
        try:
            return value if isinstance(value, float) else seconds_since_1970(value, time.time())
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: write 24h, 7d, 2026-11-01 or 2026-11-01T00:00 (UTC).", param, ctx)


since_option = click.option(
    "--since", type=_Since(), metavar="TIME", help="Only what is newer: 24h, 7d, 2026-11-01T00:00 (UTC)."
)


def start_log(log_level: str, log_format: str, redactor: Redactor) -> None:
    """Log to stderr, so that stdout holds nothing but a command's result."""
    as_json = {"json": True, "text": False, "auto": None}[log_format]
    log.configure(sys.stderr, json=as_json, level=log_level, redactor=redactor)


def load_or_exit(config: Path) -> Settings:
    """Return the settings; print every problem to stderr and exit with 2 where there are any."""
    try:
        return load_checked(config)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        sys.exit(WRONG_CONFIGURATION)


def load_checked(config: Path) -> Settings:
    """Return the settings, which librdkafka takes as well. Raises ConfigurationError."""
    settings = load(config, os.environ)
    refusal = clients.refused(settings.kafka)
    if refusal is not None:
        remedy = "Write the property as librdkafka's CONFIGURATION.md has it"
        raise ConfigurationError(str(config), (Problem("kafka", None, f"librdkafka says: {refusal}", remedy),))
    return settings


def exit_code(work: Callable[[], int]) -> int:
    """Return what `work` returns; where it raises, 1, after its traceback has left through the cleaned log."""
    try:
        return work()
    except (BrokenPipeError, click.ClickException, click.Abort):
        raise  # click ends them as they should: quietly, with the usage, with "Aborted!"
    except ConsumerError as error:
        log.get(__name__).critical("stopped", problem=str(error))
        return 1
    except Exception:  # noqa: BLE001 - Python itself would print the traceback with the secrets in it
        log.get(__name__).critical("stopped by an error that nobody expected", exc_info=True)
        return 1


def ask(settings: Settings, work: Callable[[Redactor], int]) -> NoReturn:
    """Do what a command asks others for, then exit: with what `work` returns, or 1 and one line that says why."""
    redactor = Redactor(settings.secrets())
    finish(redactor, lambda: work(redactor))


def finish(redactor: Redactor, work: Callable[[], int]) -> NoReturn:
    """Do the same for a command that has no settings yet."""
    start_log("warning", "auto", redactor)

    def told() -> int:
        try:
            return work()
        except ConsumerError as error:
            click.echo(redactor.clean(str(error)), err=True)
            return 1

    sys.exit(exit_code(told))
