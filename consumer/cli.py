"""The command line: all that people type begins here. What a command does is in `consumer.commands`."""

import click

from consumer import __version__
from consumer.commands.audit import audit
from consumer.commands.check import check
from consumer.commands.common import NAME, exit_code, start_log
from consumer.commands.dead_letters import dead_letters
from consumer.commands.lists import lists
from consumer.commands.rebuild import rebuild
from consumer.commands.release import release
from consumer.commands.results import results
from consumer.commands.service import demo, run
from consumer.commands.setup import setup

__all__ = ["NAME", "exit_code", "main", "start_log"]


@click.group(name=NAME, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=NAME)
def main() -> None:
    """Keep HubSpot Contact lists equal to the audiences and journeys of a Data Activation platform."""


for command in (setup, run, check, lists, results, dead_letters, audit, rebuild, release, demo):
    main.add_command(command)
