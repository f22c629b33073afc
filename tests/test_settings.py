"""The configuration file: what it may say, what holds where it is silent, and what is said about each mistake."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from consumer.errors import ConfigurationError, Problem
from consumer.secret import HIDDEN
from consumer.settings import Address, Properties, Settings, Source, load
from consumer.settings.values import BaseUrl, Duration

SHORT = """\
kafka:
  bootstrap.servers: kafka:9092
  group.id: hubspot-list-sync
accounts:
  acme:
    client_id: 11111111-2222-3333-4444-555555555555
    client_secret: {file: client-secret}
    refresh_token: {env: REFRESH_TOKEN}
    requests_per_10s: 100
connectors:
  vip:
    account: acme
    list_id: 4711
    source: audience:vip
"""
# What the design says holds where the file is silent.
DEFAULTS = """\
    identifier: 2006
    enabled: true
schema_registry:
  url: http://schema-registry:8081
topics:
  changes: [journey.membership]
  results: hubspot.membership.results
  dead_letters: hubspot.membership.dead-letters
window:
  max_age: 30s
  max_contacts: 1000
hubspot:
  base_url: https://api.hubapi.com
  timeout: 30s
  settle: 120s
limits:
  max_pending_contacts: 1000000
guard:
  above: 1000
  within: 1h
retry:
  give_up_after: 24h
not_found:
  retries: 3
  over: 1h
admin:
  address: 0.0.0.0:9108
shutdown:
  timeout: 25s
"""
FILE_SECRET = "app-secret-in-a-file"
ENVIRON = {"REFRESH_TOKEN": "refresh-token-in-the-environment", "PASSWORD": "kafka-password", "BLANK": " "}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the files that configurations of these tests refer to."""
    (tmp_path / "client-secret").write_text(f"{FILE_SECRET}\n")
    (tmp_path / "blank").write_text(" \n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    return tmp_path


def read(folder: Path, text: str, environ: Mapping[str, str] = ENVIRON) -> Settings:
    """Load `text` as a configuration file."""
    file = folder / "config.yaml"
    file.write_text(text)
    return load(file, environ)


def problems(folder: Path, text: str, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    """Return the problems as text, without the folder."""
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text, environ)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_everything_but_kafka_accounts_and_connectors_has_the_default_of_the_design(folder: Path) -> None:
    """A file that leaves out what has a default means the same as one that writes the defaults down."""
    short, full = read(folder, SHORT), read(folder, SHORT + DEFAULTS)
    assert short.model_dump() == full.model_dump()
    assert short.kafka["auto.offset.reset"] == "earliest"
    assert (short.window.max_age, short.retry.give_up_after, short.shutdown.timeout) == (30.0, 86_400.0, 25.0)
    assert (short.hubspot.timeout, short.hubspot.settle) == (30.0, 120.0)
    assert (short.not_found.retries, short.not_found.over) == (3, 3600.0)
    assert (short.admin.host, short.admin.port) == ("0.0.0.0", 9108)  # noqa: S104 - the design's default
    assert short.connectors["vip"].identifier == "2006"


def test_a_source_is_a_value_and_prints_as_it_is_written(folder: Path) -> None:
    """A connector's source can be looked up by, and shown as it stands in the file, colons in its id included."""
    settings = read(folder, SHORT.replace("audience:vip", "journey:a:b"))
    assert settings.connectors["vip"].source == Source("JOURNEY", "a:b")
    assert {Source("JOURNEY", "a:b"): 1}[settings.connectors["vip"].source] == 1
    assert str(settings.connectors["vip"].source) == "journey:a:b"


def test_the_guard_is_off_unless_it_is_given_a_share(folder: Path) -> None:
    """Nothing is ever held unless somebody wants it; then the share is in whole percents."""
    assert read(folder, SHORT).guard.max_removed_share is None
    guard = read(folder, SHORT + "guard: {max_removed_share: 50%}\n").guard
    assert (guard.max_removed_share, guard.above, guard.within) == (50, 1000, 3600.0)


def test_settings_cannot_be_changed(folder: Path) -> None:
    """What was checked at start stays what it was."""
    settings = read(folder, SHORT)
    with pytest.raises(ValidationError):
        settings.window.max_contacts = 5  # type: ignore[misc]  # what is tested


def test_any_value_may_come_from_a_file_or_the_environment(folder: Path) -> None:
    """Numbers, switches and items of a list are read from elsewhere like secrets are."""
    (folder / "list").write_text("4712\n")
    text = SHORT.replace("4711", "{file: list}\n    enabled: {env: ON}") + "topics: {changes: [{env: TOPIC}]}\n"
    settings = read(folder, text, {**ENVIRON, "ON": "false", "TOPIC": "t"})
    assert (settings.connectors["vip"].list_id, settings.connectors["vip"].enabled) == (4712, False)
    assert settings.topics.changes == ("t",)


def test_paths_start_at_the_folder_of_the_file_unless_they_are_absolute(folder: Path) -> None:
    """A configuration can be moved together with the files beside it."""
    absolute = read(folder, SHORT.replace("{file: client-secret}", f"{{file: {folder}/client-secret}}"))
    for settings in (read(folder, SHORT), absolute):
        secret = settings.accounts["acme"].client_secret
        assert (secret.reveal(), secret.place) == (FILE_SECRET, f"file {folder}/client-secret")


def test_an_account_or_connector_may_be_called_file_or_env(folder: Path) -> None:
    """A name that looks like the key of a reference is still a name."""
    text = SHORT.replace("  acme:", "  env:").replace("account: acme", "account: env").replace("  vip:", "  file:")
    assert list(read(folder, text).accounts) == ["env"]


def test_the_environment_overrides_the_base_url(folder: Path) -> None:
    """HUBSPOT_BASE_URL wins over the file; empty it means nothing."""
    text = SHORT + "hubspot: {base_url: https://eu.hubapi.com/}\n"
    override = {**ENVIRON, "HUBSPOT_BASE_URL": "http://127.0.0.1:8080"}
    assert read(folder, text, override).hubspot.base_url == "http://127.0.0.1:8080"
    assert read(folder, SHORT, override).hubspot.base_url == "http://127.0.0.1:8080"
    assert read(folder, text, {**ENVIRON, "HUBSPOT_BASE_URL": ""}).hubspot.base_url == "https://eu.hubapi.com"
    wrong = problems(folder, text, {**ENVIRON, "HUBSPOT_BASE_URL": "api.hubapi.com"})
    assert wrong == ["config.yaml: HUBSPOT_BASE_URL: must be a URL. Write it as https://HOST or https://HOST:PORT."]


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.8.8.8", "http://[::1]:80", "https://h.example:8443"])
def test_https_and_loopback_are_taken(url: str) -> None:
    """Secrets go to https, or stay on this machine."""
    assert TypeAdapter[str](BaseUrl).validate_python(url + "/") == url


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://api.hubapi.com",
            "http://10.0.0.1",
            "http://localhost.example",
            "https://",
            "ftp://localhost",
            "https://h:99999",
        ),
        *("https://h/path", "https://h?q", "https://h#f", "https://user:word@h", "https://h h", "https://[::1"),
    ],
)
def test_other_base_urls_are_refused(url: str) -> None:
    """A base URL is scheme, host and port, and never plain http to another machine."""
    with pytest.raises(ValidationError):
        TypeAdapter[str](BaseUrl).validate_python(url)


@given(count=st.integers(0, 999_999_999), unit=st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_durations_become_seconds(count: int, unit: str) -> None:
    """A duration in any unit means the seconds it says, and can be had back from them."""
    seconds = TypeAdapter[float](Duration).validate_python(f"{count}{unit}")
    in_unit = seconds / {"ms": 1 / 1000, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert round(in_unit) == count
    assert in_unit == pytest.approx(count)


@given(text=st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.from_regex(r"\A-?\d+ ?\w*\Z")))
def test_what_is_no_duration_is_refused(text: object) -> None:
    """A number without a unit is never guessed at; nothing but a ValidationError comes out."""
    units = ("ms", "s", "m", "h", "d")
    number = str(text)[: -2 if str(text).endswith("ms") else -1]
    if str(text).endswith(units) and number.isascii() and number.isdigit():
        return
    with pytest.raises(ValidationError):
        TypeAdapter[float](Duration).validate_python(text)


WHOLE = "must be a whole number. Write its digits only."
SHARE = "must be a share from 1% to 100%. Write a whole number and %, such as 50%."
DURATION = "must be a duration. Write a whole number and its unit: 500ms, 30s, 5m, 1h, 1d."
MAPPING = "must be a mapping. Write `key: value` lines below it, indented."
TOPIC = "must be the name of a Kafka topic. Use letters, digits, `_`, `-` and `.`, 249 characters at most."
TEXT = "must be text. Write one text, in quotes if it looks like a number."
ONE_VALUE = "must be one value. Write text, a number, true or false."
EMPTY = "is empty. Give it a value, or remove the line."
NOTHING = "has nothing in it. Write at least one entry."
ADDRESS = "must be an address to listen on. Write HOST:PORT, such as 0.0.0.0:9108 or [::]:9108."
SOURCE = "must name an audience or a journey. Write audience:ID or journey:ID."
HERE = "Write {file: PATH} or {env: NAME} here."
LITERAL = f"stands in the file itself; secrets come from a file or the environment. {HERE}"
READABLE = "Make it readable for the user that runs the service."
NOT_SET = "the environment variable NONE is not set. Set NONE, or name another variable."
TAKEN = (
    "is the list of connector vip already, in the same account. "
    "Give it another list, or remove one of the two connectors."
)
DECIDED = "is decided by the service:"
OFFSETS = f"{DECIDED} it stores an offset once its changes have an outcome. Remove it."


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        # references
        ("{file: client-secret}", "literal", f"7: accounts.acme.client_secret: {LITERAL}"),
        ("{env: REFRESH_TOKEN}", "literal", f"8: accounts.acme.refresh_token: {LITERAL}"),
        ("{file: client-secret}", "12345678", f"7: accounts.acme.client_secret: {LITERAL}"),
        ("{file: client-secret}", "", f"7: accounts.acme.client_secret: {EMPTY}"),
        (
            "{file: client-secret}",
            "{path: x}",
            f"7: accounts.acme.client_secret: must come from a file or the environment. {HERE}",
        ),
        ("{file: client-secret}", "{file: }", f"7: accounts.acme.client_secret: names no file. {HERE}"),
        ("{file: client-secret}", "{env: 3}", f"7: accounts.acme.client_secret: names no env. {HERE}"),
        (
            "{file: client-secret}",
            "{env: A, file: B}",
            "7: accounts.acme.client_secret: names both a file and a variable. Keep one of them.",
        ),
        (
            "{file: client-secret}",
            "{file: nowhere}",
            "7: accounts.acme.client_secret: the file nowhere is not there. Create the file, or mend the path.",
        ),
        (
            "{file: client-secret}",
            "{file: blank}",
            "7: accounts.acme.client_secret: the file blank is empty. Write the value into it.",
        ),
        (
            "{file: client-secret}",
            "{file: bytes}",
            "7: accounts.acme.client_secret: the file bytes is not UTF-8 text. Write the value as plain text.",
        ),
        (
            "{file: client-secret}",
            "{file: client-secret/x}",
            "7: accounts.acme.client_secret: the file client-secret/x cannot be read (Not a directory). " + READABLE,
        ),
        (
            "{file: client-secret}",
            "{env: NONE}",
            f"7: accounts.acme.client_secret: {NOT_SET}",
        ),
        (
            "{file: client-secret}",
            "{env: BLANK}",
            "7: accounts.acme.client_secret: the environment variable BLANK is empty. Give BLANK a value.",
        ),
        # accounts and connectors
        (
            "    requests_per_10s: 100\n",
            "",
            "5: accounts.acme.requests_per_10s: is missing. Add `requests_per_10s: 100`.",
        ),
        ("10s: 100", "10s: 0", "9: accounts.acme.requests_per_10s: must be at least 1. Write a larger number."),
        (
            "client_id: 1",
            "client_id: ''  # ",
            "6: accounts.acme.client_id: is empty. Write something between the quotes.",
        ),
        ("4711", "vip", f"13: connectors.vip.list_id: {WHOLE}"),
        ("4711", "true", f"13: connectors.vip.list_id: {WHOLE}"),
        ("4711", "4711.5", f"13: connectors.vip.list_id: {WHOLE}"),
        ("4711", "-1", "13: connectors.vip.list_id: must be at least 1. Write a larger number."),
        (
            "4711",
            "9223372036854775808",
            "13: connectors.vip.list_id: must be below 9223372036854775808. Write a smaller number.",
        ),
        ("audience:vip", "vip", f"14: connectors.vip.source: {SOURCE}"),
        ("audience:vip", "segment:vip", f"14: connectors.vip.source: {SOURCE}"),
        ("audience:vip", "'journey:'", f"14: connectors.vip.source: {SOURCE}"),
        ("account: acme", "account: acne", "12: connectors.vip.account: is not among accounts. Name one of: acme."),
        (
            "  vip:",
            "  v i p:",
            "11: connectors.v i p: must be a name. Use letters, digits, `_`, `-` and `.`, 100 characters at most.",
        ),
        ("  vip:", "  7:", "11: connectors.7: the key must be text. Put it in quotes."),
        (
            "",
            "    enabled: perhaps",
            "15: connectors.vip.enabled: must be true or false. Write true or false, without quotes.",
        ),
        (
            "",
            "    enabled: 3.5",
            "15: connectors.vip.enabled: must be true or false. Write true or false, without quotes.",
        ),
        ("", "    identifier: [1]", f"15: connectors.vip.identifier: {TEXT}"),
        (
            "",
            "  two: {account: acme, list_id: '04711', source: journey:j}",
            f"15: connectors.two.list_id: {TAKEN}",
        ),
        ("", "  two:", f"15: connectors.two: {EMPTY}"),
        # keys
        ("", "windw: {}", "15: windw: is not a known key. Write `window` if you mean that, or remove it."),
        (
            "",
            "retry: {zzz: 1}",
            "15: retry.zzz: is not a known key. Remove it; known here: give_up_after.",
        ),
        ("", "kafka: {}", "15: kafka: the key is here twice, first in line 1. Keep one of them."),
        (
            "4711",
            "4711\n    list_id: 4712",
            "14: connectors.vip.list_id: the key is here twice, first in line 13. Keep one of them.",
        ),
        # Kafka and the registry
        (
            "bootstrap.servers: kafka:9092",
            "",
            "1: kafka.bootstrap.servers: is missing. Add `bootstrap.servers: kafka:9092`.",
        ),
        ("group.id: hubspot-list-sync", "", "1: kafka.group.id: is missing. Add `group.id: hubspot-list-sync`."),
        (
            "group.id: hubspot-list-sync",
            "group.id: 3",
            "3: kafka.group.id: must be text. Write it like `group.id: hubspot-list-sync`.",
        ),
        ("  group.id", "  enable.auto.commit: true\n  group.id", f"3: kafka.enable.auto.commit: {OFFSETS}"),
        ("  group.id", "  enable.auto.offset.store: true\n  group.id", f"3: kafka.enable.auto.offset.store: {OFFSETS}"),
        (
            "  group.id",
            "  partition.assignment.strategy: range\n  group.id",
            f"3: kafka.partition.assignment.strategy: {DECIDED} it relies on cooperative-sticky. Remove it.",
        ),
        (
            "  group.id",
            "  enable.partition.eof: true\n  group.id",
            f"3: kafka.enable.partition.eof: {DECIDED} it finds the end of a partition itself. Remove it.",
        ),
        (
            "  group.id",
            "  auto.offset.reset: error\n  group.id",
            "3: kafka.auto.offset.reset: must be earliest or latest. Write earliest, or remove it.",
        ),
        ("  group.id", "  auto.offset.reset: [latest]\n  group.id", f"3: kafka.auto.offset.reset: {ONE_VALUE}"),
        ("  group.id", "  client.id: {a: b}\n  group.id", f"3: kafka.client.id: {ONE_VALUE}"),
        ("  group.id", "  client.id: 2026-01-01\n  group.id", f"3: kafka.client.id: {ONE_VALUE}"),
        ("  group.id", "  client.id:\n  group.id", f"3: kafka.client.id: {EMPTY}"),
        *(
            ("  group.id", f"  {name}: literal\n  group.id", f"3: kafka.{name}: {LITERAL}")
            for name in (
                "sasl.password",
                "ssl.key.password",
                "ssl.key.pem",
                "ssl.keystore.password",
                "sasl.oauthbearer.client.secret",
            )
        ),
        *(
            ("", f"schema_registry: {{url: mock://r, {name}: literal}}", f"15: schema_registry.{name}: {LITERAL}")
            for name in ("basic.auth.user.info", "ssl.key.password", "bearer.auth.token")
        ),
        ("", "schema_registry: {}", f"15: schema_registry: {NOTHING}"),
        (
            "",
            "schema_registry: {ssl.ca.location: /ca}",
            "15: schema_registry.url: is missing. Add `url: http://schema-registry:8081`.",
        ),
        (
            "",
            "schema_registry: {url: registry:8081}",
            "15: schema_registry.url: must be the URL of a Schema Registry. Write http://HOST:PORT or https://HOST:PORT.",
        ),
        (
            "",
            "schema_registry: {url: 'https://user:pass@registry'}",
            "15: schema_registry.url: must not hold credentials. Move them to basic.auth.user.info, read from a file.",
        ),
        # the other sections
        ("", "window: {max_age: 30}", f"15: window.max_age: {DURATION}"),
        ("", "window: {max_age: 30 s}", f"15: window.max_age: {DURATION}"),
        ("", "window: {max_age: 0s}", "15: window.max_age: must be longer than nothing. Write at least 1ms."),
        ("", "window: {max_contacts: 0}", "15: window.max_contacts: must be at least 1. Write a larger number."),
        ("", "not_found: {retries: -1}", "15: not_found.retries: must be at least 0. Write a larger number."),
        ("", "not_found: {retries: 11}", "15: not_found.retries: must be below 11. Write a smaller number."),
        ("", "not_found: {over: 0s}", "15: not_found.over: must be longer than nothing. Write at least 1ms."),
        ("", "window:", f"15: window: {EMPTY}"),
        ("", "shutdown: 25s", f"15: shutdown: {MAPPING}"),
        (
            "",
            "hubspot: {base_url: 'http://api.hubapi.com'}",
            "15: hubspot.base_url: must be https: secrets go there. Write https://, or name a loopback address.",
        ),
        (
            "",
            "hubspot: {base_url: 'https://api.hubapi.com/crm?x=1'}",
            "15: hubspot.base_url: must be a scheme, a host and perhaps a port. Remove path, query, fragment and user.",
        ),
        ("", "admin: {address: 9108}", f"15: admin.address: {ADDRESS}"),
        ("", "admin: {address: 'localhost:65536'}", f"15: admin.address: {ADDRESS}"),
        ("", "guard: {max_removed_share: 50}", f"15: guard.max_removed_share: {SHARE}"),
        ("", "guard: {max_removed_share: 0%}", f"15: guard.max_removed_share: {SHARE}"),
        ("", "guard: {max_removed_share: 101%}", f"15: guard.max_removed_share: {SHARE}"),
        ("", "guard: {max_removed_share: 0.5%}", f"15: guard.max_removed_share: {SHARE}"),
        ("", "guard: {above: 0}", "15: guard.above: must be at least 1. Write a larger number."),
        ("", "guard: {within: 0s}", "15: guard.within: must be longer than nothing. Write at least 1ms."),
        ("", "topics: {changes: journey}", "15: topics.changes: must be a list. Write it in brackets: [one, another]."),
        ("", "topics: {changes: []}", f"15: topics.changes: {NOTHING}"),
        ("", "topics:\n  changes:\n  - ok\n  - not ok", f"18: topics.changes[1]: {TOPIC}"),
        ("", "topics: {results: ..}", f"15: topics.results: {TOPIC}"),
        (
            "",
            "topics: {changes: [a, a]}",
            "15: topics.changes[1]: is the same topic as topics.changes[0]. Give each its own topic.",
        ),
        (
            "",
            "topics: {changes: [hubspot.membership.results]}",
            "15: topics.results: is the same topic as topics.changes[0]. Give each its own topic.",
        ),
        (
            "",
            "topics: {results: t, dead_letters: t}",
            "15: topics.dead_letters: is the same topic as topics.results. Give each its own topic.",
        ),
    ],
)
def test_each_mistake_is_named_with_line_place_rule_and_remedy(folder: Path, old: str, new: str, problem: str) -> None:
    """One mistake gives one problem, which says where it is, what is asked and what to do."""
    text = SHORT.replace(old, new, 1) if old else f"{SHORT}{new}\n"
    assert problems(folder, text) == [f"config.yaml:{problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ": the file is empty. Write at least kafka, accounts and connectors into it."),
        ("- kafka", ": must be a mapping at its top level. Begin with a line such as `kafka:`."),
        ("a: 1\nb: c: d", ":2: is not valid YAML (mapping values are not allowed here). Mend this line."),
        ("a: 1\n\tb: 1", ":2: is not valid YAML (found character '\\t' that cannot start any token). Mend this line."),
        ("a: *hunter2", ":1: is not valid YAML (found undefined alias ...). Mend this line."),
        ("a: !hunter2 x", ":1: is not valid YAML (could not determine a constructor for the tag ...). Mend this line."),
        ("a: 1\n---\nb: 1", ":2: is not valid YAML (but found another document). Mend this line."),
        (
            "a: \0",
            ": is not valid YAML (a character or value in it has no meaning). Put dates and unusual text in quotes.",
        ),
        (
            "a: 2026-99-99",
            ": is not valid YAML (a character or value in it has no meaning). Put dates and unusual text in quotes.",
        ),
        ("a: &x [*x]", ": is nested without end. Use no alias inside the value that it names."),
    ],
)
def test_a_file_that_is_no_mapping_is_one_problem(folder: Path, text: str, problem: str) -> None:
    """What cannot be read as YAML is said once, with its line where there is one, and without quoting the file."""
    assert problems(folder, text) == [f"config.yaml{problem}"]


def test_aliases_of_aliases_do_not_fill_the_memory(folder: Path) -> None:
    """A file of a few lines that stands for 9**12 values is refused after the first half million."""
    laughs = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 13)]
    file = folder / "laughs.yaml"
    file.write_text("\n".join(laughs))
    with pytest.raises(ConfigurationError, match="holds more than 500,000 values") as raised:
        load(file, {})
    assert len(raised.value.problems) == 1


@given(st.one_of(st.binary(max_size=200), st.text("{}[]&*a:-?!|>'\"#%@,<.0 \t\n", max_size=60).map(str.encode)))
def test_any_file_is_a_configuration_or_a_problem(content: bytes) -> None:
    """Whatever bytes the file holds, odd YAML above all, it is refused with a problem, not with a crash."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "any.yaml"
        file.write_bytes(content)
        with pytest.raises(ConfigurationError):
            load(file, {})


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    """A missing file, a folder and a binary file each say what is wrong and what to do."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    said = []
    for name in ("missing", ".", "binary"):
        with pytest.raises(ConfigurationError) as caught:
            load(tmp_path / name, {})
        said += [(problem.rule, problem.remedy) for problem in caught.value.problems]
    assert said == [
        ("the file is not there", "Create it, or name another with --config"),
        ("the file cannot be read (Is a directory)", "Give this user the right to"),
        ("the file is not UTF-8 text", "Save it as UTF-8"),
    ]


def test_empty_sections_say_what_belongs_there(folder: Path) -> None:
    """A file with nothing in its sections, or without them, is told what to add."""
    assert problems(folder, "kafka: {}\naccounts: {}\nconnectors: {}") == [
        "config.yaml:1: kafka.bootstrap.servers: is missing. Add `bootstrap.servers: kafka:9092`.",
        "config.yaml:1: kafka.group.id: is missing. Add `group.id: hubspot-list-sync`.",
        f"config.yaml:2: accounts: {NOTHING}",
        f"config.yaml:3: connectors: {NOTHING}",
    ]
    assert [line.split(" Add")[0] for line in problems(folder, "{}")] == [
        f"config.yaml: {section}: is missing." for section in ("kafka", "accounts", "connectors")
    ]


def test_connectors_without_accounts_are_not_blamed(folder: Path) -> None:
    """Where the accounts are missing altogether, that is the one problem."""
    [problem] = problems(folder, SHORT[: SHORT.index("accounts:")] + SHORT[SHORT.index("connectors:") :])
    assert problem.startswith("config.yaml: accounts: is missing.")


def test_all_problems_are_reported_at_once(folder: Path) -> None:
    """Mistakes in values, references, keys and between values come together, in the order of the file."""
    text = (
        SHORT.replace("kafka:9092", "kafka:9092\n  enable.auto.commit: true")
        .replace("{file: client-secret}", "{file: nowhere}")
        .replace("account: acme", "account: acne")
        .replace("4711", "many")
        + "limits: {max: 1}\nwindow: {max_age: 30}\nwindow: {}\nwindow: {}\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text)
    assert [(problem.place, problem.line) for problem in caught.value.problems] == [
        ("kafka.enable.auto.commit", 3),
        ("accounts.acme.client_secret", 8),
        ("connectors.vip.account", 13),
        ("connectors.vip.list_id", 14),
        ("limits.max", 16),
        ("window.max_age", 17),
        ("window", 18),
        ("window", 19),
    ]
    assert caught.value.problems[-1].rule == "the key is here twice, first in line 17"


def test_a_problem_is_a_value_with_a_text() -> None:
    """A problem can be shown to people in one line and given to programs field by field."""
    problem = Problem("window.max_age", 12, "must be a duration", "Write 30s")
    assert problem.text("a.yaml") == "a.yaml:12: window.max_age: must be a duration. Write 30s."
    assert Problem("", None, "is empty", "Fill it").text("a.yaml") == "a.yaml: is empty. Fill it."


def test_no_secret_is_in_any_text_of_the_settings(folder: Path) -> None:
    """Whoever prints, dumps or serializes the settings sees stars where a secret is."""
    text = SHORT.replace("  group.id", "  sasl.password: {env: PASSWORD}\n  sasl.username: {env: USER}\n  group.id")
    settings = read(folder, text, {**ENVIRON, "USER": "key-of-kafka"})
    assert settings.kafka["sasl.password"] == "kafka-password"
    again = Settings.model_validate({**dict(settings), "kafka": settings.kafka})
    for shown in (
        *(repr(settings), str(settings), f"{settings.kafka}", repr(settings.accounts["acme"])),
        *(settings.model_dump_json(), json.dumps(settings.model_dump(mode="json")), str(settings.model_dump())),
        repr(again),
    ):
        assert HIDDEN in shown
        for secret in (FILE_SECRET, ENVIRON["REFRESH_TOKEN"], "kafka-password", "key-of-kafka"):
            assert secret not in shown


def test_no_secret_is_in_the_text_of_an_error(folder: Path) -> None:
    """Neither a literal secret nor one that was read gets into what is said about a broken file."""
    text = SHORT.replace("{file: client-secret}", "hunter2-hunter2").replace("4711", "{env: PASSWORD}")
    text += "    client_secret: hunter2-hunter2\n    client_secret: hunter2-hunter2\n"
    said = "\n".join(problems(folder, text))
    assert "hunter2" not in said
    assert "kafka-password" not in said
    assert len(said.splitlines()) == 4


def test_secrets_lists_whatever_must_not_be_seen(folder: Path) -> None:
    """What a redactor needs is there: credentials, and client properties that were read elsewhere."""
    text = (
        SHORT.replace("  group.id", "  sasl.password: {env: PASSWORD}\n  sasl.username: {env: USER}\n  group.id")
        .replace("hubspot-list-sync", "{env: GROUP}")
        .replace("kafka:9092", "kafka:9092\n  socket.timeout.ms: {env: TIMEOUT}")
        + "schema_registry: {url: mock://r, basic.auth.user.info: {env: INFO}}\n"
    )
    more = {"USER": "key-of-kafka", "GROUP": "the-group", "INFO": "registry-user:registry-pass", "TIMEOUT": "60000"}
    assert read(folder, text, {**ENVIRON, **more}).secrets() == (
        *(FILE_SECRET, ENVIRON["REFRESH_TOKEN"], "kafka-password", "key-of-kafka"),
        *("registry-user:registry-pass", "registry-pass"),
    )


def test_client_properties_keep_their_types(folder: Path) -> None:
    """What is passed through to a client library is passed as it was written."""
    text = SHORT.replace("  group.id", "  a: 1\n  b: 1.5\n  c: true\n  d: text\n  group.id")
    kafka = dict(read(folder, text).kafka)
    assert [(type(kafka[name]), kafka[name]) for name in "abcd"] == [
        (int, 1),
        (float, 1.5),
        (bool, True),
        (str, "text"),
    ]
    assert Properties({"sasl.password": "literal"}).shown() == {"sasl.password": HIDDEN}


def test_a_merge_key_takes_over_what_it_names(folder: Path) -> None:
    """YAML's own way to share settings between connectors works, and a problem in it still has a line."""
    text = SHORT.replace("  vip:", "  vip: &vip") + "  two: {<<: *vip, list_id: 4712, source: journey:j}\n"
    assert read(folder, text).connectors["two"].account == "acme"
    wrong = problems(folder, text.replace("account: acme", "account: acne"))
    assert [line.split(" is")[0] for line in wrong] == [
        "config.yaml:12: connectors.vip.account:",
        "config.yaml:15: connectors.two.account:",
    ]


def test_an_ipv6_address_and_port_zero_can_be_listened_on(folder: Path) -> None:
    """The admin server can bind any address, and let the system choose its port."""
    assert read(folder, SHORT + "admin: {address: '[::1]:0'}\n").admin.address == Address("::1", 0)


def test_settings_made_of_settings_stay_the_same(folder: Path) -> None:
    """Values that were checked pass the check again, so that tests and tools may build on them."""
    settings = read(folder, SHORT)
    other = settings.model_copy(update={"window": settings.window.model_copy(update={"max_age": 0.5})})
    assert (other.window.max_age, settings.window.max_age) == (0.5, 30.0)
    assert Settings.model_validate(settings) is settings
    connector = settings.connectors["vip"]
    assert type(connector).model_validate(dict(connector)) == connector


def test_private_authorities_are_the_text_of_their_file(folder: Path) -> None:
    """`hubspot.ca` holds certificates, read from their file; anything else is told to be none."""
    text = SHORT + "hubspot: {ca: {file: ca.pem}}\n"
    (folder / "ca.pem").write_text(Path(certifi.where()).read_text("utf-8"))
    assert str(read(folder, text).hubspot.ca).count("BEGIN CERTIFICATE") > 1
    (folder / "ca.pem").write_text("a certificate, or so they said")
    [problem] = problems(folder, text)
    assert "hubspot.ca: must hold certificates in PEM form. Write {file: PATH} with the authority's file." in problem
