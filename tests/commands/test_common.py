"""What all commands share: times as people write them, help, cells that cannot play with the terminal."""

import click
import pytest
from click.testing import CliRunner

from consumer.cli import main
from consumer.commands import tables
from consumer.commands.common import exit_code, seconds_since_1970

NOW = 1_793_534_400.0  # 2026-11-01T12:00Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", NOW - 90),
        ("30m", NOW - 1_800),
        ("24h", NOW - 86_400),
        ("7d", NOW - 604_800),
        ("2026-11-01T12:00", NOW),
        ("2026-11-01T12:00:30Z", NOW + 30),
        ("2026-11-01T12:00+02:00", NOW - 7_200),
        ("2026-11-01", NOW - 43_200),
        ("99999d", 0.0),
    ],
)
def test_a_time_as_people_write_it(text: str, seconds: float) -> None:
    """How long ago, or when: UTC unless it says otherwise."""
    assert seconds_since_1970(text, NOW) == seconds


@pytest.mark.parametrize("text", ["yesterday", "24", "h", "-1h", "", "2026-13-01"])
def test_what_is_no_time_is_wrong_usage(text: str) -> None:
    """The right way to write it is shown, and the exit code is 2."""
    result = CliRunner().invoke(main, ["results", "--since", text])
    assert result.exit_code == 2
    assert "is no time: write 24h, 7d, 2026-11-01 or 2026-11-01T00:00 (UTC)." in result.stderr


@pytest.mark.parametrize(
    "command",
    ["setup", "check", "lists", "lists create", "results", "dead-letters", "dead-letters list", "dead-letters show"],
)
def test_each_command_explains_itself_with_an_example(command: str) -> None:
    """Whoever asks a command for help learns what it does and how it is typed."""
    result = CliRunner().invoke(main, [*command.split(), "-h"])
    assert result.exit_code == 0
    assert f"Example: hubspot-list-sync {command}" in result.stdout


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (1_793_534_400_001, "2026-11-01T12:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (0, None),
        (None, None),
        (2**62, str(2**62)),
    ],
)
def test_a_moment(milliseconds: int | None, text: str | None) -> None:
    """Times are ISO 8601 in UTC; what is none stays away, and what no calendar has is shown as it is."""
    assert tables.moment(milliseconds) == text


def test_what_does_not_print() -> None:
    """Control characters, direction marks and half surrogates are shown, not sent to the terminal."""
    assert tables.printable("a\x1b[2J\u202eb\ud800\nä€") == "a\\x1b[2J\\u202eb\\ud800\\nä€"
    assert tables.printable("a\nb", keep="\n") == "a\nb"


@pytest.mark.parametrize("raised", [click.Abort(), click.UsageError("add --list")])
def test_what_click_has_words_for_is_left_to_it(raised: Exception) -> None:
    """A question that is broken off, and usage that shows itself late to be wrong, are no crash."""

    def ask() -> int:
        raise raised

    with pytest.raises(type(raised)):
        exit_code(ask)


def test_a_reader_that_leaves_is_no_crash() -> None:
    """`… | head` ends quietly: the broken pipe is left to click."""

    def write() -> int:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        exit_code(write)
