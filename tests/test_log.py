"""The log: one line per record, the same for every logger, clean of secrets."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from consumer import log
from consumer.secret import HIDDEN, Redactor

SECRET = 'pass"word\\with ünusual\ncharacters'


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


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


def configured(
    stream: io.StringIO | None = None, *, json: bool | None = None, level: str = "info", secrets: tuple[str, ...] = ()
) -> io.StringIO:
    """Set the log up; return where it goes."""
    stream = stream or io.StringIO()
    log.configure(stream, json=json, level=level, redactor=Redactor(secrets))
    return stream


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the JSON objects of the log."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_record_is_one_json_object_on_one_line() -> None:
    """A program can read the log line by line; what was bound is there under its own key."""
    stream = configured()
    bound = log.get("consumer.list_sync").bind(connector="vip", list=4711)
    bound.info("request answered\nwell", request_id="r-1", correlation_id="c-1")
    bound.warning("later")
    first, second = records(stream)
    assert datetime.fromisoformat(first.pop("timestamp")).utcoffset() == timedelta(0)
    assert first == {
        "level": "info",
        "event": "request answered\nwell",
        "logger": "consumer.list_sync",
        "connector": "vip",
        "list": 4711,
        "request_id": "r-1",
        "correlation_id": "c-1",
    }
    assert (second["level"], second["event"], second["connector"]) == ("warning", "later", "vip")


def test_other_libraries_log_in_the_same_form() -> None:
    """Lines of the standard library's loggers, and warnings, have the same keys as ours."""
    logging.captureWarnings(capture=False)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        stream = configured()
        logging.getLogger("uvicorn.error").error("port %d is taken", 9108)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    error, warning = records(stream)
    assert {key: error[key] for key in ("level", "event", "logger")} == {
        "level": "error",
        "event": "port 9108 is taken",
        "logger": "uvicorn.error",
    }
    assert (warning["logger"], warning["level"]) == ("py.warnings", "warning")
    assert "DeprecationWarning: old" in warning["event"]


def test_the_level_leaves_out_what_matters_less() -> None:
    """Records below the level are not written, nor are the lines of talkative libraries at `info`."""
    stream = configured(level="info")
    log.get("a").debug("too small")
    logging.getLogger("httpx").info("HTTP Request: PUT")
    log.get("a").info("kept")
    assert [record["event"] for record in records(stream)] == ["kept"]
    stream = configured(level="debug")
    log.get("a").debug("%s", "kept")
    logging.getLogger("httpx").info("HTTP Request: PUT")
    assert [record["event"] for record in records(stream)] == ["kept", "HTTP Request: PUT"]


def test_a_second_set_up_replaces_the_first() -> None:
    """A record is written once, to the newest stream."""
    first, second = configured(), configured()
    log.get("a").info("once")
    assert (first.getvalue(), len(records(second))) == ("", 1)


def test_a_terminal_gets_text_for_people() -> None:
    """On a terminal the log is coloured text, elsewhere JSON, and either can be asked for."""
    terminal, plain, forced = _Terminal(), io.StringIO(), _Terminal()
    log.configure(terminal, json=None, level="info", redactor=Redactor())
    log.get("a").info("hello", connector="vip")
    log.configure(plain, json=False, level="info", redactor=Redactor())
    log.get("a").info("hello", connector="vip")
    log.configure(forced, json=True, level="info", redactor=Redactor())
    log.get("a").info("hello")
    assert "hello" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[" not in plain.getvalue()
    assert "connector=vip" in plain.getvalue()
    assert records(forced)[0]["event"] == "hello"


def _fail(secret: str) -> None:
    raise ValueError(secret)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("secret", ["plain-token-1234", SECRET])
def test_no_secret_leaves_through_the_log(secret: str, *, terminal: bool) -> None:
    """Wherever a secret hides in a record (text, key, argument, traceback, cause), the line shows stars."""
    stream = configured(_Terminal() if terminal else io.StringIO(), secrets=(secret,))
    logger = log.get("a")
    event = f"token {secret}"
    logger.info(event, token=secret, nested={"token": [secret]})
    logging.getLogger("b").warning("token %s %r", secret, secret)
    try:
        try:
            _fail(secret)
        except ValueError as error:
            raise RuntimeError(f"because of {secret}") from error
    except RuntimeError:
        logger.exception("failed")
        logging.getLogger("b").exception("failed")
    text = stream.getvalue()
    assert text.count("RuntimeError: because of") == 2
    assert text.count(HIDDEN) >= 5
    for part in (secret, secret.splitlines()[0], json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert part not in text
    if not terminal:
        assert len(records(stream)) == 4


def test_a_secret_learned_later_is_hidden_from_then_on() -> None:
    """An access token that is added while the service runs never shows either."""
    stream, redactor = io.StringIO(), Redactor()
    log.configure(stream, json=True, level="info", redactor=redactor)
    redactor.add("access-token")
    log.get("a").info("got access-token")
    assert records(stream)[0]["event"] == f"got {HIDDEN}"


def test_a_record_that_cannot_be_written_does_not_show_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in a log call is reported, but not with the values it was called with."""
    stream = configured(secrets=("hunter2",))
    logging.getLogger("careless").info("number %d", "hunter2")
    assert stream.getvalue() == ""
    assert capsys.readouterr().err == "a log record of careless could not be written: TypeError\n"


class _Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("hunter2")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_record_of_ours_that_cannot_be_written_fails_nobody(
    capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    """Whoever logs goes on, and so does the log, whatever a record holds; that one is missing is said."""
    stream = configured(json=as_json)
    log.get("careless").info("wrong", value=_Unspeakable())
    log.get("careful").info("right")
    assert stream.getvalue().count("\n") == 1
    assert "right" in stream.getvalue()
    assert capsys.readouterr().err == "a log record of careless could not be written: ValueError\n"


def test_a_stream_that_is_gone_fails_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing can be written any more, the service goes on."""
    stream = configured()
    stream.close()
    log.get("a").info("unheard")
    assert capsys.readouterr().err == "a log record of a could not be written: ValueError\n"
