"""The properties that are passed through to librdkafka and to the Schema Registry client."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from consumer.secret import HIDDEN, Secret
from consumer.settings.values import broken

Scalar = str | int | float | bool

# What a client property is called when it holds a secret: sasl.password, ssl.key.pem, basic.auth.user.info ...
SECRET_PROPERTY = re.compile(r"(password|passphrase|secret|token|user\.info|key\.pem)$")

# Properties that say nothing of value, whatever they were read from. Their values occur in many lines of the log:
# cleaned of them, it would be of no use. A number or true and false would break a line of JSON besides.
_PUBLIC_PROPERTIES = (
    "bootstrap.servers",
    "client.id",
    "group.id",
    "group.instance.id",
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "url",
)
_PUBLIC_VALUE = re.compile(r"[0-9.]+|true|false")


class Properties(Mapping[str, Scalar]):
    """What a client library is given: `[name]` is the value, while every text form hides what was read elsewhere."""

    def __init__(self, values: Mapping[str, Scalar | Secret]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Scalar:
        value = self._values[name]
        return value.reveal() if isinstance(value, Secret) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Properties({self.shown()!r})"

    def shown(self) -> dict[str, Scalar]:
        """Return all properties, with `***` for secrets and for whatever came from a file or the environment."""
        return {
            name: HIDDEN if isinstance(value, Secret) or SECRET_PROPERTY.search(name) else value
            for name, value in self._values.items()
        }

    def secrets(self) -> Iterator[str]:
        """Yield each value that must not be seen, and the password of `user:password` by itself."""
        for name, value in self._values.items():
            text = value.reveal() if isinstance(value, Secret) else ""
            if SECRET_PROPERTY.search(name):
                yield text
                yield text.partition(":")[2] if name.endswith("user.info") else ""
            elif name not in _PUBLIC_PROPERTIES and not _PUBLIC_VALUE.fullmatch(text):
                yield text

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - pydantic's signature
        """Let a field take a mapping from names to scalars, and dump it as `shown`."""
        del source, handler
        values = core_schema.dict_schema(
            core_schema.str_schema(), core_schema.no_info_plain_validator_function(_property), min_length=1
        )
        return core_schema.no_info_before_validator_function(
            lambda value: value._values if isinstance(value, cls) else value,  # noqa: SLF001 - reading it openly would lose which are secret
            core_schema.no_info_after_validator_function(cls, values),
            serialization=core_schema.plain_serializer_function_ser_schema(cls.shown),
        )


def _property(value: object) -> Scalar | Secret:
    if isinstance(value, str | int | float | bool | Secret):
        return value
    raise broken("must be one value", "Write text, a number, true or false")
