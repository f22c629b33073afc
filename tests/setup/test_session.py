"""The setup's steps against a simulated HubSpot, an embedded Kafka and a registry: from no file to a good one."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from consumer.secret import Redactor
from consumer.settings import Source, load
from consumer.setup.session import Session
from consumer.setup.words import AccountForm, Choice, Granted, ListOption, SetupProblem
from consumer.simulator import Account, ContactList, Fault, Portal
from tests.commands.world import CHANGES, DEAD_LETTERS, RESULTS, World, world

pytestmark = pytest.mark.process

REDIRECT = "http://localhost:8765/oauth/callback"
SECRET = "the-client-secret-acme"
VIP = Source("AUDIENCE", "vip")


class Person:
    """Somebody who sets up, and what is around them."""

    def __init__(self, made: World, folder: Path) -> None:
        self.world = made
        self.folder = folder
        self.file = folder / "hubspot-list-sync.yaml"
        self.redactor = Redactor()
        environ = {"HUBSPOT_BASE_URL": made.server.url, "ACME_SECRET": SECRET}
        self.session = Session(self.file, environ, REDIRECT, self.redactor)
        self.environ = environ

    def begin(self) -> None:
        """Say where Kafka is, and add the account."""
        kafka = self.world.tree["kafka"]["bootstrap.servers"]
        self.session.connect_kafka(kafka, "service", self.world.registry.url)
        self.add()

    def add(self, name: str = "acme", *, new: bool = True, secret: str = SECRET, client_id: str = "app-acme") -> None:
        """Add an account, or change its credentials."""
        form = AccountForm(name, client_id, "100", "pasted", secret)
        self.session.add_account(form, new=new)

    def consent(self, name: str = "acme", **more: str) -> Granted:
        """Grant the app what it asks for, and come back from HubSpot's page."""
        code = self.world.at_hubspot(lambda portal: portal.authorize(name, REDIRECT))
        return self.session.finish({"code": code, "state": self.state(name), **more})

    def state(self, name: str = "acme") -> str:
        """Go to the consent page, and give the state of the address."""
        return parse_qs(urlsplit(self.session.consent_url(name)).query)["state"][0]

    def choice(self, **more: Any) -> Choice:  # noqa: ANN401 - what is chosen otherwise
        """Choose the account's VIP list for the audience."""
        return replace(Choice("vip", "acme", 10, VIP), **more)

    def write(self, *contacts: object, transition: str = "ENTER", source: str = "vip", slot: str = "2006") -> None:
        """Let contacts enter, or leave, an audience."""
        for number, contact in enumerate(contacts):
            event = {
                "event_id": "00000000-0000-0000-0000-000000000000",
                "source_type": "AUDIENCE",
                "source_id": source,
                "profile_id": f"p{number}",
                "transition": transition,
                "occurred_at": self.world.now_ms(),
                "identifiers": {slot: str(contact)},
            }
            self.world.write(CHANGES, event)


def portal_account(name: str = "acme", hub_id: int = 1001) -> Account:
    """Give an account whose app nobody has authorized yet."""
    made = Account(
        name=name, client_id=f"app-{name}", client_secret=f"the-client-secret-{name}", refresh_token=None, hub_id=hub_id
    )
    made.add_list(ContactList(10, "VIP", members=[1, 2, 3], legacy_id=4711))
    made.add_list(ContactList(11, "Winback"))
    made.add_list(ContactList(12, "All customers", processing_type="DYNAMIC"))
    return made


@pytest.fixture(name="person")
def _person(tmp_path: Path) -> Iterator[Person]:
    with world(tmp_path, portal_account(), portal_account("zeta", 2002)) as made:
        made.create_topics(CHANGES, RESULTS, DEAD_LETTERS)
        person = Person(made, tmp_path)
        yield person
        person.session.close()


def problem(step: Callable[[], object]) -> SetupProblem:
    """Give what a step says that does not succeed."""
    with pytest.raises(SetupProblem) as caught:
        step()
    return caught.value


def test_a_first_connector_from_no_file_at_all(person: Person) -> None:
    """Kafka, account, consent, list, source, proof, saved: the file is valid, and each secret has a file of its own."""
    session = person.session
    assert (session.overview().needs_kafka, session.overview().accounts) == (True, ())
    person.begin()
    [before] = session.overview().accounts
    assert (before.name, before.authorized, before.saved) == ("acme", False, False)
    assert person.consent() == Granted("acme", 1001, again=False)
    assert not person.file.exists()
    person.write(5, 6, 7)
    person.write(6, transition="EXIT")
    [seen] = session.sources().options
    assert (seen.source, seen.events, seen.slots, seen.usable) == (VIP, 4, {"2006": 1.0}, {"2006": 1.0})
    proof = session.prove(person.choice())
    assert proof.good, proof.findings
    assert [each.result for each in proof.findings if each.check == "file"] == ["ok"]
    assert proof.preview is not None
    assert (proof.preview.adds, proof.preview.removes) == ((5, 7), (6,))
    assert proof.preview.path == "/crm/lists/2026-03/10/memberships/add-and-remove"
    assert "+  vip:" in proof.diff
    saved = session.save(person.choice())
    secrets = [person.folder / "secrets" / f"acme-{key}" for key in ("client-secret", "refresh-token")]
    assert saved.secrets == tuple(map(str, secrets))
    assert {each.stat().st_mode & 0o777 for each in secrets} == {0o600}
    settings = load(person.file, person.environ)
    assert settings.connectors["vip"].source == VIP
    assert settings.accounts["acme"].client_secret.reveal() == SECRET
    [after] = session.overview().accounts
    assert (after.authorized, after.saved, [each.name for each in after.connectors]) == (True, True, ["vip"])
    assert (before.requests_per_10s, after.requests_per_10s) == (100, 100)


def test_no_secret_leaves_its_file(person: Person) -> None:
    """Neither the configuration, nor what is shown, nor what is said of it holds a secret."""
    person.begin()
    person.consent()
    shown = [repr(person.session.overview()), repr(person.session.prove(person.choice()))]
    person.session.save(person.choice())
    shown += [person.file.read_text(), repr(person.session.commands(person.choice(list_id=11, connector="w")))]
    token = (person.folder / "secrets" / "acme-refresh-token").read_text()
    assert not [each for each in shown if SECRET in each or token in each]
    assert person.redactor.clean(f"{SECRET} {token}") == "*** ***"


def test_consent_denied(person: Person) -> None:
    """Whoever cancels on HubSpot's page is told so, and can begin again."""
    person.begin()
    state = person.state()
    denied = {"error": "access_denied", "error_description": "The user denied", "state": state}
    found = problem(lambda: person.session.finish(denied))
    assert (found.kind, "Connect app" in found.remedy) == ("consent_denied", True)
    person.consent()


@pytest.mark.parametrize("state", ["", "made-up"])
def test_an_answer_that_nobody_asked_for(person: Person, state: str) -> None:
    """Without the state that was given out, a code is not even tried: it may be somebody else's."""
    person.begin()
    person.state()
    code = person.world.at_hubspot(lambda portal: portal.authorize("acme", REDIRECT))
    assert problem(lambda: person.session.finish({"code": code, "state": state})).kind == "wrong_state"
    assert person.world.at_hubspot(lambda portal: [each.path for each in portal.log]) == []


def test_a_state_is_good_once(person: Person) -> None:
    """The browser's reload of the callback does nothing but say so."""
    person.begin()
    code = person.world.at_hubspot(lambda portal: portal.authorize("acme", REDIRECT))
    answer = {"code": code, "state": person.state()}
    person.session.finish(answer)
    assert problem(lambda: person.session.finish(answer)).kind == "wrong_state"


def test_a_code_that_was_used(person: Person) -> None:
    """A code is good once: whoever brings it again, with a good state, is told to authorize again."""
    person.begin()
    code = person.world.at_hubspot(lambda portal: portal.authorize("acme", REDIRECT))
    person.session.finish({"code": code, "state": person.state()})
    assert problem(lambda: person.session.finish({"code": code, "state": person.state()})).kind == "code_used"


def test_a_scope_that_was_not_granted_is_named(person: Person) -> None:
    """An account that lacks a scope is not taken, and the scope is named."""
    person.begin()
    person.world.at_hubspot(lambda portal: portal.accounts["acme"].scopes.discard("crm.lists.write"))
    found = problem(person.consent)
    assert (found.kind, "crm.lists.write" in found.told, "crm.lists.read" in found.told) == (
        "missing_scope",
        True,
        False,
    )
    assert not person.session.overview().accounts[0].authorized


def test_a_wrong_client_secret_is_said_at_its_field(person: Person) -> None:
    """HubSpot does not say what the right one is, but the page can say which field is wrong."""
    person.begin()
    person.add(secret="mistyped", new=False)
    found = problem(person.consent)
    assert (found.kind, found.field) == ("wrong_client_secret", "secret")
    person.add(new=False)
    person.consent()


def test_a_redirect_that_is_not_the_codes(person: Person) -> None:
    """A code that was made for another redirect address is refused, and the address to register is named."""
    person.begin()
    code = person.world.at_hubspot(lambda portal: portal.authorize("acme", "http://localhost:1/oauth/callback"))
    found = problem(lambda: person.session.finish({"code": code, "state": person.state()}))
    assert (found.kind, REDIRECT in found.told) == ("redirect_not_registered", True)


def test_hubspot_is_down(person: Person) -> None:
    """While HubSpot is away the code is not lost silently: the person is told to begin again later."""
    person.begin()
    person.world.at_hubspot(lambda portal: portal.inject(Fault("refresh_unavailable")))
    assert problem(person.consent).kind == "hubspot_down"
    person.world.at_hubspot(lambda portal: portal.heal_all())
    person.consent()
    person.world.at_hubspot(lambda portal: portal.inject(Fault("migrating", seconds=3600)))
    assert problem(lambda: person.session.find_lists("acme")).kind == "hubspot_down"


def test_a_portal_without_lists(person: Person) -> None:
    """HubSpot says that scopes are missing though all are granted: then it is the portal that has no lists."""
    person.begin()
    person.consent()

    def take_the_tool(portal: Portal) -> None:
        portal.accounts["acme"].unavailable_scopes = {"crm.lists.read", "crm.lists.write"}

    person.world.at_hubspot(take_the_tool)
    found = problem(lambda: person.session.find_lists("acme"))
    assert (found.kind, "admin of the portal" in found.remedy) == ("no_lists_tool", True)


def test_a_scope_that_was_taken_away_later_is_named(person: Person) -> None:
    """The same refusal, but the token lacks a scope: that one is named."""
    person.begin()
    person.consent()
    person.world.at_hubspot(lambda portal: portal.accounts["acme"].scopes.discard("crm.lists.read"))
    found = problem(lambda: person.session.find_lists("acme"))
    assert (found.kind, "without crm.lists.read" in found.told) == ("missing_scope", True)


def test_kafka_is_down(person: Person) -> None:
    """Sources cannot be shown, the proof says what was not asked, and a typed source can be saved all the same."""
    person.session.connect_kafka("127.0.0.1:1", "service", person.world.registry.url)
    person.add()
    person.consent()
    assert problem(person.session.sources).kind == "kafka_down"
    proof = person.session.prove(person.choice())
    assert (proof.good, proof.preview) == (False, None)
    assert {each.check for each in proof.findings if each.result == "problem"} == {"brokers"}
    person.session.save(person.choice())
    assert load(person.file, person.environ).connectors["vip"].list_id == 10


def test_lists_are_shown_with_the_reason_why_one_cannot_be_taken(person: Person) -> None:
    """Active lists are among them, and those that a connector keeps."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    found = {each.list_id: each for each in person.session.find_lists("acme")}
    assert [each.name for each in found.values()] == ["All customers", "VIP", "Winback"]
    assert found[10] == ListOption(10, "VIP", 3, None, "vip")
    assert found[12].unusable == "the list is an active list: HubSpot fills it by itself"
    assert found[11] == ListOption(11, "Winback", 0)
    assert [each.list_id for each in person.session.find_lists("acme", "win")] == [11]


def test_the_id_of_an_older_api_is_recognized(person: Person) -> None:
    """HubSpot's pages show two ids of a list: whoever pastes the wrong one is told the right one."""
    person.begin()
    person.consent()
    found = problem(lambda: person.session.look_up("acme", 4711))
    assert (found.kind, found.field, found.remedy) == ("older_id", "list_id", "Take 10")
    assert problem(lambda: person.session.look_up("acme", 4712)).kind == "not_found"
    assert person.session.look_up("acme", 11).name == "Winback"


def test_a_list_is_made_and_a_taken_name_is_said_at_the_field(person: Person) -> None:
    """Two lists cannot have one name, whatever the case."""
    person.begin()
    person.consent()
    assert person.session.create_list("acme", " Summer ").name == "Summer"
    found = problem(lambda: person.session.create_list("acme", "vip"))
    assert (found.kind, found.field, "10" in found.told) == ("name_taken", "name", True)
    assert problem(lambda: person.session.create_list("acme", " ")).field == "name"


def test_a_slot_without_record_ids_is_a_problem(person: Person) -> None:
    """The proof sees that the slot is the wrong one before anything is sent."""
    person.begin()
    person.consent()
    person.write("a@b.example", "c@d.example", slot="1001")
    for slot, told in (("2006", "0 of its last 2"), ("1001", "carry something else")):
        proof = person.session.prove(person.choice(identifier=slot))
        [found] = [each for each in proof.findings if each.check == "source"]
        assert (found.result, told in found.told, proof.good) == ("problem", True, False)


def test_a_list_that_another_connector_has(person: Person) -> None:
    """Neither proved nor saved: a list is aligned with one source."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    again = person.choice(connector="vip-2")
    assert not person.session.prove(again).good
    assert "connector vip already" in problem(lambda: person.session.save(again)).told
    taken = problem(lambda: person.session.save(person.choice(list_id=11)))
    assert (taken.kind, taken.field) == ("invalid", "connector")


class Meddling(dict[str, str]):
    """An environment during whose reading somebody else writes the file: it is looked at after the file was read."""

    file: Path | None = None

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - dict's signature
        """Give a variable, and write the file once."""
        if self.file is not None:
            file, self.file = self.file, None
            file.write_text(f"# mine\n{file.read_text()}")
        return super().get(key, default)


def test_a_file_that_changed_meanwhile_is_not_overwritten(person: Person) -> None:
    """What somebody wrote into it between reading and saving stays."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    environ = Meddling(person.environ)
    with closing(Session(person.file, environ, REDIRECT, Redactor())) as session:
        environ.file = person.file
        assert problem(lambda: session.enable("vip", enabled=False)).kind == "file_changed"
    assert person.file.read_text().startswith("# mine\n")
    assert load(person.file, person.environ).connectors["vip"].enabled


def test_a_connector_is_edited_disabled_and_removed(person: Person) -> None:
    """Each step changes what it names, and comments stay."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    person.file.write_text(person.file.read_text().replace("  vip:", "  # the best\n  vip:"))
    person.session.save(person.choice(connector="best", list_id=11), replacing="vip")
    assert person.session.connector("best").list_id == 11
    person.session.enable("best", enabled=False)
    assert not person.session.connector("best").enabled
    assert "# the best" in person.file.read_text()
    person.session.remove("best")
    assert problem(lambda: person.session.connector("best")).kind == "not_found"


def test_a_revoked_token_is_told_and_repaired(person: Person) -> None:
    """Authorizing again writes the new token into the file that the running service reads at its next refresh."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    file = person.folder / "secrets" / "acme-refresh-token"
    before = file.read_text()

    def revoke(portal: Portal) -> None:
        portal.accounts["acme"].refresh_token = None

    person.world.at_hubspot(revoke)
    fresh = Session(person.file, person.environ, REDIRECT, Redactor())
    with closing(fresh):
        found = problem(lambda: fresh.find_lists("acme"))
        assert (found.kind, "Authorize" in found.remedy) == ("token_revoked", True)
        [told] = fresh.overview().accounts
        assert (told.authorized, told.problem) == (False, "HubSpot no longer takes its refresh token")
        person.session = fresh
        assert person.consent() == Granted("acme", 1001, again=True, written=True)
        assert file.read_text() != before
        assert fresh.find_lists("acme")
        assert (fresh.overview().accounts[0].authorized, fresh.overview().accounts[0].problem) == (True, None)


def test_a_refresh_token_of_another_app(person: Person) -> None:
    """HubSpot does not say which app's it is, so both causes are named."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    (person.folder / "secrets" / "acme-refresh-token").write_text("of-another-app")
    found = problem(lambda: person.session.find_lists("acme"))
    assert (found.kind, "another app's" in found.told) == ("token_revoked", True)


def test_another_portal_is_not_taken_for_the_accounts(person: Person) -> None:
    """Its lists are not there; nothing is written."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    before = (person.folder / "secrets" / "acme-refresh-token").read_text()

    def move(portal: Portal) -> None:
        portal.accounts["acme"].hub_id = 3003

    person.world.at_hubspot(move)
    found = problem(person.consent)
    assert (found.kind, "3003" in found.told, "1001" in found.told) == ("other_portal", True, True)
    assert (person.folder / "secrets" / "acme-refresh-token").read_text() == before


def test_several_accounts_and_several_connectors(person: Person) -> None:
    """Each account has its own app, secrets and lists."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    person.add("zeta", client_id="app-zeta", secret="the-client-secret-zeta")
    person.consent("zeta")
    person.session.save(person.choice(connector="zeta-vip", account="zeta"))
    person.session.save(person.choice(connector="winback", list_id=11))
    assert list(load(person.file, person.environ).connectors) == ["vip", "zeta-vip", "winback"]
    assert [each.hub_id for each in person.session.overview().accounts] == [1001, 2002]


def test_credentials_change_in_one_place(person: Person) -> None:
    """A client secret that was rotated is asked for, proved by a consent, and then written; no other line changes."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    before = person.file.read_text()

    def rotate(portal: Portal) -> None:
        portal.accounts["acme"].client_secret = "rotated"

    person.world.at_hubspot(rotate)
    person.add(secret="rotated", new=False)
    person.consent()
    assert (person.folder / "secrets" / "acme-client-secret").read_text() == "rotated"
    assert person.file.read_text() == before


@pytest.mark.parametrize(
    ("field", "form"),
    [
        ("name", AccountForm("a b", "app", "100", "pasted", "s")),
        ("client_id", AccountForm("a", " ", "100", "pasted", "s")),
        ("requests_per_10s", AccountForm("a", "app", "many", "pasted", "s")),
        ("requests_per_10s", AccountForm("a", "app", "0", "pasted", "s")),
        ("secret", AccountForm("a", "app", "100", "pasted", " ")),
        ("secret", AccountForm("a", "app", "100", "file", "not-there")),
        ("secret", AccountForm("a", "app", "100", "env", "NOT_THERE")),
    ],
)
def test_what_is_wrong_with_an_account_is_said_at_its_field(person: Person, field: str, form: AccountForm) -> None:
    """Nothing is kept of a form that cannot be used."""
    assert problem(lambda: person.session.add_account(form, new=True)).field == field
    assert person.session.overview().accounts == ()


def test_a_second_account_of_one_name(person: Person) -> None:
    """A new account does not silently take the place of another."""
    person.begin()
    assert problem(person.add).field == "name"
    assert problem(lambda: person.add("other", new=False)).kind == "not_found"


def test_commands_for_kubernetes(person: Person) -> None:
    """The configuration names places in the pod, kubectl reads the secrets from files, and no secret is in the text."""
    person.begin()
    person.consent()
    commands = person.session.commands(person.choice())
    assert not person.file.exists()
    assert "client_secret: {file: /var/run/secrets/hubspot/acme/client-secret}" in commands.text
    files = [person.folder / "secrets" / f"acme-{key}" for key in ("client-secret", "refresh-token")]
    assert commands.secrets == tuple(map(str, files))
    assert f"--from-file=refresh-token={files[1]}" in commands.text
    assert (files[0].read_text(), files[1].stat().st_mode & 0o777) == (SECRET, 0o600)


def test_what_is_wrong_elsewhere_in_the_file_is_named_with_its_line(person: Person) -> None:
    """The setup does not write into a file that cannot be read as a configuration."""
    person.file.write_text("kafka: {bootstrap.servers: k:9092, group.id: g}\nwindow: {max_agee: 1s}\n")
    found = problem(person.session.overview)
    assert (found.kind, "hubspot-list-sync.yaml:2: window.max_agee" in found.told) == ("invalid", True)
    person.file.write_text("accounts: {}\n")
    assert problem(lambda: person.session.connect_kafka("", "g", "http://r:8081")).field == "servers"


def test_what_was_wrong_before_does_not_hinder(person: Person) -> None:
    """A connector that somebody broke by hand is told, and another one can be saved all the same."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    person.file.write_text(f"{person.file.read_text()}  broken: {{account: acme, list_id: 99}}\n")
    person.session.save(person.choice(connector="winback", list_id=11))
    assert [each.name for each in person.session.overview().accounts[0].connectors] == ["vip", "winback"]
    found = problem(lambda: person.session.connector("broken"))
    assert "is missing" in found.told


def test_other_credentials_before_saving_keep_what_was_granted(person: Person) -> None:
    """Whoever goes back to mend a number need not authorize again; another client id is another app."""
    person.begin()
    person.consent()
    person.session.add_account(AccountForm("acme", "app-acme", "50", "env", "ACME_SECRET"), new=False)
    [found] = person.session.overview().accounts
    assert (found.authorized, found.requests_per_10s) == (True, 50)
    person.session.save(person.choice())
    assert "client_secret: {env: ACME_SECRET}" in person.file.read_text()
    person.add(client_id="another", new=False)
    assert not person.session.overview().accounts[0].authorized
    assert problem(lambda: person.session.save(person.choice(connector="w", list_id=11))).kind == "not_authorized"


def test_a_configuration_of_a_pod_is_repaired_by_commands(person: Person) -> None:
    """Its secrets are not of this machine: the new token waits for the commands, and the file stays as it is."""
    person.begin()
    person.consent()
    text = person.session.commands(person.choice()).text
    person.file.write_text(text.partition("<<'END'\n")[2].partition("\nEND\n")[0] + "\n")
    before = person.file.read_text()
    with closing(Session(person.file, person.environ, REDIRECT, Redactor())) as fresh:
        person.session = fresh
        [found] = fresh.overview().accounts
        assert (found.authorized, "/var/run/secrets/hubspot/acme" in (found.problem or "")) == (False, True)
        person.add(new=False)
        assert person.consent() == Granted("acme", 1001, again=True, written=False)
        assert fresh.overview().accounts[0].authorized
        commands = fresh.commands(person.choice(list_id=11), replacing="vip")
    assert person.file.read_text() == before
    assert [Path(each).name for each in commands.secrets] == ["acme-client-secret", "acme-refresh-token"]
    assert "list_id: 11" in commands.text


def test_commands_carry_both_secrets_where_one_has_changed(person: Person) -> None:
    """A Secret of Kubernetes is made as a whole: the token that is good goes with the new client secret."""
    person.begin()
    person.consent()
    person.session.save(person.choice())
    token = (person.folder / "secrets" / "acme-refresh-token").read_text()
    person.add(new=False)
    commands = person.session.commands(person.choice(), replacing="vip")
    assert [Path(each).name for each in commands.secrets] == ["acme-client-secret", "acme-refresh-token"]
    assert (person.folder / "secrets" / "acme-refresh-token").read_text() == token
