"""The command line: what each command prints and exits with."""

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from consumer import __version__, cli, log
from consumer.cli import main
from consumer.secret import HIDDEN, Redactor

VALID = """\
kafka: {bootstrap.servers: "kafka:9092", group.id: hubspot-list-sync}
accounts:
  acme:
    client_id: some-client
    client_secret: {env: CLIENT_SECRET}
    refresh_token: {env: REFRESH_TOKEN}
    requests_per_10s: 100
connectors:
  vip: {account: acme, list_id: 4711, source: audience:vip}
  winback: {account: acme, list_id: 4712, source: journey:winback, identifier: 9, enabled: false}
"""
ENVIRON = {"CLIENT_SECRET": "client-secret-value", "REFRESH_TOKEN": "refresh-token-value", "COLUMNS": "120"}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def valid(tmp_path: Path) -> Path:
    """Give a valid configuration file."""
    file = tmp_path / "valid.yaml"
    file.write_text(VALID)
    return file


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """Give a configuration file with two mistakes."""
    file = tmp_path / "wrong.yaml"
    file.write_text(VALID.replace("4711", "vip").replace("account: acme, list_id: 4712", "account: b, list_id: 4712"))
    return file


def call(*arguments: str | Path, **environ: str) -> Result:
    """Type a command."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env={**ENVIRON, **environ})


def test_check_shows_the_connectors(valid: Path) -> None:
    """A person sees what feeds which list, and that the file is valid."""
    result = call("check", "--config", valid)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    assert (result.exit_code, result.stderr) == (0, "")
    assert rows == [
        ["vip", "acme", "4711", "audience:vip", "2006", "yes"],
        ["winback", "acme", "4712", "journey:winback", "9", "no"],
    ]
    assert result.stdout.splitlines()[-1] == f"{valid}: configuration is valid"


def test_check_prints_json_for_programs(valid: Path) -> None:
    """A program gets the same as one JSON object."""
    result = call("check", "--json", "--config", valid)
    said = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (said["valid"], said["problems"], len(said["connectors"])) == (True, [], 2)
    assert said["connectors"][0] == {
        "connector": "vip",
        "account": "acme",
        "list_id": 4711,
        "source": "audience:vip",
        "identifier": "2006",
        "enabled": True,
    }


def test_check_reports_every_problem_and_exits_with_2(wrong: Path) -> None:
    """A wrong file is told in full on stderr, with nothing on stdout."""
    result = call("check", "--config", wrong)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"{wrong}:9: connectors.vip.list_id: must be a whole number. Write its digits only.",
        f"{wrong}:10: connectors.winback.account: is not among accounts. Name one of: acme.",
    ]


def test_check_reports_every_problem_as_json(wrong: Path) -> None:
    """A program gets the problems field by field, and the same exit code."""
    result = call("check", "--json", "--config", wrong)
    said = json.loads(result.stdout)
    assert (result.exit_code, said["valid"], said["connectors"]) == (2, False, [])
    assert said["problems"][0] == {
        "place": "connectors.vip.list_id",
        "line": 9,
        "rule": "must be a whole number",
        "remedy": "Write its digits only",
    }
    assert len(said["problems"]) == 2


def test_the_configuration_may_be_named_by_the_environment(valid: Path) -> None:
    """HUBSPOT_LIST_SYNC_CONFIG names the file where --config does not."""
    assert call("check", HUBSPOT_LIST_SYNC_CONFIG=str(valid)).exit_code == 0


def test_the_configuration_is_looked_for_here(valid: Path) -> None:
    """Without any name the file is hubspot-list-sync.yaml of the working directory."""
    with contextlib.chdir(valid.parent):
        missing = call("check")
        valid.rename("hubspot-list-sync.yaml")
        found = call("check")
    assert (missing.exit_code, found.exit_code) == (2, 0)
    assert missing.stderr == (
        "hubspot-list-sync.yaml: the file is not there. Create it, or name another with --config.\n"
    )


def test_run_refuses_a_wrong_configuration(wrong: Path) -> None:
    """The service does not start, and contacts nobody, with a file that is wrong."""
    result = call("run", "--config", wrong)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 2)


@pytest.mark.parametrize(
    ("property_", "says"),
    [
        ("bootstrap.server: other:9092", 'No such configuration property: "bootstrap.server"'),
        ("session.timeout.ms: soon", 'Invalid value for configuration property "session.timeout.ms"'),
        ("ssl.ca.location: /nowhere, security.protocol: SSL", "ssl.ca.location failed"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_what_librdkafka_refuses_is_a_wrong_configuration(
    tmp_path: Path, command: str, property_: str, says: str
) -> None:
    """A property that librdkafka does not know, or a value that it does not take, is told before Kafka is contacted."""
    file = tmp_path / "refused.yaml"
    file.write_text(VALID.replace("group.id:", f"{property_}, group.id:"))
    result = call(command, "--config", file)
    assert result.exit_code == 2
    assert f"{file}: kafka: librdkafka says: " in result.stderr
    assert says in result.stderr


@pytest.mark.parametrize("command", [["check", "--json"], ["check"], ["run"]])
def test_no_command_shows_a_secret(tmp_path: Path, command: list[str]) -> None:
    """Neither a secret that was read nor one that was written into the file is printed."""
    file = tmp_path / "wrong.yaml"
    file.write_text(VALID.replace("{env: CLIENT_SECRET}", "hunter2-literal").replace("4711", "{env: REFRESH_TOKEN}"))
    result = call(*command, "--config", file)
    assert result.exit_code == 2
    assert "hunter2" not in result.output
    assert "refresh-token-value" not in result.output


@pytest.mark.parametrize("command", ["check", "run", "release", "demo"])
def test_each_command_explains_itself_with_an_example(command: str) -> None:
    """Whoever asks a command for help learns what it does and how it is typed."""
    for option in ("--help", "-h"):
        result = call(command, option)
        assert result.exit_code == 0
        assert f"Example: hubspot-list-sync {command}" in result.stdout


def test_help_and_version() -> None:
    """The program says what it is, what it can do, and which version it is."""
    result = call("-h")
    assert all(f"\n  {command} " in result.stdout for command in ("check", "demo", "run"))
    assert call("--version").stdout == f"hubspot-list-sync, version {__version__}\n"


@pytest.mark.parametrize("arguments", [["nonsense"], ["check", "--nonsense"], ["run", "--log-level", "loud"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    """A typing mistake is told apart from a failure."""
    assert call(*arguments).exit_code == 2


def test_an_error_nobody_expected_is_logged_clean_and_exits_with_1() -> None:
    """A crash leaves a traceback in the log without the secrets that its message holds."""
    stream = io.StringIO()
    log.configure(stream, json=True, level="info", redactor=Redactor(["hunter2-token"]))

    def crash() -> int:
        raise RuntimeError("refused hunter2-token")

    assert cli.exit_code(crash) == 1
    assert cli.exit_code(lambda: 0) == 0
    [record] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert record["level"] == "critical"
    assert f"RuntimeError: refused {HIDDEN}" in record["exception"]


@pytest.mark.parametrize(("name", "as_json"), [("json", True), ("text", False), ("auto", True)])
def test_the_log_goes_to_stderr_in_the_form_asked_for(
    name: str, *, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results have stdout for themselves; away from a terminal `auto` means JSON."""
    cli.start_log("info", name, Redactor())
    log.get("a").info("hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("{") is as_json
