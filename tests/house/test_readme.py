"""The README is complete and true, as far as a program can tell."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from consumer import avro
from consumer.cli import NAME, main
from consumer.errors import ConfigurationError
from consumer.hubspot import answers
from consumer.metrics import TABLE
from consumer.outcomes import DEAD_LETTER_REASONS
from consumer.secret import Secret
from consumer.settings import BASE_URL, Properties, Settings, load, rules
from tests.bench import report
from tests.bench.report import Results
from tests.house import examples
from tests.house.tree import PACKAGE, ROOT

README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
REQUIRED = "required"

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(rf"(?:^|[\s/]){NAME} +([a-z-].*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#:]+)\)")


def table(head: str) -> list[list[str]]:
    """Give the rows of the one table whose first line begins with the cells in `head`."""
    [start] = [match.end() for match in re.finditer(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\|\n", README, re.MULTILINE)]
    lines = README[start:].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in lines]


def spans(cell: str) -> list[str]:
    """Give the pieces of code in a cell."""
    return _SPAN.findall(cell)


def blocks(language: str) -> list[str]:
    """Give the fenced blocks of a language, without their indentation."""
    return [
        re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
        for indent, found, text in _FENCE.findall(README)
        if found == language
    ]


def code() -> Iterator[str]:
    """Yield every line of every block of commands, and every piece of code in the text."""
    for block in blocks("sh"):
        yield from (line.partition("#")[0] for line in re.sub(r"\\\n *", "", block).splitlines())
    yield from spans(_FENCE.sub("", README))


def commands(group: click.Group = main, place: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, by what is typed."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{place}{name} ")
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{place}{name}", command


def parse(line: list[str], command: click.Command = main, parent: click.Context | None = None) -> None:
    """Read what is typed as click does, and do nothing. Raises click's errors where it cannot be read."""
    name, *arguments = line
    if isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
        context = command.make_context(name, arguments, parent=parent)
        parse(arguments, command.commands[arguments[0]], context)
    else:
        with suppress(click.exceptions.Exit):  # --help prints and exits
            command.make_context(name, arguments, parent=parent)


def setting_keys(model: type[BaseModel] = Settings, place: str = "") -> Iterator[tuple[str, bool]]:
    """Yield each key that a file may hold, and whether it must."""
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        if entry := get_args(kind):
            kind = entry[-1]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from setting_keys(kind, f"{place}{name}.NAME." if entry else f"{place}{name}.")
        else:
            yield f"{place}{name}{'.*' if kind is Properties else ''}", field.is_required()


def minimal() -> dict[str, Any]:
    """Give a configuration with nothing in it that has a default."""
    account = {"client_id": "c", "client_secret": Secret("s"), "refresh_token": Secret("t"), "requests_per_10s": 9}
    return {
        "kafka": {"bootstrap.servers": "kafka:9092", "group.id": "g"},
        "accounts": {"NAME": account},
        "connectors": {"NAME": {"account": "NAME", "list_id": 1, "source": "audience:a"}},
    }


def at(place: str, value: object) -> dict[str, Any]:
    """Give the minimal configuration with `value` at `place`."""
    tree = minimal()
    *sections, key = place.removesuffix(".*").split(".")
    inner = tree
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[key] = value
    return tree


def avro_fields(schema: dict[str, Any], place: str = "") -> Iterator[str]:
    """Yield the path of every field that holds a value."""
    for field in schema["fields"]:
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        parts = [kind.get("items", kind) if isinstance(kind, dict) else {} for kind in kinds]
        records = [part for part in parts if part.get("type") == "record"]
        for record in records:
            yield from avro_fields(record, f"{place}{field['name']}.")
        if not records:
            yield f"{place}{field['name']}"


def test_every_setting_is_there_with_its_default() -> None:
    """A key of the configuration is in the table of settings, and the default it shows is the one that holds."""
    rows = {spans(key)[0]: default for key, default, *_ in table("key | default")}
    assert {key: default == REQUIRED for key, default in rows.items()} == dict(setting_keys())
    silent = Settings.model_validate(minimal()).model_dump()
    for key, default in rows.items():
        if default != REQUIRED:
            [shown] = spans(default)
            said = Settings.model_validate(at(key, YAML(typ="safe").load(shown)))
            assert said.model_dump() == silent, key


def test_every_refused_property_is_there(tmp_path: Path) -> None:
    """Who sets a property that the service decides is refused, and finds it in the README."""
    refused = [spans(name)[0] for name, _ in table("property | reason")]
    assert set(refused) == rules._DECIDED.keys()
    shortest = YAML(typ="safe").load(blocks("yaml")[0])
    for name in refused:
        text = json.dumps({**shortest, "kafka": {**shortest["kafka"], name: "x"}})
        file, environ = examples.put(text, tmp_path)
        with pytest.raises(ConfigurationError, match=f"kafka.{re.escape(name)}: is decided by the service"):
            load(file, environ)


def test_every_metric_is_there() -> None:
    """A metric is in the table with its type and its labels."""
    rows = table("name | type | labels")
    told = {
        spans(name)[0]: (kind, () if labels == "none" else tuple(labels.split(", "))) for name, kind, labels, _ in rows
    }
    assert told == {spec.name: (spec.kind, spec.labels) for spec in TABLE}


def test_every_command_is_there_with_its_options() -> None:
    """A command is in the table with each of its options."""
    told = {spans(command)[0]: set(spans(options)) for command, options, _ in table("command | options")}
    assert told == {
        name: {option.opts[-1] for option in command.params if isinstance(option, click.Option)}
        for name, command in commands()
    }


def test_every_command_line_can_be_typed() -> None:
    """A command line that is shown names a command and options that exist."""
    shown = [found for line in code() for found in _COMMAND.findall(line)]
    assert shown
    for line in shown:
        parse([NAME, *shlex.split(line)])


def test_every_environment_variable_is_there() -> None:
    """A variable that the program looks at is in the table."""
    options = (option for _, command in commands() for option in command.params)
    variables = {option.envvar for option in options if option.envvar} | {BASE_URL}
    assert {spans(variable)[0] for variable, _ in table("variable | meaning")} == variables


def test_every_reason_of_a_dead_letter_is_there() -> None:
    """A reason that a dead letter can bear is in the table."""
    assert [spans(reason)[0] for reason, _ in table("reason | why")] == list(DEAD_LETTER_REASONS)


def test_every_status_with_a_meaning_of_its_own_is_there() -> None:
    """A status that the service treats by itself is in the table of answers."""
    told = {int(status) for row in table("answer | meaning") for status in re.findall(r"^\d{3}|(?<=, )\d{3}", row[0])}
    assert told >= answers._PASSING.keys() | answers._REFUSALS.keys() | {429}


@pytest.mark.parametrize(
    ("schema", "head"),
    [
        (avro.CHANGE_SCHEMA, "event field"),
        (avro.RESULT_SCHEMA, "result field"),
        (avro.DEAD_LETTER_SCHEMA, "dead letter field"),
    ],
)
def test_every_field_of_the_topics_is_there(schema: avro.Schema, head: str) -> None:
    """A field of an event, a result or a dead letter is in the table of its topic."""
    told = [field for fields, _ in table(f"{head} | meaning") for field in spans(fields)]
    assert sorted(told) == sorted(avro_fields(json.loads(schema.text)))


def test_every_make_target_is_there() -> None:
    """What a developer can type is in the README and in `make help`, and what is shown can be typed."""
    [phony] = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    targets = set(phony.split())
    assert {spans(target)[0].removeprefix("make ") for target, _ in table("target | what")} == targets
    assert set(re.findall(r"^([a-z-]+):.*  ## ", MAKEFILE, re.MULTILINE)) == targets
    assert {found for line in code() for found in re.findall(r"^make ([a-z-]+)", line)} <= targets


def test_every_module_is_in_the_layout() -> None:
    """A module of the package is in the table of modules, itself or with its folder, and nothing else is."""
    package = ROOT / PACKAGE
    told = [place for row in table("modules | what") for place in spans(row[0])]
    assert [place for place in told if not (package / place).exists()] == []
    files = {file.relative_to(package).as_posix() for file in package.rglob("*.py") if file.read_text("utf-8").strip()}
    unknown = {file for file in files - {"__init__.py"} if not file.startswith(tuple(told))}
    assert unknown == set()


def test_every_folder_of_tests_is_there() -> None:
    """A folder of tests is in the table of tests."""
    told = {spans(folder)[0] for folder, _ in table("tests in | are about")}
    folders = {f"{file.parent.relative_to(ROOT).as_posix()}/" for file in (ROOT / "tests").rglob("*.py")}
    assert folders == told


def test_the_figures_are_those_that_were_measured() -> None:
    """The section of figures says what `make bench` has kept, and nothing else."""
    assert report.found(README) == report.section(Results.read(ROOT / "tests" / "bench" / "results.json"))


def test_every_link_leads_somewhere() -> None:
    """A file that the README refers to is in the tree."""
    links = _LINK.findall(README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("text", [*blocks("yaml"), (ROOT / "deploy" / "example.yaml").read_text("utf-8")])
def test_every_example_of_a_configuration_is_valid(text: str, tmp_path: Path) -> None:
    """Whoever begins with an example begins with a file that `check` accepts."""
    assert load(*examples.put(text, tmp_path)).connectors


def test_the_full_example_says_everything_and_the_defaults() -> None:
    """The example has every setting, each with its default where it has one; what is unset has no line."""
    example = YAML(typ="safe").load((ROOT / "deploy" / "example.yaml").read_text("utf-8"))
    defaults = {spans(key)[0]: default for key, default, *_ in table("key | default") if default != "`null`"}
    names = {"accounts": "acme", "connectors": "vip"}
    for key, default in defaults.items():
        value = example
        for part in key.removesuffix(".*").replace("NAME", names.get(key.partition(".")[0], "")).split("."):
            assert part in value, key
            value = value[part]
        if default != REQUIRED:
            assert value == YAML(typ="safe").load(spans(default)[0]), key
