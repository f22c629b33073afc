"""Logging, set up once: structlog and the standard library's loggers end in the same lines, cleaned of secrets."""

import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from consumer.secret import Redactor

LEVELS = ("debug", "info", "warning", "error")

# At "info" these say a line for every request; the metrics count them.
_TALKATIVE = ("httpx", "httpx2", "httpcore", "httpcore2", "uvicorn.access")


def configure(stream: TextIO, *, json: bool | None, level: str, redactor: Redactor) -> None:
    """Send every log record of the process to `stream`, from `level` (one of LEVELS) up.

    With `json` each record is one JSON object on one line, with `timestamp` (ISO 8601, UTC), `level`, `event`,
    `logger` and what was bound; without, it is for people. None chooses text on a terminal, JSON elsewhere.
    `redactor` cleans each rendered line last, exceptions included; secrets may be added to it later.
    """
    terminal = stream.isatty()
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = not terminal if json is None else json
    renderers = _renderers(as_json=as_json, colors=terminal)
    handler = _Handler(stream, redactor, renderers)
    handler.setFormatter(_formatter(shared, renderers))
    # Our own records go straight to the handler: on the way through `logging` each would cost twice as much.
    structlog.configure(
        processors=[*shared, _as_it_is],
        wrapper_class=structlog.make_filtering_bound_logger(level),  # what is left out costs nothing
        logger_factory=lambda name: _Logger(name, handler),
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


def get(name: str) -> FilteringBoundLogger:
    """Return the logger `name`; `bind` adds keys to its records."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def _formatter(shared: list[Processor], renderers: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )


def _renderers(*, as_json: bool, colors: bool) -> list[Processor]:
    if as_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # A rich traceback would show local variables, and break lines in the middle of a secret.
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]


def _as_it_is(_logger: object, _method: str, record: EventDict) -> tuple[tuple[EventDict], dict[str, object]]:
    """Give the logger the record, not rendered yet, as its only argument."""
    return (record,), {}


class _Handler(logging.StreamHandler[TextIO]):
    """Writes cleaned lines, and nothing else: not even when it fails."""

    def __init__(self, stream: TextIO, redactor: Redactor, renderers: Sequence[Processor]) -> None:
        super().__init__(stream)
        self._redactor = redactor
        self._renderers = renderers

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.clean(super().format(record))

    def write(self, name: str, record: EventDict) -> None:
        """Render and write a record of our own."""
        try:
            line: Any = record
            for renderer in self._renderers:
                line = renderer(None, "", line)
            line = self._redactor.clean(line) + self.terminator
            self.acquire()
            try:
                self.stream.write(line)
                self.flush()
            finally:
                self.release()
        except Exception:  # noqa: BLE001 - as in logging: the log fails nobody
            _lost(name)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say that a record was lost; logging's own message would print its arguments, secrets included."""
        _lost(record.name)


class _Logger:
    """A logger of our own, under structlog's."""

    def __init__(self, name: str, handler: _Handler) -> None:
        self.name = name
        self._handler = handler

    def msg(self, record: EventDict) -> None:
        self._handler.write(self.name, record)

    debug = info = warning = error = critical = msg


def _lost(name: str) -> None:
    error = type(sys.exception()).__name__
    with suppress(OSError, ValueError):  # the stream itself may be what failed
        sys.stderr.write(f"a log record of {name} could not be written: {error}\n")
