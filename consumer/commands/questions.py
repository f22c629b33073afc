"""How `setup` asks in the shell, on stderr; and how it reads the address that HubSpot sends a browser back to."""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl

import click

from consumer.commands import tables
from consumer.errors import ConsumerError

T = TypeVar("T")


class Unanswered(ConsumerError):  # noqa: N818 - the name says what is the case
    """A question has nobody to answer it: there is no terminal, and the input has ended."""


class NotTheAddress(ConsumerError):  # noqa: N818 - likewise
    """What was pasted is not the address that HubSpot sends the browser back to."""


def ask(question: str, *, default: str | None = None, hide: bool = False) -> str:
    """Ask on stderr. Raises Unanswered."""
    shown = bool(default)
    return _heard(
        lambda: click.prompt(question, default, hide, err=True, show_default=shown, type=str).strip(), question
    )


def confirm(question: str, *, default: bool) -> bool:
    """Ask for yes or no on stderr. Raises Unanswered."""
    return _heard(lambda: click.confirm(question, default, err=True), question)


def missing(option: str) -> click.UsageError:
    """Give the error that says what --yes needs."""
    return click.UsageError(f"with --yes nothing is asked: add {option}.")


def _heard(hear: Callable[[], T], question: str) -> T:
    try:
        return hear()
    except click.Abort as abort:
        if isinstance(abort.__context__, EOFError):  # else it was Ctrl-C
            click.echo(err=True)
            raise Unanswered(
                f"nobody answers the question: {question}. Start it in a terminal, or say all with options (--help)."
            ) from None
        raise


def ask_redirect() -> dict[str, str]:
    """Ask for the address that HubSpot sends the browser back to, until it is one; give its parameters."""
    while True:
        try:
            return redirect_parameters(ask("The address that the browser shows then"))
        except NotTheAddress as problem:
            tables.note(f"{problem}.")


def redirect_parameters(pasted: str) -> dict[str, str]:
    """Read what HubSpot tells in the address that it sends the browser back to, or in the part behind its `?`.

    Where the address leads is of no matter: only its parameters are read. Raises NotTheAddress.
    """
    query = pasted.strip().strip("\"'<>").rpartition("?")[2].partition("#")[0]
    said = dict(parse_qsl(query))
    if "redirect_uri" in said:
        raise NotTheAddress("this is the address to open. Open it, grant access, and paste the one that follows")
    if "state" not in said or not said.keys() & {"code", "error"}:
        raise NotTheAddress("this holds no `code` and `state`. Copy all of the browser's address bar")
    return said
