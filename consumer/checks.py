"""What is asked of HubSpot, Kafka and the registry about a configuration, and what the answers mean; changes nothing.

The functions `check…` ask and yield findings; the functions `finding…` take answers and give findings.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Literal, NamedTuple

from consumer.avro import DEAD_LETTER_SCHEMA, RESULT_SCHEMA
from consumer.commands import clients
from consumer.errors import KafkaFailed
from consumer.hubspot import answers
from consumer.hubspot.lists_client import CallFailed, ContactList, ListsClient
from consumer.kafka.questions import Standing, TopicFacts, ask_schema, ask_topics
from consumer.outcomes import ListFacts
from consumer.settings import Account, Surroundings, Topics

SCOPES = ("crm.objects.contacts.read", "crm.objects.contacts.write", "crm.lists.read", "crm.lists.write")
"""What the app must be granted."""


class Finding(NamedTuple):
    """What came of one check: of what, at which place of the configuration. `unknown`: it could not be asked."""

    check: str
    place: str
    result: Literal["ok", "problem", "unknown"]
    told: str
    remedy: str = ""


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


def findings_of_topics(topics: Topics, facts: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    """Say which topics are missing or compacted. `facts` are of all that `topics` names."""
    for place, name in _topics(topics):
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


def check_account(client: ListsClient, name: str, account: Account, lists: Mapping[str, int]) -> Iterator[Finding]:
    """Ask HubSpot for a token, its scopes, and the list of each connector of the account."""
    place = f"accounts.{name}.refresh_token"
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
        yield check_list(client, key, list_id)


def check_list(client: ListsClient, connector: str, list_id: int) -> Finding:
    """Ask HubSpot for the list of a connector."""
    try:
        return finding_of_list(connector, client.get(list_id))
    except CallFailed as failed:
        told, remedy = f"{list_id}: {failed.told}", failed.remedy
        if failed.reason == "LIST_NOT_FOUND":
            remedy = _present_id(client, list_id) or remedy
    return Finding("list", f"connectors.{connector}.list_id", "problem", told, remedy)


def check_topics(settings: Surroundings) -> Iterator[Finding]:
    """Ask Kafka for the topics."""
    try:
        facts = ask_topics(clients.kafka_properties(settings), [name for _, name in _topics(settings.topics)])
    except KafkaFailed as error:
        remedy = "Check bootstrap.servers, and user and password, under kafka"
        yield Finding("brokers", "kafka.bootstrap.servers", "problem", str(error), remedy)
    else:
        yield from findings_of_topics(settings.topics, facts)


def check_schemas(settings: Surroundings) -> Iterator[Finding]:
    """Ask the registry for the schemas of what is written."""
    topics = settings.topics
    ours = {"results": (topics.results, RESULT_SCHEMA), "dead_letters": (topics.dead_letters, DEAD_LETTER_SCHEMA)}
    try:
        with clients.registry_client(settings) as client:
            for key, (topic, schema) in ours.items():
                subject = f"{topic}-value"
                yield finding_of_schema(f"topics.{key}", subject, *ask_schema(client, subject, schema.text))
    except clients.PropertiesRefused as error:
        yield Finding("schema", "schema_registry", "problem", str(error))


def _present_id(client: ListsClient, list_id: int) -> str | None:
    """Recognize an id of HubSpot's first API, which its pages still show; None if it is none."""
    try:
        present = client.present_id(list_id)
    except CallFailed:
        return None
    return None if present is None else f"Write list_id: {present}; {list_id} is the list's id in an older API"


def _topics(topics: Topics) -> Iterator[tuple[str, str]]:
    """Yield place and name of each topic."""
    for index, name in enumerate(topics.changes):
        yield f"topics.changes[{index}]", name
    yield "topics.results", topics.results
    yield "topics.dead_letters", topics.dead_letters
