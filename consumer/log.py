"""Logging, set up once: structlog and the standard library's loggers end in the same lines, cleaned of secrets."""

import logging
import sys
from contextlib import suppress
from typing import TextIO

import structlog
from structlog.typing import Processor

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
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # first, so that what is left out costs nothing
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    as_json = not terminal if json is None else json
    handler = _Handler(stream, redactor)
    handler.setFormatter(_formatter(shared, _renderers(as_json=as_json, colors=terminal)))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger `name`; `bind` adds keys to its records."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
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


class _Handler(logging.StreamHandler[TextIO]):
    """Writes cleaned lines, and nothing else: not even when it fails."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        super().__init__(stream)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.clean(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say that a record was lost; logging's own message would print its arguments, secrets included."""
        error = type(sys.exception()).__name__
        with suppress(OSError, ValueError):  # the stream itself may be what failed
            sys.stderr.write(f"a log record of {record.name} could not be written: {error}\n")
