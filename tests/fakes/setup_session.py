"""A setup without a file, HubSpot and Kafka: its steps remember what they are told, and refuse what they should."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from consumer.checks import Finding
from consumer.settings import Source
from consumer.setup.session import Session
from consumer.setup.words import (
    AccountForm,
    AccountView,
    Choice,
    Commands,
    ConnectorView,
    Filling,
    Granted,
    ListOption,
    Overview,
    Preview,
    Proof,
    Saved,
    SetupProblem,
    SourceOption,
    Sources,
)

NOW = 1_795_000_000.0  # 2026-11-18 11:06:40 UTC
CONSENT = "https://app.hubspot.example/oauth/authorize?state=fresh"
PATH = "hubspot-list-sync.yaml"

LISTS = (
    ListOption(4711, "VIP customers", 1234),
    ListOption(4712, "Newsletter", None),
    ListOption(4713, "Everybody", 9, unusable="it is an active list, which HubSpot fills itself"),
    ListOption(4714, "Kept", 5, connector="kept"),
)
SOURCES = Sources(
    (
        SourceOption(
            Source("AUDIENCE", "vip"),
            1200,
            NOW - 240,
            {"2006": 0.98, "2007": 0.5},
            {"2006": 0.97, "2007": 0.0},
            ("kept",),
        ),
        SourceOption(Source("JOURNEY", "welcome"), 7, NOW - 7200, {"2007": 1.0}, {"2007": 0.0}),
    ),
    events=1207,
    oldest=NOW - 86400,
)
PROOF = Proof(
    findings=(
        Finding("scopes", "accounts.acme", "ok", "all four are granted"),
        Finding("list", "connectors.vip.list_id", "ok", "4711, VIP customers, 1234 contacts"),
        Finding("topic", "topics.results", "unknown", "its cleanup.policy could not be asked", "See that it is delete"),
    ),
    preview=Preview("/crm/lists/2026-03/4711/memberships/add-and-remove", (101, 102), (103,), 12, 2, 1),
    diff="--- before\n+++ after\n@@ -1 +1,2 @@\n connectors:\n-  old: 1\n+  vip: 2\n",
    good=True,
)


@dataclass
class FakeSession(Session):
    """Each step does as told: `problems` has what it raises, by its name; `calls` notes what it was asked.

    `has_places`: the file's places for secrets are of this machine.
    """

    accounts: dict[str, AccountView] = field(default_factory=dict)
    kafka: tuple[str, str, str] | None = None
    has_places: bool = True
    proof: Proof = PROOF
    seen: Sources = SOURCES
    lists: tuple[ListOption, ...] = LISTS
    fillings: dict[str, Filling] = field(default_factory=dict)
    problems: dict[str, Exception] = field(default_factory=dict)
    calls: list[tuple[object, ...]] = field(default_factory=list)

    @classmethod
    def with_connector(cls, *, enabled: bool = True) -> "FakeSession":
        """Return a setup of an authorized account with one connector."""
        connector = ConnectorView("kept", "acme", 4714, Source("AUDIENCE", "vip"), "2006", enabled)
        account = AccountView("acme", "client-1", authorized=True, saved=True, hub_id=99, connectors=(connector,))
        return cls({"acme": account}, kafka=("kafka:9092", "g", "http://registry:8081"))

    def _called(self, *call: object) -> None:
        self.calls.append(call)
        if (problem := self.problems.get(str(call[0]))) is not None:
            raise problem

    def overview(self) -> Overview:
        """Give what there is."""
        self._called("overview")
        return Overview(PATH, self.kafka is None, tuple(self.accounts.values()))

    def connector(self, name: str) -> ConnectorView:
        """Give a connector."""
        self._called("connector", name)
        for account in self.accounts.values():
            for connector in account.connectors:
                if connector.name == name:
                    return connector
        raise SetupProblem("not_found", f"there is no connector {name}", "Choose one on the overview")

    def connect_kafka(self, servers: str, group_id: str, registry_url: str) -> None:
        """Take where Kafka is."""
        self._called("connect_kafka", servers, group_id, registry_url)
        self.kafka = (servers, group_id, registry_url)

    def add_account(self, form: AccountForm, *, new: bool) -> None:
        """Take an account."""
        self._called("add_account", form, new)
        self.accounts.setdefault(form.name, AccountView(form.name, form.client_id, authorized=False, saved=False))

    def consent_url(self, account: str) -> str:
        """Give an address at HubSpot."""
        self._called("consent_url", account)
        return CONSENT

    def finish(self, answer: Mapping[str, str]) -> Granted:
        """Take every answer that has a code, for the account that was added last."""
        self._called("finish", dict(answer))
        name, account = list(self.accounts.items())[-1]
        self.accounts[name] = replace(account, authorized=True)
        return Granted(name, 99, again=account.saved, written=account.saved and self.has_places)

    def find_lists(self, account: str, text: str = "") -> list[ListOption]:
        """Give the lists with such a name."""
        self._called("find_lists", account, text)
        return [each for each in self.lists if text.casefold() in each.name.casefold()]

    def look_up(self, account: str, list_id: int) -> ListOption:
        """Give a list."""
        self._called("look_up", account, list_id)
        for each in self.lists:
            if each.list_id == list_id:
                return each
        raise SetupProblem("not_found", f"there is no list {list_id}", "Search for it by its name", field="list_id")

    def create_list(self, account: str, name: str) -> ListOption:
        """Make a list."""
        self._called("create_list", account, name)
        self.lists += (ListOption(5000, name, 0),)
        return self.lists[-1]

    def sources(self) -> Sources:
        """Give what was seen."""
        self._called("sources")
        return self.seen

    def free_name(self, wanted: str) -> str:
        """Give a name."""
        self._called("free_name", wanted)
        return wanted.lower().replace(" ", "-")

    def prove(self, choice: Choice, replacing: str | None = None) -> Proof:
        """Give the proof."""
        self._called("prove", choice, replacing)
        return self.proof

    def save(self, choice: Choice, replacing: str | None = None) -> Saved:
        """Keep a connector."""
        self._called("save", choice, replacing)
        account = self.accounts[choice.account]
        others = tuple(each for each in account.connectors if each.name not in {replacing, choice.connector})
        new = ConnectorView(
            choice.connector, choice.account, choice.list_id, choice.source, choice.identifier, choice.enabled
        )
        self.accounts[choice.account] = replace(account, saved=True, connectors=(*others, new))
        return Saved(PATH, () if account.saved else ("secrets/acme-refresh-token",))

    def commands(self, choice: Choice, replacing: str | None = None) -> Commands:
        """Give commands."""
        self._called("commands", choice, replacing)
        return Commands("kubectl create secret generic hubspot-list-sync-acme", ("secrets/acme-refresh-token",))

    def enable(self, connector: str, *, enabled: bool) -> Saved:
        """Switch a connector."""
        self._called("enable", connector, enabled)
        self._put(replace(self.connector(connector), enabled=enabled))
        return Saved(PATH, ())

    def remove(self, connector: str) -> Saved:
        """Forget a connector."""
        self._called("remove", connector)
        found = self.connector(connector)
        account = self.accounts[found.account]
        rest = tuple(each for each in account.connectors if each is not found)
        self.accounts[found.account] = replace(account, connectors=rest)
        return Saved(PATH, ())

    def fill(self, connector: str) -> Filling:
        """Begin to fill."""
        self._called("fill", connector)
        self.fillings[connector] = Filling(connector, "running")
        return self.fillings[connector]

    def filling(self, connector: str) -> Filling | None:
        """Give what was begun."""
        self._called("filling", connector)
        return self.fillings.get(connector)

    def close(self) -> None:
        """Do nothing."""

    def _put(self, connector: ConnectorView) -> None:
        account = self.accounts[connector.account]
        connectors = tuple(connector if each.name == connector.name else each for each in account.connectors)
        self.accounts[connector.account] = replace(account, connectors=connectors)
