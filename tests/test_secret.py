"""Secrets: read, read again, written back, and never shown."""

import base64
import copy
import json
import logging
import os
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from consumer.errors import ConsumerError
from consumer.secret import HIDDEN, HeldSecret, Redactor, Secret, SecretUnreadable, SecretUnwritable, write_secret

VALUE = "s3cr3t-value"


class _Holder(BaseModel):
    secret: Secret


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file that holds the secret as editors leave it, with a line end."""
    file = tmp_path / "secret"
    file.write_text(f"{VALUE}\n")
    file.chmod(0o640)
    return file


def test_a_secret_knows_its_value_and_its_place(file: Path) -> None:
    """The white space around a value is not part of it, and a message can name where it came from."""
    of_file, of_environment = Secret.from_file(file), Secret.from_environment("TOKEN", {"TOKEN": f" {VALUE}\n"})
    assert of_file.reveal() == of_environment.reveal() == VALUE
    assert (of_file.place, of_environment.place) == (f"file {file}", "env TOKEN")


def test_a_secret_shows_itself_as_stars(file: Path) -> None:
    """No way of printing, dumping or copying a secret gives its value away."""
    secret = Secret.from_file(file)
    holder = _Holder(secret=secret)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", "%s" % (secret,), str({"s": secret})]  # noqa: UP031 - the point
    shown += [
        repr(holder),
        str(holder),
        holder.model_dump_json(),
        str(holder.model_dump()),
        repr(copy.deepcopy(holder)),
    ]
    shown += [json.dumps(holder.model_dump(mode="json"))]
    assert all(HIDDEN in text and VALUE not in text for text in shown)
    assert not hasattr(secret, "__dict__")


def test_a_field_for_a_secret_takes_nothing_else() -> None:
    """A plain text cannot become a secret by accident, and the refusal does not repeat it where input is hidden."""
    with pytest.raises(ValidationError):
        _Holder.model_validate({"secret": VALUE})


def test_a_rotated_file_is_read_again(file: Path) -> None:
    """A new value is seen without a restart, while what was read first stays what it was."""
    secret = Secret.from_file(file)
    file.write_text("rotated")
    assert (secret.read_again(), secret.reveal()) == ("rotated", VALUE)


def test_a_secret_of_the_environment_does_not_change() -> None:
    """The environment of a process is what it was at its start."""
    environ = {"TOKEN": VALUE}
    secret = Secret.from_environment("TOKEN", environ)
    environ["TOKEN"] = "other"
    assert secret.read_again() == VALUE
    assert secret.write("other") is False


def test_a_file_that_is_gone_or_empty_says_so(file: Path) -> None:
    """A Secret that vanishes or is being written gives an error with rule and remedy, not an empty token."""
    secret = Secret.from_file(file)
    file.write_text("\n")
    with pytest.raises(SecretUnreadable, match=r"secret is empty\. Write the value into it\.$"):
        secret.read_again()
    file.unlink()
    with pytest.raises(SecretUnreadable, match=r"secret is not there\. Create the file, or mend the path\.$") as caught:
        secret.read_again()
    assert isinstance(caught.value, ConsumerError)
    assert caught.value.remedy == "Create the file, or mend the path"


def test_a_new_value_is_written_back_for_the_owner_alone(file: Path) -> None:
    """After a write the file holds the new value, is readable for its owner only, and nothing lies beside it."""
    secret = Secret.from_file(file)
    assert secret.write("renewed") is True
    assert (secret.read_again(), secret.reveal()) == ("renewed", VALUE)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_link_stays_a_link(file: Path) -> None:
    """Where the file is a link, as in Kubernetes, its target is replaced."""
    link = file.with_name("link")
    link.symlink_to(file.name)
    assert Secret.from_file(link).write("renewed") is True
    assert link.is_symlink()
    assert file.read_text() == "renewed"


def test_a_value_that_cannot_be_written_leaves_everything_as_it_was(file: Path) -> None:
    """Where the file cannot be replaced the answer is False, and no half-written file is left behind."""
    secret = Secret.from_file(file)
    file.unlink()
    assert secret.write("renewed") is False
    file.mkdir()
    assert secret.write("renewed") is False
    assert list(file.parent.iterdir()) == [file]


def test_a_new_secret_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the process's umask leaves to others; so is the folder that is made for it."""
    file = tmp_path / "secrets/acme-refresh-token"
    before = os.umask(0)
    try:
        write_secret(file, VALUE)
    finally:
        os.umask(before)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert Secret.from_file(file).reveal() == VALUE
    assert list(file.parent.iterdir()) == [file]


def test_a_secret_that_is_there_is_replaced(file: Path) -> None:
    """Others could read it; they cannot read the new one. The folder stays as it is, and a link stays a link."""
    link = file.with_name("link")
    link.symlink_to(file.name)
    file.parent.chmod(0o755)
    write_secret(link, "renewed")
    assert (link.is_symlink(), file.read_text(), file.stat().st_mode & 0o777) == (True, "renewed", 0o600)
    assert file.parent.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("folder", VALUE, "/folder is there, and is no file. Remove it, or name another path."),
        ("pipe", VALUE, "/pipe is there, and is no file. Remove it, or name another path."),
        ("secret/x", VALUE, "/secret is there, and is no folder. Remove it, or name another path."),
        (
            "a/b/x",
            VALUE,
            "/a/b/x cannot be made: the one around it is not there. Make that folder, or name another path.",
        ),
        ("circle", VALUE, "/circle cannot be written (its links lead in a circle). "),
        ("secret/x/y", VALUE, "/secret/x/y cannot be written (Not a directory). "),
        (
            "x" * 300,
            VALUE,
            " cannot be written (File name too long). Mend that, or name another path.",
        ),
        ("x", " \n", "the value is empty. Give it a value."),
        ("x", f"{VALUE}\udc80", "the value is not text. Copy it once more."),
    ],
)
def test_a_secret_that_has_no_place_is_refused_in_words(file: Path, path: str, value: str, told: str) -> None:
    """They name the place and the remedy, never the value; nothing is written."""
    folder = file.parent
    (folder / "folder").mkdir()
    (folder / "circle").symlink_to("circle")
    os.mkfifo(folder / "pipe")
    before = sorted(folder.rglob("*"))
    with pytest.raises(SecretUnwritable) as caught:
        write_secret(folder / path, value)
    assert told in str(caught.value)
    assert VALUE not in str(caught.value)
    assert sorted(folder.rglob("*")) == before
    assert file.read_text() == f"{VALUE}\n"


def test_the_redactor_hides_what_it_knows() -> None:
    """Every known value becomes stars, the longer one first where one holds another."""
    redactor = Redactor(["abcd", "abcdef"])
    redactor.add("later-token")
    assert redactor.clean("abcdef abcd later-token abc") == f"{HIDDEN} {HIDDEN} {HIDDEN} abc"


def test_the_redactor_forgets_an_expired_token() -> None:
    """A token that is of no use any more costs nothing any more; the others stay hidden."""
    redactor = Redactor([VALUE, "expired"])
    redactor.forget("expired")
    assert redactor.clean(f"expired {VALUE}") == f"expired {HIDDEN}"


@pytest.mark.parametrize("value", ["", "a", "abc"])
def test_very_short_values_are_left_alone(value: str) -> None:
    """Stars for every `a` would ruin the log and tell where the value stands."""
    assert Redactor([value]).clean("abc banana") == "abc banana"


@example(value='a b/c"é')
@given(value=st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=4))
def test_a_secret_is_hidden_in_each_of_its_forms(value: str) -> None:
    """Quoting for JSON, a repr, a URL or a basic authorization header does not let a secret through."""
    redactor = Redactor([value])
    encoded = base64.b64encode(value.encode()).decode()
    quoted = [json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value)]
    forms = [text[1:-1] for text in quoted] + [json.dumps(repr(value)[1:-1])[1:-1]]
    for form in (value, *forms, quote(value, safe=""), quote_plus(value), encoded):
        assert redactor.clean(f"|{form}|") == f"|{HIDDEN}|"


def test_a_value_that_is_no_proper_text_can_be_hidden_too() -> None:
    """An environment variable with broken UTF-8 does not break the redactor."""
    assert Redactor(["abc\udcff"]).clean("abc\udcff") == HIDDEN


def test_a_secret_as_an_argument_of_a_log_record_is_stars(file: Path) -> None:
    """Even a logger that knows nothing of the redactor writes stars."""
    record = logging.LogRecord("n", logging.INFO, "p", 1, "token %s", (Secret.from_file(file),), None)
    assert record.getMessage() == f"token {HIDDEN}"


def test_a_held_secret_takes_what_is_written_to_it() -> None:
    """A token that HubSpot replaces before it has a file is the newer one when the file is written."""
    held = HeldSecret(VALUE)
    assert held.write("newer")
    assert (held.read_again(), held.reveal(), repr(held)) == ("newer", VALUE, HIDDEN)
