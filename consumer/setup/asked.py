"""What a browser asks of the setup's pages, and the choices that it carries from page to page in the address.

No page remembers a choice: so the back button, a reload and two windows all do what one expects.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, urlencode

from consumer.settings import Source
from consumer.settings.values import RECORD_ID_SLOT
from consumer.setup.words import AccountForm, Choice, ConnectorView, SetupProblem

CARRIED: Final = ("account", "list", "source", "identifier", "connector", "enabled", "replacing")
"""Choices so far, by their names in an address; `replacing` is the connector that is edited."""

_OFF: Final = "no"  # in an address; without it a connector is enabled
_DIGITS: Final = 18  # of a list's id, at most


class Words(dict[str, str]):
    """What was given, by name; what was not is empty."""

    def __missing__(self, _: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: what stands in its path, its query and its form; the latter without the token."""

    path: Mapping[str, str]
    query: Words
    form: Words

    @property
    def chosen(self) -> Words:
        """The choices so far."""
        given = Words({**self.query, **self.form})
        return Words({key: value for key in CARRIED if (value := given[key].strip())})


def address(path: str, chosen: Mapping[str, str], **more: str) -> str:
    """Return the address of a page with the choices so far."""
    query = urlencode({**chosen, **more}, quote_via=quote)
    return f"{path}?{query}" if query else path


def under(*parts: str) -> str:
    """Return a path made of parts, whatever they hold."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def of_connector(connector: ConnectorView) -> Words:
    """Return the choices that a connector of the file stands for, to be edited."""
    chosen = {
        "account": connector.account,
        "list": str(connector.list_id),
        "source": str(connector.source),
        "identifier": connector.identifier,
        "connector": connector.name,
        "replacing": connector.name,
    }
    return switched(chosen, enabled=connector.enabled)


def switched(chosen: Mapping[str, str], *, enabled: bool) -> Words:
    """Return the choices with the connector on or off."""
    rest = {key: value for key, value in chosen.items() if key != "enabled"}
    return Words(rest if enabled else {**rest, "enabled": _OFF})


def is_enabled(chosen: Words) -> bool:
    """Tell whether the connector is to be enabled."""
    return chosen["enabled"] != _OFF


def list_id(text: str, field: str = "list") -> int:
    """Read the id of a list; `field` is the one that it was typed into."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text)):
        told = "A list's id is a number" if text else "No list is chosen"
        raise SetupProblem("invalid", told, "Choose a list, or type the digits of its id", field=field)
    return int(text)


def source(text: str, field: str = "source") -> Source:
    """Read a source as the file has it, `audience:ID` or `journey:ID`."""
    try:
        return Source.parse(":".join(part.strip() for part in text.split(":", 1)))
    except ValueError as error:
        remedy = "Choose one that was seen, or type the id of an audience or journey"
        raise SetupProblem("invalid", "No audience or journey is named", remedy, field=field) from error


def identifier(text: str) -> str:
    """Read the slot of the identifier."""
    if not text.strip():
        remedy = f"Type the number of the slot, such as {RECORD_ID_SLOT}"
        raise SetupProblem("invalid", "No slot is named", remedy, field="identifier")
    return text.strip()


def choice(chosen: Words) -> Choice:
    """Read all choices."""
    if not chosen["account"]:
        raise SetupProblem("invalid", "No account is chosen", "Begin with an account on the overview")
    if not chosen["connector"]:
        remedy = "Use letters, digits, `_`, `-` and `.`"
        raise SetupProblem("invalid", "The connector has no name", remedy, field="connector")
    return Choice(
        connector=chosen["connector"],
        account=chosen["account"],
        list_id=list_id(chosen["list"]),
        source=source(chosen["source"]),
        identifier=chosen["identifier"] or RECORD_ID_SLOT,
        enabled=is_enabled(chosen),
    )


def account_form(form: Words, name: str | None) -> AccountForm:
    """Read the form of an account; `name` is that of one that is there."""
    chosen: Literal["file", "env", "pasted"]
    match form["secret_from"]:
        case "env":
            chosen = "env"
        case "pasted":
            chosen = "pasted"
        case _:
            chosen = "file"
    return AccountForm(
        name=name or form["name"].strip(),
        client_id=form["client_id"].strip(),
        requests_per_10s=form["requests_per_10s"].strip(),
        secret_from=chosen,
        secret=form[f"secret_{chosen}"].strip(),
    )
