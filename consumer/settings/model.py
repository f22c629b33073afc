"""The configuration as frozen models: what the file may say, and what holds where it says nothing."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from consumer.secret import Secret
from consumer.settings.properties import Properties
from consumer.settings.values import (
    RECORD_ID_SLOT,
    Address,
    AddressText,
    BaseUrl,
    Certificates,
    Count,
    Duration,
    ListId,
    Name,
    Retries,
    Share,
    Slot,
    SourceText,
    Text,
    Timespan,
    Topic,
)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Topics(_Section):
    """The names of the Kafka topics."""

    changes: Annotated[tuple[Topic, ...], Field(min_length=1)] = ("journey.membership",)
    results: Topic = "hubspot.membership.results"
    dead_letters: Topic = "hubspot.membership.dead-letters"


class Window(_Section):
    """When a list's changes are sent: `max_age` seconds after the first, or when there are `max_contacts`."""

    max_age: Timespan = 30.0
    max_contacts: Count = 1000


class HubSpot(_Section):
    """Where HubSpot is, how long one request may take, and how long one without an answer may still act (seconds).

    `app_url`: where its pages for people are. `ca`: the authorities that are trusted instead of the usual ones.
    """

    base_url: BaseUrl = "https://api.hubapi.com"
    app_url: BaseUrl = "https://app.hubspot.com"
    timeout: Timespan = 30.0
    settle: Duration = 120.0
    ca: Certificates | None = Field(default=None, repr=False)


class Account(_Section):
    """One HubSpot account: the app's credentials and this process's share of the rate limit."""

    client_id: Text = Field(examples=["client_id: 11111111-2222-3333-4444-555555555555"])
    client_secret: Secret = Field(examples=["client_secret: {file: /var/run/secrets/hubspot/client-secret}"])
    refresh_token: Secret = Field(examples=["refresh_token: {file: /var/run/secrets/hubspot/refresh-token}"])
    requests_per_10s: Count = Field(examples=["requests_per_10s: 100"])


class Connector(_Section):
    """Which source feeds which list of which account."""

    account: Text = Field(examples=["account: acme"])
    list_id: ListId = Field(examples=["list_id: 4711"])
    source: SourceText = Field(examples=["source: audience:vip"])
    identifier: Slot = RECORD_ID_SLOT
    enabled: bool = True


class Limits(_Section):
    """What is held in memory at most."""

    max_pending_contacts: Count = 1_000_000


class Guard(_Section):
    """Which flushes are held until a person releases them: those that remove a large part of their list.

    Held is what would make it more than `above` contacts, and more than `max_removed_share` percent of the members,
    that are removed within `within` seconds. Without a share nothing is held.
    """

    max_removed_share: Share | None = None
    above: Count = 1000
    within: Timespan = 3_600.0


class Retry(_Section):
    """After how many seconds of recoverable failures a change becomes a dead letter."""

    give_up_after: Timespan = 86_400.0


class NotFound(_Section):
    """How often an addition is tried again whose contact HubSpot did not find, the last time `over` seconds later."""

    retries: Retries = 3
    over: Timespan = 3600.0

    @property
    def tried_for(self) -> float:
        """For how many seconds after its first answer a contact may be tried again."""
        return self.over if self.retries else 0.0


class Admin(_Section):
    """Where metrics, health and the status page are served."""

    address: AddressText = Address("0.0.0.0", 9108)  # noqa: S104 - probes and Prometheus come from outside the pod

    @property
    def host(self) -> str:
        """The host to bind."""
        return self.address.host

    @property
    def port(self) -> int:
        """The port to bind; 0 lets the system choose."""
        return self.address.port


class Audit(_Section):
    """How often the service holds its lists against the log (seconds; None: never), and with how many requests then."""

    every: Timespan | None = None
    at_most_requests: Count = 500


class Shutdown(_Section):
    """How many seconds a stop, or the revocation of partitions, may take."""

    timeout: Timespan = 25.0


class Surroundings(_Section):
    """All but accounts and connectors; durations are seconds."""

    kafka: Properties = Field(examples=["kafka: {bootstrap.servers: kafka:9092, group.id: hubspot-list-sync}"])
    schema_registry: Properties = Properties({"url": "http://schema-registry:8081"})
    topics: Topics = Topics()
    window: Window = Window()
    hubspot: HubSpot = HubSpot()
    limits: Limits = Limits()
    guard: Guard = Guard()
    retry: Retry = Retry()
    not_found: NotFound = NotFound()
    admin: Admin = Admin()
    shutdown: Shutdown = Shutdown()
    audit: Audit = Audit()

    @field_validator("kafka", mode="before")
    @classmethod
    def _read_from_the_start(cls, value: object) -> object:
        """Keep a group without offsets from skipping what is in the topic already."""
        return {"auto.offset.reset": "earliest", **value} if isinstance(value, dict) else value


class Settings(Surroundings):
    """The whole configuration."""

    accounts: Annotated[dict[Name, Account], Field(min_length=1)] = Field(
        examples=["accounts: {acme: {client_id: ...}}"]
    )
    connectors: Annotated[dict[Name, Connector], Field(min_length=1)] = Field(
        examples=["connectors: {vip: {account: acme, list_id: 4711, source: audience:vip}}"]
    )

    def secrets(self) -> tuple[str, ...]:
        """Return every value that no text may show, for a Redactor."""
        of_accounts = (
            secret.reveal()
            for account in self.accounts.values()
            for secret in (account.client_secret, account.refresh_token)
        )
        values = (*of_accounts, *self.kafka.secrets(), *self.schema_registry.secrets())
        return tuple(dict.fromkeys(value for value in values if value))
