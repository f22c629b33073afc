"""The rules that one value alone cannot break.

They look at the tree, not at the models, so that they speak even when a value elsewhere is wrong; what is not of the
right type is left to the models.
"""

from collections.abc import Iterator, Mapping

from consumer.secret import Secret
from consumer.settings.model import Topics
from consumer.settings.references import UNRESOLVED
from consumer.settings.values import Finding, Place, place_text

_OFFSETS = "it stores an offset once its changes have an outcome"
_DECIDED = {
    "enable.auto.commit": _OFFSETS,
    "enable.auto.offset.store": _OFFSETS,
    "partition.assignment.strategy": "it relies on cooperative-sticky",
    "enable.partition.eof": "it finds the end of a partition itself",
}
_REGISTRY_SCHEMES = ("http://", "https://", "mock://")


def check(tree: Mapping[str, object]) -> Iterator[Finding]:
    """Yield what is wrong between the values of `tree`, whose references are resolved."""
    if (kafka := _section(tree, "kafka")) is not None:
        yield from _kafka(kafka)
    if (registry := _section(tree, "schema_registry")) is not None:
        yield from _registry(registry)
    yield from _topics(_section(tree, "topics") or {})
    yield from _connectors(_section(tree, "connectors") or {}, _section(tree, "accounts"))


def _section(tree: Mapping[str, object], name: str) -> dict[str, object] | None:
    section = tree.get(name)
    if not isinstance(section, dict):
        return None
    return {key: value.reveal() if isinstance(value, Secret) else value for key, value in section.items()}


def _kafka(kafka: Mapping[str, object]) -> Iterator[Finding]:
    for name, reason in _DECIDED.items():
        if name in kafka:
            yield Finding(("kafka", name), f"is decided by the service: {reason}", "Remove it")
    yield from _required(kafka, ("kafka", "bootstrap.servers"), "kafka:9092")
    yield from _required(kafka, ("kafka", "group.id"), "hubspot-list-sync")
    if kafka.get("auto.offset.reset", "earliest") not in ("earliest", "latest"):
        yield Finding(("kafka", "auto.offset.reset"), "must be earliest or latest", "Write earliest, or remove it")


def _registry(registry: Mapping[str, object]) -> Iterator[Finding]:
    place = ("schema_registry", "url")
    yield from _required(registry, place, "http://schema-registry:8081")
    url = registry.get("url", UNRESOLVED)
    if url is UNRESOLVED or not url:
        return
    if not isinstance(url, str) or not all(part.strip().startswith(_REGISTRY_SCHEMES) for part in url.split(",")):
        yield Finding(place, "must be the URL of a Schema Registry", "Write http://HOST:PORT or https://HOST:PORT")
    elif "@" in url:
        yield Finding(place, "must not hold credentials", "Move them to basic.auth.user.info, read from a file")


def _required(section: Mapping[str, object], place: tuple[str, str], example: str) -> Iterator[Finding]:
    value = section.get(place[1])
    if value is None or value == "":
        yield Finding(place, "is missing", f"Add `{place[1]}: {example}`")
    elif value is not UNRESOLVED and not isinstance(value, str):
        yield Finding(place, "must be text", f"Write it like `{place[1]}: {example}`")


def _topics(topics: Mapping[str, object]) -> Iterator[Finding]:
    said = {**Topics().model_dump(), **topics}
    changes = said["changes"] if isinstance(said["changes"], list | tuple) else ()
    names: list[tuple[Place, object]] = [(("topics", "changes", index), name) for index, name in enumerate(changes)]
    names += [(("topics", key), said[key]) for key in ("results", "dead_letters")]
    first: dict[str, Place] = {}
    for place, name in names:
        if isinstance(name, str) and (other := first.setdefault(name, place)) != place:
            yield Finding(place, f"is the same topic as {place_text(other)}", "Give each its own topic")


def _connectors(connectors: Mapping[str, object], accounts: Mapping[str, object] | None) -> Iterator[Finding]:
    lists: dict[tuple[str, str], str] = {}
    for name, connector in connectors.items():
        if not isinstance(connector, dict):
            continue
        place = ("connectors", name)
        account = connector.get("account")
        if accounts and isinstance(account, str) and account not in accounts:
            yield Finding((*place, "account"), "is not among accounts", f"Name one of: {', '.join(accounts)}")
        if isinstance(account, str) and isinstance(list_id := connector.get("list_id"), int | str):
            owner = lists.setdefault((account, str(list_id).lstrip("0")), name)
            if owner != name:
                rule = f"is the list of connector {owner} already, in the same account"
                yield Finding((*place, "list_id"), rule, "Give it another list, or remove one of the two connectors")
