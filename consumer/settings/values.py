"""The values a configuration is made of: each type takes what stands in the file and gives what the program needs."""

import ipaddress
import re
import ssl
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

Place = tuple[str | int, ...]


class Finding(NamedTuple):
    """A rule that the value at `place` breaks, and what to do about it."""

    place: Place
    rule: str
    remedy: str


def place_text(place: Place) -> str:
    """Return `place` as people write it: `topics.changes[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def broken(rule: str, remedy: str) -> PydanticCustomError:
    """Return the error by which a validator says what it asks; neither text may hold the value itself."""
    return PydanticCustomError("rule", "{rule}. {remedy}.", {"rule": rule, "remedy": remedy})


_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")


def _seconds(value: object) -> float:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise broken("must be a duration", "Write a whole number and its unit: 500ms, 30s, 5m, 1h, 1d")
    return int(match[1]) * _MILLISECONDS[match[2]] / 1000


def _longer_than_zero(seconds: float) -> float:
    if seconds == 0:
        raise broken("must be longer than nothing", "Write at least 1ms")
    return seconds


Duration = Annotated[float, BeforeValidator(_seconds)]
"""Seconds; written `500ms`, `30s`, `5m`, `1h`, `1d`."""

Timespan = Annotated[Duration, AfterValidator(_longer_than_zero)]
"""A Duration that is not zero."""


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):  # from {file: PATH} or {env: NAME}
        return int(value)
    raise broken("must be a whole number", "Write its digits only")


Count = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
"""A whole number from 1."""

Retries = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=11)]
"""A whole number from 0 to 10: each wait is twice the one before, so more would begin with a few milliseconds."""


def _percent(value: object) -> int:
    match = re.fullmatch(r"([0-9]{1,3})%", value) if isinstance(value, str) else None
    if match is None or not 1 <= int(match[1]) <= 100:  # noqa: PLR2004 - all of it
        raise broken("must be a share from 1% to 100%", "Write a whole number and %, such as 50%")
    return int(match[1])


Share = Annotated[int, BeforeValidator(_percent)]
"""Whole percents; written `50%`."""

ListId = Annotated[int, BeforeValidator(_whole), Field(ge=1, lt=2**63)]
"""The id of a HubSpot list, as its API gives it."""

Text = Annotated[str, StringConstraints(min_length=1)]


def _matches(pattern: str, rule: str, remedy: str) -> AfterValidator:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise broken(rule, remedy)
        return value

    return AfterValidator(check)


Name = Annotated[
    str,
    _matches(r"[\w.-]{1,100}", "must be a name", "Use letters, digits, `_`, `-` and `.`, 100 characters at most"),
]
"""The name of an account or connector: it appears in metrics, logs and keys."""

Topic = Annotated[
    str,
    _matches(
        r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}",
        "must be the name of a Kafka topic",
        "Use letters, digits, `_`, `-` and `.`, 249 characters at most",
    ),
]


def _slot(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


RECORD_ID_SLOT = "2006"
"""The slot of the HubSpot Contact Record ID."""

Slot = Annotated[Text, BeforeValidator(_slot)]
"""A PartnerType slot: the key of an identifier in an event."""


@dataclass(frozen=True)
class Source:
    """The audience or journey whose members a list holds; hashable, and its text is what stands in the file."""

    type: Literal["AUDIENCE", "JOURNEY"]
    id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `audience:ID` or `journey:ID`. Raises ValueError."""
        kind, _, identifier = text.partition(":")
        if identifier and kind == "audience":
            return cls("AUDIENCE", identifier)
        if identifier and kind == "journey":
            return cls("JOURNEY", identifier)
        raise broken("must name an audience or a journey", "Write audience:ID or journey:ID")

    def __str__(self) -> str:
        return f"{self.type.lower()}:{self.id}"


def _source(value: object) -> Source:
    return value if isinstance(value, Source) else Source.parse(value if isinstance(value, str) else "")


SourceText = Annotated[Source, BeforeValidator(_source)]


@dataclass(frozen=True)
class Address:
    """Where the admin server listens; port 0 lets the system choose one."""

    host: str
    port: int


def _address(value: object) -> Address:
    if isinstance(value, Address):
        return value
    match = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):([0-9]{1,5})", value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 65_535:  # noqa: PLR2004 - the highest port there is
        raise broken("must be an address to listen on", "Write HOST:PORT, such as 0.0.0.0:9108 or [::]:9108")
    return Address(match[1].strip("[]"), int(match[2]))


AddressText = Annotated[Address, BeforeValidator(_address)]


def _base_url(value: str) -> str:
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise broken("must be a URL", "Write it as https://HOST or https://HOST:PORT") from None
    if url.scheme not in {"http", "https"} or not url.hostname or re.search(r"\s", value):
        raise broken("must be a URL", "Write it as https://HOST or https://HOST:PORT")
    if url.path not in {"", "/"} or "?" in value or "#" in value or "@" in url.netloc:
        raise broken("must be a scheme, a host and perhaps a port", "Remove path, query, fragment and user")
    if url.scheme == "http" and not _is_loopback(url.hostname):
        raise broken("must be https: secrets go there", "Write https://, or name a loopback address")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}" if port is None else f"{url.scheme}://{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""Scheme, host and port, without a slash at the end."""


def _certificates(value: str) -> str:
    try:
        ssl.create_default_context(cadata=value)
    except (ssl.SSLError, ValueError):
        raise broken("must hold certificates in PEM form", "Write {file: PATH} with the authority's file") from None
    return value


Certificates = Annotated[Text, AfterValidator(_certificates)]
"""One or more certificates of authorities, as the text of a PEM file."""
