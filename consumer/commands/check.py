"""`check`: whether the configuration is right and, with --online, whether all that it names is there.

What is asked and what the answers mean are apart: the functions `finding…` take answers and give findings.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from consumer.avro import DEAD_LETTER_SCHEMA, RESULT_SCHEMA
from consumer.commands import clients, tables
from consumer.commands.common import NAME, WRONG_CONFIGURATION, ask, config_option, json_option, load_checked
from consumer.errors import ConfigurationError, KafkaFailed, Problem
from consumer.hubspot import answers
from consumer.hubspot.lists_client import CallFailed, ContactList, ListsClient
from consumer.kafka.questions import Standing, TopicFacts, ask_schema, ask_topics
from consumer.outcomes import ListFacts
from consumer.secret import Redactor
from consumer.settings import Settings

SCOPES = ("crm.objects.contacts.read", "crm.objects.contacts.write", "crm.lists.read", "crm.lists.write")
"""What the app must be granted."""

MOST_AT_ONCE = 8  # accounts, Kafka and registry are asked at the same time: each may be slow
MARKS = {"ok": "✓", "problem": "✗", "unknown": "?"}


class Finding(NamedTuple):
    """What came of one check: of what, at which place of the configuration. `unknown`: it could not be asked."""

    check: str
    place: str
    result: Literal["ok", "problem", "unknown"]
    told: str
    remedy: str = ""


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


def finding_of_list(connector: str, found: ContactList) -> Finding:
    """Say whether a connector can keep the list that it names."""
    place = f"connectors.{connector}.list_id"
    if found.unusable is not None:
        verdict = answers.unusable_list(ListFacts(found.name, found.unusable))
        told, _, remedy = (verdict.details.message or found.unusable).partition(": ")
        return Finding("list", place, "problem", f"{found.list_id}, {found.name}: {told}", remedy)
    size = "" if found.size is None else f", {found.size} contacts"
    return Finding("list", place, "ok", f"{found.list_id}, {found.name}{size}")


def finding_of_scopes(account: str, granted: AbstractSet[str]) -> Finding:
    """Say which of the four scopes are missing."""
    missing = [scope for scope in SCOPES if scope not in granted]
    if missing:
        remedy = "Add them to the app and authorize the account anew"
        return Finding("scopes", f"accounts.{account}", "problem", f"not granted: {', '.join(missing)}", remedy)
    return Finding("scopes", f"accounts.{account}", "ok", "all four are granted")


def findings_of_topics(settings: Settings, facts: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    """Say which topics are missing or compacted. `facts` are of all topics that the settings name."""
    for place, name in _topics(settings):
        fact = facts[name]
        if not fact.exists:
            told, remedy = f"{name} is not there, or this user may not see it", "Create it with cleanup.policy=delete"
            yield Finding("topic", place, "problem", told, remedy)
        elif fact.cleanup is None:
            told = f"{name} is there; its cleanup.policy could not be asked ({fact.problem})"
            yield Finding("topic", place, "unknown", told, "See that it is delete, or let this user describe the topic")
        elif "compact" in fact.cleanup:
            told = f"{name} is compacted (cleanup.policy={fact.cleanup}): one record erases another"
            yield Finding("topic", place, "problem", told, "Set cleanup.policy=delete")
        else:
            yield Finding("topic", place, "ok", f"{name} is there, cleanup.policy={fact.cleanup}")


def finding_of_schema(place: str, subject: str, standing: Standing, more: str) -> Finding:
    """Say whether the registry has, or could take, the schema of what is written to a topic."""
    match standing:
        case Standing.REGISTERED:
            return Finding("schema", place, "ok", f"{subject} is registered: {more}")
        case Standing.FITS:
            return Finding("schema", place, "ok", f"{subject} will be registered when the service starts")
        case Standing.CONFLICTS:
            told = f"{subject} has a schema that ours is not compatible with"
            return Finding("schema", place, "problem", told, "Relax the subject's compatibility, or name another topic")
        case Standing.UNREACHABLE:
            told = f"the registry gave no usable answer about {subject}: {more}"
            return Finding("schema", place, "problem", told, "Check schema_registry.url and its credentials")


def _check_online(settings: Settings, redactor: Redactor, *, as_json: bool) -> int:
    questions = [partial(_ask_account, settings, name, redactor) for name in settings.accounts]
    questions += [partial(_ask_kafka, settings), partial(_ask_registry, settings)]
    with tables.waiting("Asking HubSpot, Kafka and the registry …"), ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        asked = [pool.submit(lambda question: list(question()), question) for question in questions]
        findings = [finding._replace(told=redactor.clean(finding.told)) for each in asked for finding in each.result()]
    problems = sum(finding.result == "problem" for finding in findings)
    if as_json:
        said = {**_for_programs(settings), "online": [finding._asdict() for finding in findings]}
        click.echo(json.dumps(said, indent=2))
    else:
        rows = [(each.check, each.place, f"{MARKS[each.result]} {each.told}", each.remedy) for each in findings]
        tables.show("check", "place", "result", "what to do", rows=rows)
        tables.say(f"{problems} problems" if problems != 1 else "1 problem")
    return 1 if problems else 0


def _ask_account(settings: Settings, name: str, redactor: Redactor) -> Iterator[Finding]:
    account = settings.accounts[name]
    lists = {key: each.list_id for key, each in settings.connectors.items() if each.account == name}
    place = f"accounts.{name}.refresh_token"
    with clients.lists_client(settings, name, redactor) as client:
        try:
            granted = client.scopes(account.client_id, account.client_secret)
        except CallFailed as failed:
            yield Finding("token", place, "problem", failed.told, failed.remedy)
            why = "not asked: there is no access token"
            yield from (Finding("list", f"connectors.{key}.list_id", "unknown", why) for key in lists)
            return
        yield Finding("token", place, "ok", "HubSpot gives access tokens for it")
        yield finding_of_scopes(name, granted)
        for key, list_id in lists.items():
            yield _ask_list(client, key, list_id)


def _ask_list(client: ListsClient, connector: str, list_id: int) -> Finding:
    try:
        return finding_of_list(connector, client.get(list_id))
    except CallFailed as failed:
        told, remedy = f"{list_id}: {failed.told}", failed.remedy
        if failed.reason == "LIST_NOT_FOUND":
            remedy = _present_id(client, list_id) or remedy
    return Finding("list", f"connectors.{connector}.list_id", "problem", told, remedy)


def _present_id(client: ListsClient, list_id: int) -> str | None:
    """Recognize an id of HubSpot's first API, which its pages still show; None if it is none."""
    try:
        present = client.present_id(list_id)
    except CallFailed:
        return None
    return None if present is None else f"Write list_id: {present}; {list_id} is the list's id in an older API"


def _ask_kafka(settings: Settings) -> Iterator[Finding]:
    try:
        facts = ask_topics(clients.kafka_properties(settings), [name for _, name in _topics(settings)])
    except KafkaFailed as error:
        remedy = "Check bootstrap.servers, and user and password, under kafka"
        yield Finding("brokers", "kafka.bootstrap.servers", "problem", str(error), remedy)
    else:
        yield from findings_of_topics(settings, facts)


def _ask_registry(settings: Settings) -> Iterator[Finding]:
    topics = settings.topics
    ours = {"results": (topics.results, RESULT_SCHEMA), "dead_letters": (topics.dead_letters, DEAD_LETTER_SCHEMA)}
    try:
        with clients.registry_client(settings) as client:
            for key, (topic, schema) in ours.items():
                subject = f"{topic}-value"
                yield finding_of_schema(f"topics.{key}", subject, *ask_schema(client, subject, schema.text))
    except clients.PropertiesRefused as error:
        yield Finding("schema", "schema_registry", "problem", str(error))


def _topics(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield place and name of each topic."""
    for index, name in enumerate(settings.topics.changes):
        yield f"topics.changes[{index}]", name
    yield "topics.results", settings.topics.results
    yield "topics.dead_letters", settings.topics.dead_letters


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
