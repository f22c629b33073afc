"""Schema Registry: look-ups and registrations on one background thread, so that the loop never waits for them.

Nothing is asked twice by itself: the loop decides when to ask again. Of a failure only what cannot hold a credential is
told: status and error code, the exception's type and the operating system's words.
"""

from collections.abc import Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any, TypeVar

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

# Confluent's API reference, "Errors": 40401 subject, 40402 version, 40403 schema not found. The client's own mock://
# registry says 40400 for each of them.
SCHEMA_NOT_FOUND = frozenset({40403, 40400})
REFERENCE_NOT_FOUND = frozenset({40401, 40402, 40403, 40400})

CLIENT_DEFAULTS: Mapping[str, Any] = {"max.retries": 0, "timeout": 5}
"""The client's own: three retries with pauses of up to 20 s, and no timeout at all."""

_HINTS = {
    401: "check the credentials under schema_registry",
    403: "check what these credentials may read",
    404: "check that schema_registry.url is the address of a registry's API",
    409: "the schema does not fit the earlier ones of its subject: register it there, or relax the compatibility",
}

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Found:
    """The registry has the schema. `references` are (name, text), each after those it needs itself."""

    schema_text: str
    references: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """The registry answered that it has no such schema, or not one that the schema refers to."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """There was no usable answer. The message says why and what to check; it holds no credentials."""

    message: str


@dataclass(frozen=True, slots=True)
class Registered:
    """The registry has the schema under this id."""

    subject: str
    schema_id: int


@dataclass(frozen=True, slots=True)
class Lookup:
    """A finished look-up."""

    schema_id: int
    outcome: Found | Unknown | Unreachable


@dataclass(frozen=True, slots=True)
class Registration:
    """A finished registration."""

    subject: str
    outcome: Registered | Unreachable


def new_client(settings: Mapping[str, Any]) -> SchemaRegistryClient:
    """Make a client from the properties of `schema_registry`; a `mock://` URL gives one in memory.

    Raises ValueError or TypeError for properties it does not know or cannot use.
    """
    return SchemaRegistryClient.new_client({**CLIENT_DEFAULTS, **settings})


class SchemaRegistry:
    """Asks one registry. All methods are for one thread, the loop's; only the answers come from another."""

    def __init__(self, client: SchemaRegistryClient) -> None:
        self._client = client
        self._worker = futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="schema-registry")
        self._lookups: dict[int, futures.Future[Found | Unknown | Unreachable]] = {}
        self._registrations: dict[str, futures.Future[Registered | Unreachable]] = {}

    def lookup(self, schema_id: int) -> None:
        """Start a look-up, unless the last one for this id was not taken yet."""
        if schema_id not in self._lookups:
            self._lookups[schema_id] = self._worker.submit(self._look_up, schema_id)

    def take(self, wait: float = 0.0) -> list[Lookup]:
        """Return the look-ups that have finished; wait at most `wait` seconds for the first one."""
        return [Lookup(*each) for each in _take_finished(self._lookups, wait)]

    def register(self, subject: str, schema_text: str) -> None:
        """Start to register a schema, unless the last registration for this subject was not taken yet."""
        if subject not in self._registrations:
            self._registrations[subject] = self._worker.submit(self._register, subject, schema_text)

    def take_registrations(self, wait: float = 0.0) -> list[Registration]:
        """Return the registrations that have finished; wait at most `wait` seconds for the first one."""
        return [Registration(*each) for each in _take_finished(self._registrations, wait)]

    def close(self) -> None:
        """Stop. A call on the wire is waited for, as long as the client's timeout lets it be."""
        self._worker.shutdown(cancel_futures=True)
        self._client.close()

    def _look_up(self, schema_id: int) -> Found | Unknown | Unreachable:
        try:
            schema = self._client.get_schema(schema_id)
        except Exception as error:  # noqa: BLE001 - the client lets its HTTP, TLS, OAuth and JSON libraries' errors pass
            return Unknown() if has_code(error, SCHEMA_NOT_FOUND) else Unreachable(describe(error))
        try:
            references = dict(self._references(schema))
        except Exception as error:  # noqa: BLE001 - as above
            return Unknown() if has_code(error, REFERENCE_NOT_FOUND) else Unreachable(describe(error))
        if not schema.schema_str:
            return Unreachable(f"the answer holds no schema: {_HINTS[404]}")
        return Found(schema.schema_str, tuple(references.items()))

    def _references(self, schema: Schema) -> Iterator[tuple[str, str]]:
        for each in schema.references or ():
            # A subject that was deleted since is still referred to.
            referred = self._client.get_version(each.subject or "", each.version or "latest", deleted=True).schema
            yield from self._references(referred)
            yield each.name or "", referred.schema_str or ""

    def _register(self, subject: str, schema_text: str) -> Registered | Unreachable:
        try:
            answer = self._client.register_schema_full_response(subject, Schema(schema_text, "AVRO"))
        except Exception as error:  # noqa: BLE001 - as above
            return Unreachable(describe(error))
        if answer.schema_id is None:
            return Unreachable(f"the answer holds no schema id: {_HINTS[404]}")
        return Registered(subject, answer.schema_id)


def _take_finished(started: dict[K, futures.Future[V]], wait: float) -> list[tuple[K, V]]:
    futures.wait(started.values(), wait, futures.FIRST_COMPLETED)
    finished = [key for key, future in started.items() if future.done()]
    return [(key, started.pop(key).result()) for key in finished]


def has_code(error: Exception, codes: frozenset[int]) -> bool:
    """Tell whether the registry itself answered 404 with one of its own codes."""
    return isinstance(error, SchemaRegistryError) and error.error_code in codes


def describe(error: Exception) -> str:
    """Tell a failure without the exception's own words, which may quote a header, a URL or a whole page."""
    if isinstance(error, SchemaRegistryError):
        told = f"the registry answered {error.http_status_code}, error code {error.error_code}"
        hint = _HINTS.get(error.http_status_code)
        return f"{told}: {hint}" if hint else told
    if isinstance(error, JSONDecodeError):
        return f"the answer is not JSON: {_HINTS[404]}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"{type(error).__name__}: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
