"""Who may import whom: down only, and never in a circle.

What decides knows no clock, no thread and no client; what talks to a client decides nothing.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from typing import NamedTuple

import pytest

from tests.house.tree import PACKAGE, modules

MODULES = modules()

ANY = frozenset(sys.stdlib_module_names)
# What the standard library has without clock, chance, thread, file, socket or log.
PLAIN = frozenset(
    {"array", "bisect", "collections", "contextlib", "dataclasses", "enum", "functools", "heapq", "itertools"}
)
PLAIN |= {"json", "math", "operator", "re", "struct", "types", "typing"}


class Layer(NamedTuple):
    """The modules of a layer (a package stands for all in it), the layers they may import, their standard library."""

    modules: str
    below: str
    library: frozenset[str]


# From the bottom to the top. A module that is not here itself belongs where its package belongs.
LAYERS = {
    "words": Layer("changes outcomes reads errors", "", PLAIN),
    "decisions": Layer(
        "accounts doubts drift flight guard history hubspot.answers intents list_sync not_found offsets packed"
        " partitions pursuit rate_limit retry router sightings summary targets window",
        "words",
        PLAIN,
    ),
    "edges": Layer(
        "admin avro decoder encoder files histogram hubspot kafka lending log metrics permit ports secret settings"
        " status templating web",
        "words decisions version",
        ANY,
    ),
    "service": Layer("audit delivery intake lane lender loop replay", "words decisions edges version", PLAIN),
    "threads": Layer("auditor", "words decisions edges service", ANY),
    "assembly": Layer("app checks commands.clients", "words decisions edges service threads version", ANY),
    "setup": Layer("setup", "words decisions edges service threads assembly version", ANY),
    "demo": Layer("demo", "words edges assembly simulator", ANY),
    "commands": Layer("cli __main__ commands", "words decisions edges service assembly setup demo version", ANY),
    "simulator": Layer("simulator", "", ANY),
    "version": Layer("", "", ANY),  # the package itself, which says its version and nothing else
}

# The modules that may import a library; for a type as well. A library without a row is imported by nobody.
LIBRARIES = {
    "click": "cli commands",
    "confluent_kafka": "kafka app commands.clients demo",
    "fastavro": "avro",
    "httpcore": "hubspot.network",
    "httpx": "hubspot simulator.transport",
    "jinja2": "simulator.pages templating",
    "markupsafe": "templating",
    "prometheus_client": "metrics histogram admin app",
    "pydantic": "settings secret simulator.bodies",
    "pydantic_core": "settings secret",
    "rich": "commands demo",
    "ruamel": "settings.document settings.editing settings.scalars",
    "starlette": "admin setup.connector_pages setup.pages setup.security setup.site simulator.server web",
    "structlog": "log",
    "uvicorn": "web simulator.server",
}

# The modules that may make what holds a connection, a thread or a socket.
MAKERS = {
    "consumer.admin.AdminServer": "app",
    "consumer.auditor.Auditor": "app",
    "consumer.hubspot.client.HubSpotClient": "app commands.clients",
    "consumer.hubspot.lists_client.ListsClient": "commands.clients",
    "consumer.hubspot.oauth.OAuth": "app commands.clients",
    "consumer.hubspot.workers.Workers": "app",
    "consumer.kafka.embedded.EmbeddedKafka": "demo",
    "consumer.kafka.reader.TopicReader": "app commands.clients",
    "consumer.kafka.registry.SchemaRegistry": "app commands.clients demo",
    "consumer.kafka.registry.new_client": "app commands.clients demo",
    "consumer.kafka.replay.ReplaySource": "app",
    "consumer.kafka.sink.KafkaSink": "app",
    "consumer.kafka.source.KafkaSource": "app",
    "consumer.setup.server.SetupServer": "commands.setup",
    "consumer.setup.session.Session": "commands.setup",
    "consumer.simulator.server.SimulatorServer": "demo",
    "consumer.web.WebServer": "admin setup.server",
}

BUILT_IN_EDGES = {"open", "print", "input"}


def _is_in(module: str, names: str) -> bool:
    """Tell whether a module is one of `names`, or below one that is a package."""
    return any(f"{module}.".startswith(f"{PACKAGE}.{name}.") for name in names.split())


def _layer(module: str) -> str:
    """Give the layer whose row names the module or else the nearest package around it; empty if no row does."""
    if module == PACKAGE:
        return "version"
    places = {f"{PACKAGE}.{name}": layer for layer, row in LAYERS.items() for name in row.modules.split()}
    while module and module not in places:
        module = module.rpartition(".")[0]
    return places.get(module, "")


@cache
def _imported(module: str) -> list[tuple[str, str, str]]:
    """Give for every import, wherever in the module: the name it has there, the module imported, and what of it."""
    found = []
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            found += [(alias.asname or alias.name, alias.name, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written in full, from {PACKAGE} on"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.append((alias.asname or alias.name, inner if inner in MODULES else str(node.module), inner))
    return found


def _imports(module: str) -> set[str]:
    return {imported for _, imported, _ in _imported(module)}


def _ours(module: str) -> set[str]:
    return {each for each in _imports(module) if each in MODULES}


def _roots(module: str) -> set[str]:
    return {each.partition(".")[0] for each in _imports(module)}


def _calls(module: str) -> Iterator[str]:
    """Yield the full name of all that the module calls, as far as its imports tell."""
    names = {name: full for name, _, full in _imported(module)}
    for node in ast.walk(MODULES[module]):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                yield names.get(name, name)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)):
                yield f"{names.get(name, name)}.{attribute}"


def test_every_module_has_its_layer() -> None:
    """Whoever adds a module says in LAYERS where it stands."""
    assert [module for module in MODULES if not _layer(module)] == []


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module: str) -> None:
    """A module imports its own layer and the layers below it, never one above."""
    layer = _layer(module)
    allowed = {layer, *LAYERS[layer].below.split()}
    assert {each: _layer(each) for each in _ours(module) if _layer(each) not in allowed} == {}


def test_imports_make_no_circle() -> None:
    """No module needs itself, by whatever way."""
    graph = {module: _ours(module) - {module} for module in MODULES}
    assert set(TopologicalSorter(graph).static_order()) == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_what_decides_knows_no_clock_thread_or_file(module: str) -> None:
    """Words, decisions and the service's loop take from the standard library only what is plain computing."""
    allowed = LAYERS[_layer(module)].library
    assert (_roots(module) & ANY) - allowed == set()
    if allowed is PLAIN:
        assert BUILT_IN_EDGES & set(_calls(module)) == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_library_is_known_to_its_edge_alone(module: str) -> None:
    """Whoever replaces a library finds all that knows it in one row."""
    libraries = _roots(module) - ANY - {PACKAGE}
    assert {each for each in libraries if not _is_in(module, LIBRARIES.get(each, ""))} == set()


@pytest.mark.parametrize("module", MODULES)
def test_only_the_assembly_makes_what_holds_connections(module: str) -> None:
    """Clients, servers and threads come into being in one place, so that a test can put others there."""
    made = set(_calls(module)) & MAKERS.keys()
    assert {each for each in made if not _is_in(module, MAKERS[each])} == set()


def test_every_maker_is_there_and_used() -> None:
    """The table of makers names what the program really makes."""
    called = {call for module in MODULES for call in _calls(module)}
    assert MAKERS.keys() - called == set()


def test_nothing_but_the_demo_knows_the_simulator() -> None:
    """The service cannot come to depend on the HubSpot that stands in for the real one."""
    knows = {module for module in MODULES if any(_is_in(each, "simulator") for each in _imports(module))}
    assert {module for module in knows if not _is_in(module, "demo simulator")} == set()
