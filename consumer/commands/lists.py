"""`lists` and `lists create`: the manual contact lists of an account."""

import json
import re
from pathlib import Path

import click
from click.core import ParameterSource

from consumer.commands import clients, tables
from consumer.commands.common import NAME, ask, config_option, json_lines_option, json_option, load_or_exit
from consumer.hubspot.lists_client import ContactList
from consumer.secret import Redactor
from consumer.settings import Settings
from consumer.settings.names import free_name

account_option = click.option(
    "--account", metavar="NAME", help="The account of the configuration; needed where there are several."
)


@click.group(invoke_without_command=True, epilog=f"Example: {NAME} lists --search vip")
@config_option
@account_option
@click.option("--search", "text", default="", metavar="TEXT", help="Only lists whose name contains TEXT.")
@json_lines_option
@click.pass_context
def lists(context: click.Context, config: Path, account: str | None, text: str, *, as_json: bool) -> None:
    """Show the manual contact lists of an account: id, name, size, and the connector that keeps each.

    Snapshots are among them, for they can be kept too; active lists are not. `lists create` makes one.
    """
    if context.invoked_subcommand is not None:
        _refuse_options_before(context, context.invoked_subcommand)
        return
    settings = load_or_exit(config)
    chosen = _account(settings, account)

    def work(redactor: Redactor) -> int:
        with tables.waiting("Asking HubSpot …"), clients.lists_client(settings, chosen, redactor) as client:
            found = sorted(client.search(text), key=lambda each: (each.name.casefold(), each.list_id))
        _show(settings, chosen, found, as_json=as_json)
        return 0

    ask(settings, work)


@lists.command(epilog=f'Example: {NAME} lists create "VIP customers"')
@click.argument("name")
@config_option
@account_option
@json_option
def create(name: str, config: Path, account: str | None, *, as_json: bool) -> None:
    """Make an empty manual contact list called NAME, and print its id and what to write into the configuration.

    Two lists cannot have one name: where it is taken, the list that has it is named, and the exit code is 1.
    """
    if not name.strip():
        raise click.UsageError("a list needs a name.")
    settings = load_or_exit(config)
    chosen = _account(settings, account)

    def work(redactor: Redactor) -> int:
        with tables.waiting("Asking HubSpot …"), clients.lists_client(settings, chosen, redactor) as client:
            made = client.create(name.strip())
        if as_json:
            tables.print_json({"list_id": made.list_id, "name": made.name, "account": chosen})
        else:
            tables.say(f"list {made.list_id} was made: {made.name}, in account {chosen}\n")
            tables.say(_snippet(settings, chosen, made))
        return 0

    ask(settings, work)


def _refuse_options_before(context: click.Context, subcommand: str) -> None:
    """Refuse options that would not be heard: no list must be made in another account than was named."""
    for parameter in context.command.params:
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} belongs behind `{subcommand}`.", context)


def _account(settings: Settings, named: str | None) -> str:
    """Give the account that is meant, or raise click.UsageError."""
    names = list(settings.accounts)
    if named is None and len(names) == 1:
        return names[0]
    if named is None:
        raise click.UsageError(f"there are several accounts: add --account with one of {', '.join(names)}.")
    if named not in settings.accounts:
        raise click.UsageError(f"there is no account {named}: name one of {', '.join(names)}.")
    return named


def _show(settings: Settings, account: str, found: list[ContactList], *, as_json: bool) -> None:
    kept = {connector.list_id: name for name, connector in settings.connectors.items() if connector.account == account}
    if as_json:
        for each in found:
            tables.print_json(
                {"list_id": each.list_id, "name": each.name, "size": each.size, "connector": kept.get(each.list_id)}
            )
    elif found:
        rows = [(each.list_id, each.name, each.size, kept.get(each.list_id)) for each in found]
        tables.show("id", "name", "size", "connector", rows=rows)
    else:
        tables.note(f"account {account} has no such list; make one with `{NAME} lists create NAME`")


def _snippet(settings: Settings, account: str, made: ContactList) -> str:
    return (
        f"connectors:\n"
        f"  {_yaml(free_name(made.name, settings.connectors))}:\n"
        f"    account: {_yaml(account)}\n"
        f"    list_id: {made.list_id}\n"
        f"    source: audience:ID    # or journey:ID"
    )


def _yaml(name: str) -> str:
    """Write a name so that YAML takes it for text, whatever it looks like."""
    plain = re.fullmatch(r"[A-Za-z_][\w.-]*", name) and name.casefold() not in ("null", "true", "false")
    return name if plain else json.dumps(name)
