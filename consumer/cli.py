"""The command line: what people type, and what it exits with.

Exit codes: 0 done, 1 failure, 2 wrong usage or configuration.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from consumer import __version__, log
from consumer.errors import ConfigurationError, Problem
from consumer.secret import Redactor
from consumer.settings import Settings, load

NAME = "hubspot-list-sync"
WRONG_CONFIGURATION = 2

_Command = TypeVar("_Command", bound=Callable[..., Any])

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


def log_options(level: str) -> Callable[[_Command], _Command]:
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


def start_log(log_level: str, log_format: str, redactor: Redactor) -> None:
    """Log to stderr, so that stdout holds nothing but a command's result."""
    as_json = {"json": True, "text": False, "auto": None}[log_format]
    log.configure(sys.stderr, json=as_json, level=log_level, redactor=redactor)


def load_or_exit(config: Path) -> Settings:
    """Return the settings; print every problem to stderr and exit with 2 where there are any."""
    try:
        return load(config, os.environ)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        sys.exit(WRONG_CONFIGURATION)


def exit_code(work: Callable[[], int]) -> int:
    """Return what `work` returns; where it raises, 1, after its traceback has left through the cleaned log."""
    try:
        return work()
    except Exception:  # noqa: BLE001 - Python itself would print the traceback with the secrets in it
        log.get(__name__).critical("stopped by an error that nobody expected", exc_info=True)
        return 1


@click.group(name=NAME, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=NAME)
def main() -> None:
    """Keep HubSpot Contact lists equal to the audiences and journeys of a Data Activation platform."""


@main.command(epilog=f"Example: {NAME} check --config /etc/{NAME}/config.yaml")
@config_option
@json_option
def check(config: Path, *, as_json: bool) -> None:
    """Validate the configuration and show its connectors.

    Everything that is wrong is reported at once, with its line and what to do. Exits with 2 then.
    """
    if as_json:
        _check_for_programs(config)
        return
    settings = load_or_exit(config)
    Console().print(_connector_table(settings))
    click.echo(f"{config}: configuration is valid")


@main.command(epilog=f"Example: {NAME} run --config /etc/{NAME}/config.yaml --log-format json")
@config_option
@log_options("info")
def run(config: Path, log_level: str, log_format: str) -> None:
    """Run the service until it is told to stop (SIGTERM or Ctrl-C).

    It reads membership changes from Kafka and brings the lists in HubSpot in line with them. Exits with 0 after a
    clean stop, with 2 before anything is contacted if the configuration is wrong.
    """
    settings = load_or_exit(config)
    redactor = Redactor(settings.secrets())
    start_log(log_level, log_format, redactor)
    from consumer import app  # noqa: PLC0415 - its client libraries load slowly, and the other commands need none

    sys.exit(exit_code(lambda: app.run(settings, redactor)))


@main.command(epilog=f"Example: {NAME} demo")
@log_options("warning")
def demo(log_level: str, log_format: str) -> None:
    """Do the whole job on this machine: an embedded Kafka, a simulated HubSpot, real customer events.

    Needs no configuration. The last line printed is one JSON object; exits with 0 only if every list matches.
    """
    start_log(log_level, log_format, Redactor())
    from consumer import demo as demonstration  # noqa: PLC0415 - as in `run`

    sys.exit(exit_code(lambda: demonstration.run(Console())))


def _check_for_programs(config: Path) -> None:
    problems: tuple[Problem, ...] = ()
    connectors: list[dict[str, object]] = []
    try:
        connectors = _connectors(load(config, os.environ))
    except ConfigurationError as error:
        problems = error.problems
    said = {"valid": not problems, "problems": [asdict(problem) for problem in problems], "connectors": connectors}
    click.echo(json.dumps(said, indent=2))
    sys.exit(WRONG_CONFIGURATION if problems else 0)


def _connectors(settings: Settings) -> list[dict[str, object]]:
    return [
        {
            "connector": name,
            "account": connector.account,
            "list_id": connector.list_id,
            "source": str(connector.source),
            "identifier": connector.identifier,
            "enabled": connector.enabled,
        }
        for name, connector in settings.connectors.items()
    ]


def _connector_table(settings: Settings) -> Table:
    table = Table("connector", "account", "list", "source", "identifier", "enabled")
    for connector in _connectors(settings):
        table.add_row(*(_cell(value) for value in connector.values()))
    return table


def _cell(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
