"""`check`: whether the configuration is right and, with --online, whether all that it names is there.

What is asked online, and what the answers mean, is in `consumer.checks`.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from consumer.checks import Finding, check_account, check_schemas, check_topics
from consumer.commands import clients, tables
from consumer.commands.common import NAME, WRONG_CONFIGURATION, ask, config_option, json_option, load_checked
from consumer.errors import ConfigurationError, Problem
from consumer.secret import Redactor
from consumer.settings import Settings

MOST_AT_ONCE = 8  # accounts, Kafka and registry are asked at the same time: each may be slow
MARKS = {"ok": "✓", "problem": "✗", "unknown": "?"}


@click.command(epilog=f"Example: {NAME} check --online --config /etc/{NAME}/config.yaml")
@config_option
@click.option("--online", is_flag=True, help="Ask HubSpot, Kafka and the registry as well; changes nothing there.")
@json_option
def check(config: Path, *, online: bool, as_json: bool) -> None:
    """Validate the configuration and show its connectors.

    Everything that is wrong is reported at once, with its line and what to do. Exits with 2 then.

    With --online it also asks HubSpot (can the token be refreshed, are the four scopes granted, does each list exist
    and can it be kept), Kafka (do the topics exist, is none compacted) and the registry (has it our schemas, or could
    it take them). All problems are shown in a table. Exits with 1 then.
    """
    try:
        settings = load_checked(config)
    except ConfigurationError as error:
        if as_json:
            click.echo(json.dumps(_for_programs(None, error.problems), indent=2))
        else:
            click.echo(str(error), err=True)
        sys.exit(WRONG_CONFIGURATION)
    if online:
        ask(settings, lambda redactor: _check_online(settings, redactor, as_json=as_json))
    if as_json:
        click.echo(json.dumps(_for_programs(settings), indent=2))
        return
    Console().print(_connector_table(settings))
    click.echo(f"{config}: configuration is valid")


def _check_online(settings: Settings, redactor: Redactor, *, as_json: bool) -> int:
    questions = [partial(_ask_account, settings, name, redactor) for name in settings.accounts]
    questions += [partial(check_topics, settings), partial(check_schemas, settings)]
    with tables.waiting("Asking HubSpot, Kafka and the registry …"), ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        asked = [pool.submit(lambda question: list(question()), question) for question in questions]
        findings = [finding._replace(told=redactor.clean(finding.told)) for each in asked for finding in each.result()]
    problems = sum(finding.result == "problem" for finding in findings)
    if as_json:
        said = {**_for_programs(settings), "online": [finding._asdict() for finding in findings]}
        click.echo(json.dumps(said, indent=2))
    else:
        show_findings(findings)
        tables.say(f"{problems} problems" if problems != 1 else "1 problem")
    return 1 if problems else 0


def show_findings(findings: Iterable[Finding], *, err: bool = False) -> None:
    """Show what came of checks as a table on stdout, or stderr."""
    rows = [(each.check, each.place, f"{MARKS[each.result]} {each.told}", each.remedy) for each in findings]
    tables.show("check", "place", "result", "what to do", rows=rows, err=err)


def _ask_account(settings: Settings, name: str, redactor: Redactor) -> Iterator[Finding]:
    lists = {key: each.list_id for key, each in settings.connectors.items() if each.account == name}
    with clients.lists_client(settings, name, redactor) as client:
        yield from check_account(client, name, settings.accounts[name], lists)


def _for_programs(settings: Settings | None, problems: tuple[Problem, ...] = ()) -> dict[str, object]:
    connectors = [] if settings is None else _connectors(settings)
    return {"valid": not problems, "problems": [asdict(problem) for problem in problems], "connectors": connectors}


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
