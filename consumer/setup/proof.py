"""What is known of a connector before it is saved: every check there is, and the request that it would make."""

from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from consumer.checks import Finding, check_account, check_schemas, check_topics
from consumer.errors import ConsumerError
from consumer.hubspot.client import LISTS
from consumer.hubspot.lists_client import ListsClient
from consumer.kafka.recent import Looked
from consumer.settings import Account, Surroundings
from consumer.settings.draft import Draft
from consumer.setup.words import Choice, Preview, Proof
from consumer.sightings import LastRequest


class Asked(NamedTuple):
    """What is asked of HubSpot, of Kafka and the registry, and of the log; all three at the same time.

    `last_request` raises ConsumerError.
    """

    account: Callable[[], Iterable[Finding]]
    kafka: Callable[[], Iterable[Finding]]
    last_request: Callable[[], Looked[LastRequest]]


def of_account(client: ListsClient, account: Account, choice: Choice) -> Iterable[Finding]:
    """Ask HubSpot for the account's token, its scopes and the list."""
    return list(check_account(client, choice.account, account, {choice.connector: choice.list_id}))


def of_kafka(around: Surroundings) -> Iterable[Finding]:
    """Ask Kafka for the topics and the registry for the schemas."""
    return [*check_topics(around), *check_schemas(around)]


def prove(
    choice: Choice, changed: Draft, secrets: Container[Path | None], asked: Asked, clean: Callable[[str], str]
) -> Proof:
    """Check all that can be checked of a choice.

    `changed` is the file as it is to be, `secrets` are the files that will be written with it, `clean` hides secrets.
    """
    with ThreadPoolExecutor(len(asked)) as pool:
        account, kafka = pool.submit(asked.account), pool.submit(asked.kafka)
        last_request = pool.submit(asked.last_request)
        findings = [*account.result(), *of_file(changed, secrets), *kafka.result()]
        preview = None
        try:
            looked = last_request.result()
        except ConsumerError as error:
            findings.append(
                Finding("source", f"connectors.{choice.connector}.source", "unknown", f"not asked: {error}")
            )
        else:
            preview = preview_of(choice, looked.found)
            findings.append(finding_of_source(choice, preview, looked.events))
    cleaned = tuple(each._replace(told=clean(each.told)) for each in findings)
    good = all(each.result != "problem" for each in cleaned)
    return Proof(cleaned, preview, changed.diff(), good)


def of_file(changed: Draft, secrets: Container[Path | None]) -> Iterator[Finding]:
    """Say whether the file will be valid. A secret that is not to be read on this machine is no problem of the file.

    `secrets` are the files that will be written with it: they will be read.
    """
    problems = changed.check(changed.unreadable)
    for each in problems:
        yield Finding("file", each.place, "problem", each.rule, each.remedy)
    if not problems:
        yield Finding("file", str(changed.path), "ok", "it will be valid, and no other connector has this list")
    for account, key in sorted(changed.unreadable):
        if _file(changed, account, key) in secrets:
            continue
        remedy = "All is well if it is there where the service runs"
        yield Finding("file", f"accounts.{account}.{key}", "unknown", "it cannot be read on this machine", remedy)


def _file(changed: Draft, account: str, key: str) -> Path | None:
    its = changed.accounts.get(account)
    if its is None:
        return None
    return its.client_secret.file if key == "client_secret" else its.refresh_token.file


def preview_of(choice: Choice, last: LastRequest) -> Preview:
    """Show the request."""
    path = f"{LISTS}/{choice.list_id}/memberships/add-and-remove"
    return Preview(path, last.adds, last.removes, last.events, last.without, last.invalid)


def finding_of_source(choice: Choice, preview: Preview, looked_at: int) -> Finding:
    """Say what the source's last events tell: that there are any, and that the slot holds record ids."""
    place = f"connectors.{choice.connector}.source"
    if not preview.events:
        told = f"none of the {looked_at:,} events that were looked at is of {choice.source}"
        remedy = "See that its id is right; a new audience or journey has no events yet"
        return Finding("source", place, "unknown", told, remedy)
    place = f"connectors.{choice.connector}.identifier"
    usable = preview.events - preview.without - preview.invalid
    told = f"{usable:,} of its last {preview.events:,} events carry a record id in slot {choice.identifier}"
    if usable:
        return Finding("source", place, "ok", told)
    if preview.invalid:
        told += f"; {preview.invalid:,} carry something else there"
    remedy = "Choose the slot of the HubSpot Contact Record ID"
    return Finding("source", place, "problem", told, remedy)
