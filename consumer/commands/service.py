"""`run` and `demo`: the service itself."""

import sys
from pathlib import Path

import click
from rich.console import Console

from consumer.commands.common import NAME, config_option, exit_code, load_or_exit, log_options, start_log
from consumer.secret import Redactor


@click.command(epilog=f"Example: {NAME} run --config /etc/{NAME}/config.yaml --log-format json")
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
    from consumer import app  # noqa: PLC0415 - it loads slowly, and no other command needs it

    sys.exit(exit_code(lambda: app.run(settings, redactor)))


@click.command(epilog=f"Example: {NAME} demo")
@log_options("warning")
def demo(log_level: str, log_format: str) -> None:
    """Do the whole job on this machine: an embedded Kafka, a simulated HubSpot, real customer events.

    Needs no configuration. The last line printed is one JSON object; exits with 0 only if every list matches.
    """
    start_log(log_level, log_format, Redactor())
    from consumer import demo as demonstration  # noqa: PLC0415 - as in `run`

    sys.exit(exit_code(lambda: demonstration.run(Console())))
