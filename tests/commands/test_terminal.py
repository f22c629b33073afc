"""`setup --no-browser`: what the shell asks, what it takes for an answer, what it shows and saves.

The session is a script here; what the real one does against HubSpot and Kafka is in `test_setup`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from consumer.checks import Finding
from consumer.commands.common import finish
from consumer.commands.questions import NotTheAddress, redirect_parameters
from consumer.commands.setup import lead, may_open_browser, reauthorize
from consumer.commands.terminal import Given, Terminal
from consumer.secret import Redactor
from consumer.settings import Source
from consumer.setup.words import (
    AccountForm,
    AccountView,
    Choice,
    ConnectorView,
    Filling,
    Granted,
    ListOption,
    Preview,
    Proof,
    SetupProblem,
    SourceOption,
    Sources,
)
from tests.commands.world import cells
from tests.fakes.setup_session import CONSENT, PATH, FakeSession

KUBECTL = "kubectl create secret generic hubspot-list-sync-acme"
STEPS = {"add_account", "finish", "look_up", "create_list", "prove", "save", "fill", "commands"}
CALLBACK = "http://localhost:8765/oauth/callback"
VIP = Source("AUDIENCE", "vip")
WINBACK = Source("JOURNEY", "winback")
GRANTED = f"{CALLBACK}?code=the-code&state=state-1"
OK = Finding("list", "connectors.vip.list_id", "ok", "10, VIP")
WRONG = Finding("topic", "topics.changes[0]", "problem", "journey.membership is not there", "Create it")
PREVIEW = Preview("/crm/lists/2026-03/10/memberships/add-and-remove", (101, 102), (103,), 5, 1, 0)
VIEW = AccountView("acme", "app-acme", authorized=True, saved=True)
KEPT = ConnectorView("vip", "acme", 10, VIP, "7", enabled=False)


class Script(FakeSession):
    """A setup in memory; `once` has what a step raises the next times, `progress` how a filling goes on."""

    def __init__(self, *accounts: AccountView, needs_kafka: bool = False) -> None:
        super().__init__({each.name: each for each in accounts}, None if needs_kafka else ("kafka:9092", "g", "r"))
        self.lists = (
            ListOption(10, "VIP", 3),
            ListOption(11, "Active", 9, unusable="an active list is filled by HubSpot itself"),
            ListOption(12, "Winback 2026", 0, connector="winback"),
        )
        self.seen = Sources((SourceOption(VIP, 4, 1_793_534_400.0, {"2006": 1.0, "7": 0.5}, {"2006": 0.75}),), 5)
        self.proof = Proof((OK,), PREVIEW, "+connectors:\n", good=True)
        self.progress = [Filling("vip", "done", summary=(("2", "applied, added to the list"),))]
        self.once: dict[str, list[SetupProblem]] = {}
        self.written = True

    def _called(self, *call: object) -> None:
        super()._called(*call)
        if self.once.get(str(call[0])):
            raise self.once[str(call[0])].pop(0)

    def finish(self, answer: Mapping[str, str]) -> Granted:
        """Say as well whether the token was written."""
        granted = super().finish(answer)
        return replace(granted, written=granted.again and self.written)

    def fill(self, connector: str) -> Filling:
        """Begin to fill."""
        self._called("fill", connector)
        return self.progress.pop(0)

    def filling(self, connector: str) -> Filling | None:
        """Go on."""
        del connector
        return self.progress.pop(0)

    def steps(self, *names: str) -> list[tuple[object, ...]]:
        """Give the calls of the steps of these names."""
        return [each for each in self.calls if each[0] in names]

    def forms(self) -> list[AccountForm]:
        """Give the accounts that were taken."""
        return [form for _, form, _ in self.steps("add_account") if isinstance(form, AccountForm)]

    def saved(self) -> list[Choice]:
        """Give what was saved."""
        return [choice for _, choice, _ in self.steps("save") if isinstance(choice, Choice)]


def shell(session: Script, *lines: str, given: Given | None = None, **more: Any) -> Result:  # noqa: ANN401 - as lead
    """Answer the questions with `lines`."""
    return _run(lambda: lead(_terminal(session, given), pause=lambda _: None, **more), lines)


def _terminal(session: Script, given: Given | None) -> Terminal:
    return Terminal(session, given or Given(), CALLBACK, Path("config.yaml"))


def _run(work: Callable[[], int], lines: tuple[str, ...] = ()) -> Result:
    @click.command()
    def command() -> None:
        finish(Redactor(["hunter2-secret"]), work)

    return CliRunner().invoke(command, input="".join(f"{line}\n" for line in lines), env={"COLUMNS": "250"})


def everything(**more: Any) -> Given:  # noqa: ANN401 - as Given
    """Give options that leave nothing to ask."""
    return Given(**{"account": "acme", "list_id": 10, "source": VIP, "connector": "vip", "yes": True, **more})


# The address that is pasted.


@pytest.mark.parametrize(
    "pasted",
    [
        GRANTED,
        "https://example.com:1/elsewhere?state=state-1&code=the-code",
        "?code=the-code&state=state-1",
        "  code=the-code&state=state-1\t",
        '"http://localhost:8765/oauth/callback?code=the-code&state=state-1#/"',
    ],
)
def test_only_the_query_of_a_pasted_address_counts(pasted: str) -> None:
    """The host may be any, and what people copy along does no harm."""
    assert redirect_parameters(pasted) == {"code": "the-code", "state": "state-1"}


def test_a_denial_is_an_answer() -> None:
    """What HubSpot says of a denied consent is read as well."""
    said = redirect_parameters(f"{CALLBACK}?error=access_denied&error_description=No+way&state=s")
    assert said == {"error": "access_denied", "error_description": "No way", "state": "s"}


@pytest.mark.parametrize(
    ("pasted", "told"),
    [
        ("", "Copy all of the browser's address bar"),
        ("rubbish", "Copy all of the browser's address bar"),
        ("the-code", "Copy all of the browser's address bar"),
        (f"{CALLBACK}?code=the-code", "holds no `code` and `state`"),
        ("https://app.hubspot.com/oauth/authorize?client_id=a&redirect_uri=b&state=c", "this is the address to open"),
    ],
)
def test_what_is_no_answer_of_hubspot_is_told(pasted: str, told: str) -> None:
    """Whoever pastes something else learns what to copy."""
    with pytest.raises(NotTheAddress, match=told):
        redirect_parameters(pasted)


# Everything asked.


def test_from_nothing_to_a_saved_connector(tmp_path: Path) -> None:
    """With no options and no file every step is asked, and in the end there is a connector."""
    session = Script(needs_kafka=True)
    secret = tmp_path / "secret"
    answers = ("kafka:9092", "", "", "acme", "app-acme", str(secret), "", GRANTED, "10", "1", "", "", "y", "n")
    result = shell(session, *answers)
    assert (result.exit_code, result.stdout) == (0, f"vip was saved in {PATH}\n"), result.output
    choice = Choice("vip", "acme", 10, VIP, "2006", enabled=True)
    assert session.steps("connect_kafka", "add_account", "finish", "save") == [
        ("connect_kafka", "kafka:9092", "hubspot-list-sync", "http://schema-registry:8081"),
        ("add_account", AccountForm("acme", "app-acme", "100", "file", str(secret)), True),
        ("finish", {"code": "the-code", "state": "state-1"}),
        ("save", choice, None),
    ]


def test_what_is_shown_before_it_is_saved() -> None:
    """The findings, the exact request and the change of the file are there before the question is asked."""
    session = Script(VIEW)
    result = shell(session, "", "10", "1", "", "", "n")
    shown, _, _ = result.stderr.partition("Save?")
    assert ["list", "connectors.vip.list_id", "✓ 10, VIP", ""] in cells(shown)
    assert "The last 5 events of audience:vip (1 have nothing in slot 2006) make this request; it is not sent:" in shown
    assert f"PUT {PREVIEW.path}" in shown
    assert 'recordIdsToAdd: ["101", "102"]' in shown
    assert 'recordIdsToRemove: ["103"]' in shown
    assert "+connectors:" in shown
    assert (result.exit_code, session.steps("save")) == (1, [])
    assert result.stderr.splitlines()[-1] == "nothing was saved"


def test_a_long_request_is_cut_for_people() -> None:
    """Nobody reads a thousand ids; how many there are is said."""
    session = Script(VIEW)
    session.proof = replace(session.proof, preview=replace(PREVIEW, adds=tuple(range(1, 1001))))
    shown = shell(session, given=everything()).stderr
    assert '"20"] and 980 more' in shown
    assert '"21"' not in shown


def test_the_consent_is_explained() -> None:
    """The address to open is printed whole, and it is said that the browser's error page is as it should be."""
    session = Script(replace(VIEW, authorized=False))
    result = shell(session, GRANTED, given=everything())
    assert result.exit_code == 0, result.output
    assert f"\n{CONSENT}\n" in result.stderr
    assert f"{CALLBACK}, where nothing listens" in result.stderr
    assert "HubSpot has granted access: account acme, portal 99" in result.stderr


def test_rubbish_is_asked_for_again() -> None:
    """Whoever pastes the wrong thing is told, and may paste again; HubSpot is not asked for it."""
    session = Script(replace(VIEW, authorized=False))
    result = shell(session, "rubbish", GRANTED, given=everything())
    assert result.exit_code == 0
    assert "Copy all of the browser's address bar." in result.stderr
    assert len(session.steps("finish")) == 1


def test_a_denied_consent_may_be_granted_after_all() -> None:
    """The reason is told, and a fresh address is given: a state is good once."""
    session = Script(replace(VIEW, authorized=False))
    session.once["finish"] = [SetupProblem("consent_denied", "access was denied", "Open the address again")]
    answers = (f"{CALLBACK}?error=access_denied&state=state-1", GRANTED)
    result = shell(session, *answers, given=replace(everything(), yes=False), fill=True)
    assert "access was denied. Open the address again." in result.stderr
    assert result.stderr.count(CONSENT) == 2
    assert len(session.steps("finish")) == 2


def test_a_wrong_client_secret_may_be_given_anew() -> None:
    """Where the secret was typed in, it can be typed in again, unseen."""
    session = Script()
    wrong = SetupProblem("wrong_client_secret", "HubSpot does not take it", "Copy it anew", field="secret")
    session.once["finish"] = [wrong]
    answers = ("app-acme", "", "wrong-secret", "", GRANTED, "app-acme", "", "right-secret", "", GRANTED)
    result = shell(
        session,
        *answers,
        "y",
        "n",
        given=Given(account="acme", list_id=10, source=VIP, identifier="2006", connector="vip"),
    )
    assert result.exit_code == 0, result.output
    assert [form.secret for form in session.forms()] == ["wrong-secret", "right-secret"]
    assert {form.secret_from for form in session.forms()} == {"pasted"}
    assert "-secret" not in result.output.replace("client-secret", "")


def test_a_form_that_is_refused_is_asked_for_again() -> None:
    """What is wrong with an answer is told, and the questions come once more."""
    session = Script()
    session.once["add_account"] = [SetupProblem("invalid", "No file is there", "Name another", field="secret")]
    result = shell(session, "app-acme", "nowhere", "", "app-acme", "somewhere", "", given=Given(account="acme"))
    assert "No file is there. Name another." in result.stderr
    assert [form.secret for form in session.forms()] == ["nowhere", "somewhere"]


def test_an_account_is_chosen_among_those_of_the_file() -> None:
    """With one account Enter takes it; the states are shown."""
    session = Script(VIEW)
    result = shell(session, "")
    assert ["acme", "app-acme", "authorized", "0"] in cells(result.stderr)
    assert session.steps("find_lists") == [("find_lists", "acme", "")]


def test_credentials_that_cannot_be_read_may_be_given_anew() -> None:
    """What is wrong with an account is said, and its credentials are asked for."""
    session = Script(replace(VIEW, problem="the file secrets/acme is not there", requests_per_10s=50))
    result = shell(session, "", "y", "", "elsewhere", "")
    assert "account acme: the file secrets/acme is not there" in result.stderr
    form = AccountForm("acme", "app-acme", "50", "file", "elsewhere")
    assert session.steps("add_account") == [("add_account", form, False)]


# The list.


def test_a_list_is_looked_for_and_taken_by_its_id() -> None:
    """All lists are shown, active ones with the reason; a part of a name narrows them; an id takes one."""
    session = Script(VIEW)
    result = shell(session, "", "vip", "nothing", "10")
    assert ["11", "Active", "9", "an active list is filled by HubSpot itself"] in cells(result.stderr)
    assert ["12", "Winback 2026", "0", "winback"] in cells(result.stderr)
    assert [text for _, _, text in session.steps("find_lists")] == ["", "vip", "nothing"]
    assert "there is no such list" in result.stderr
    assert session.steps("sources")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("99", "there is no list 99. Search for it by its name."),
        ("11", "list 11, Active: an active list is filled by HubSpot itself. Take another one."),
        ("12", "list 12, Winback 2026, is kept by winback. Take another one."),
    ],
)
def test_a_list_of_no_use_is_told_and_another_asked_for(typed: str, told: str) -> None:
    """A wrong id, an active list and a list that is kept already are told at once."""
    session = Script(VIEW)
    result = shell(session, "", typed, "10")
    assert told in result.stderr
    assert session.steps("sources")


def test_a_new_list_is_made() -> None:
    """A plus and a name make a list; a taken name is told, and another asked for."""
    session = Script(VIEW)
    session.once["create_list"] = [SetupProblem("name_taken", "the name is taken", "Take another", field="name")]
    result = shell(session, "", "+ VIP", "+ VIP 2")
    assert "the name is taken. Take another." in result.stderr
    assert "list 5000 was made: VIP 2" in result.stderr


def test_a_revoked_token_is_repaired_on_the_way() -> None:
    """When HubSpot no longer takes the token, the account is authorized anew, and the step is done again."""
    session = Script(VIEW)
    session.once["look_up"] = [SetupProblem("token_revoked", "the token was revoked", "Authorize again")]
    result = shell(session, GRANTED, given=everything())
    assert result.exit_code == 0, result.output
    assert "the token was revoked. Authorize again." in result.stderr
    assert [each[0] for each in session.calls if each[0] in STEPS] == ["look_up", "finish", "look_up", "prove", "save"]


# The source, the slot and the name.


def test_a_source_is_typed_in() -> None:
    """What is no source is told; one that was not seen may be named."""
    session = Script(VIEW)
    result = shell(session, "", "10", "9", "audience:", "journey:winback", "", "", "y", "n")
    assert "9 is none of the numbers, and no source. Write audience:ID or journey:ID." in result.stderr
    assert [choice.source for choice in session.saved()] == [WINBACK]


def test_sources_that_cannot_be_read_may_be_typed_in() -> None:
    """Without Kafka the source is typed in; the proof says the rest."""
    session = Script(VIEW)
    session.once["sources"] = [SetupProblem("kafka_down", "Kafka cannot be asked", "Check it")]
    result = shell(session, "", "10", "audience:vip", "", "", "y", "n")
    assert "Kafka cannot be asked. Check it." in result.stderr
    assert result.exit_code == 0, result.output


def test_nothing_was_seen() -> None:
    """Empty topics are told."""
    session = Script(VIEW)
    session.seen = Sources((), 0)
    assert "no audience and no journey was seen in recent events" in shell(session, "", "10").stderr


def test_the_slots_of_a_source_are_shown() -> None:
    """Whoever chooses a slot sees how many events carry it, and how many a record id."""
    shown = cells(shell(Script(VIEW), "", "10", "audience:vip").stderr)
    assert ["1", "audience:vip", "4", "2026-11-01T12:00:00.000Z", ""] in shown
    assert shown[-2:] == [["2006", "100%", "75%"], ["7", "50%", "0%"]]


def test_a_name_that_is_taken_is_asked_for_again() -> None:
    """The connector's name is the only thing that is asked once more."""
    session = Script(VIEW)
    session.once["prove"] = [SetupProblem("invalid", "vip is taken", "Take another name", field="connector")]
    result = shell(session, "", "10", "1", "", "vip", "vip-2", "y", "n")
    assert "vip is taken. Take another name." in result.stderr
    assert [choice.connector for choice in session.saved()] == ["vip-2"]


# A connector that is there.


def test_a_connector_of_the_file_is_changed() -> None:
    """Named by --connector it keeps what no option says, its being disabled as well."""
    session = Script(replace(VIEW, connectors=(KEPT,)))
    result = shell(session, given=Given(connector="vip", source=WINBACK, yes=True))
    assert result.exit_code == 0, result.output
    assert "connector vip is in the file: it is changed" in result.stderr
    assert session.steps("save") == [("save", Choice("vip", "acme", 10, WINBACK, "7", enabled=False), "vip")]


def test_a_connector_moves_to_another_account() -> None:
    """Its list is none of the other account's, so that must be said as well."""
    session = Script(replace(VIEW, connectors=(KEPT,)), replace(VIEW, name="other"))
    moved = Given(connector="vip", account="other", yes=True)
    refused = shell(session, given=moved)
    assert (refused.exit_code, session.steps("save")) == (2, [])
    assert "add --list." in refused.stderr
    assert shell(session, given=replace(moved, list_id=10)).exit_code == 0
    assert [choice.account for choice in session.saved()] == ["other"]


def test_a_connector_is_enabled() -> None:
    """Nothing else changes then."""
    session = Script(replace(VIEW, connectors=(KEPT,)))
    assert shell(session, given=Given(connector="vip", enabled=True, yes=True)).exit_code == 0
    assert session.steps("save") == [("save", Choice("vip", "acme", 10, VIP, "7", enabled=True), "vip")]


def test_its_values_are_what_enter_takes() -> None:
    """In a conversation its values are the defaults; its own list is no list of another connector."""
    session = Script(replace(VIEW, connectors=(KEPT,)))
    session.lists = (ListOption(10, "VIP", 3, connector="vip"),)
    result = shell(session, "", "", "", "", "y", "n", given=Given(connector="vip"))
    assert result.exit_code == 0, result.output
    assert session.steps("save") == [("save", Choice("vip", "acme", 10, VIP, "7", enabled=False), "vip")]


# Nothing asked.


def test_options_leave_nothing_to_ask() -> None:
    """Of an authorized account all can be said with options: nothing is read, nothing but the result is on stdout."""
    session = Script(VIEW)
    result = shell(session, given=everything())
    assert (result.exit_code, result.stdout) == (0, f"vip was saved in {PATH}\n"), result.output
    assert "Next: start `run`, or restart it" in result.stderr
    assert "hubspot-list-sync rebuild --connector vip --config config.yaml" in result.stderr
    assert session.steps("fill") == []


@pytest.mark.parametrize(
    ("left_out", "option"),
    [("account", "--account"), ("list_id", "--list"), ("source", "--source")],
)
def test_what_has_no_default_is_wrong_usage(left_out: str, option: str) -> None:
    """With --yes nothing is asked: what is missing is named, and nothing is saved."""
    session = Script(VIEW, replace(VIEW, name="other"))
    result = shell(session, given=everything(**{left_out: None}))
    assert (result.exit_code, session.steps("save")) == (2, [])
    assert f"with --yes nothing is asked: add {option}." in result.stderr


def test_what_a_new_account_needs_is_wrong_usage() -> None:
    """A name that the file does not have is a new account: its client id must be said."""
    result = shell(Script(), given=everything())
    assert result.exit_code == 2
    assert "add --client-id." in result.stderr


def test_a_new_account_from_the_environment() -> None:
    """The secret may be in a variable."""
    session = Script()
    given = everything(client_id="app", client_secret_env="SECRET", requests_per_10s=50)
    result = shell(session, GRANTED, given=given)
    assert result.exit_code == 0, result.output
    assert session.forms() == [AccountForm("acme", "app", "50", "env", "SECRET")]
    assert "secrets/acme-refresh-token (mode 0600)" in result.stderr


@pytest.mark.parametrize("kind", ["consent_denied", "wrong_state", "code_used", "wrong_client_secret", "hubspot_down"])
def test_a_problem_ends_it_when_nobody_is_asked(kind: str) -> None:
    """One line says what is the case and what to do; the exit code is 1, and nothing is asked again."""
    session = Script(replace(VIEW, authorized=False))
    session.once["finish"] = [SetupProblem(kind, "It went wrong with hunter2-secret", "Mend it")]
    result = shell(session, GRANTED, given=everything())
    assert (result.exit_code, result.stdout, session.steps("save")) == (1, "", [])
    assert result.stderr.splitlines()[-1] == "It went wrong with ***. Mend it."
    assert len(session.steps("consent_url")) == 1


def test_nobody_answers() -> None:
    """Without a terminal and without input it is said what to do; the exit code is 1."""
    for given in (Given(), everything()):
        result = shell(Script(replace(VIEW, authorized=False)), given=given)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "nobody answers the question: " in result.stderr.splitlines()[-1]
        assert "say all with options" in result.stderr.splitlines()[-1]


def test_problems_are_not_saved_without_a_person() -> None:
    """With --yes a choice that checks find problems with is refused; a person may insist."""
    session = Script(VIEW)
    session.proof = Proof((OK, WRONG), None, "+connectors:\n", good=False)
    refused = shell(session, given=everything())
    assert (refused.exit_code, refused.stdout, session.steps("save")) == (1, "", [])
    assert ["topic", "topics.changes[0]", "✗ journey.membership is not there", "Create it"] in cells(refused.stderr)
    assert refused.stderr.splitlines()[-1] == "nothing was saved: mend the problem that checks have found"
    unsure = shell(session, "", given=replace(everything(identifier="2006"), yes=False))
    assert (unsure.exit_code, session.steps("save")) == (1, [])
    insisted = shell(session, "y", "n", given=replace(everything(identifier="2006"), yes=False))
    assert (insisted.exit_code, len(session.steps("save"))) == (0, 1)
    assert "Save, although checks have found problems?" in insisted.stderr


def test_kafka_of_a_file_that_has_it_already() -> None:
    """An option that is not used is told."""
    result = shell(Script(VIEW), given=everything(bootstrap_servers="other:9092"))
    assert "the file says already where Kafka is" in result.stderr


# Afterwards.


def test_a_program_gets_all_of_it() -> None:
    """One JSON object tells the choice, the findings, the whole request and what was written."""
    session = Script(VIEW)
    session.proof = replace(session.proof, preview=replace(PREVIEW, adds=tuple(range(1, 1001))))
    result = shell(session, given=everything(), as_json=True, fill=True)
    told = json.loads(result.stdout)
    assert (told["saved"], told["file"], told["secrets"]) == (True, PATH, [])
    assert (told["connector"], told["list_id"], told["source"]) == ("vip", 10, "audience:vip")
    assert len(told["request"]["body"]["recordIdsToAdd"]) == 1000
    assert told["findings"][0]["result"] == "ok"
    assert told["filling"]["summary"] == [["2", "applied, added to the list"]]
    assert result.stderr == ""


def test_a_program_learns_why_it_was_refused() -> None:
    """The object is printed as well where nothing was saved."""
    session = Script(VIEW)
    session.proof = Proof((WRONG,), None, "", good=False)
    result = shell(session, given=everything(), as_json=True)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["saved"], told["request"]) == (1, False, None)
    assert told["findings"][0]["told"] == "journey.membership is not there"


def test_commands_for_kubernetes() -> None:
    """Instead of the file, stdout has what to type, and nothing else."""
    session = Script(VIEW)
    result = shell(session, given=everything(), kubernetes=True)
    assert (result.exit_code, result.stdout) == (0, f"{KUBECTL}\n")
    assert (session.steps("save"), len(session.steps("commands"))) == ([], 1)
    told = json.loads(shell(session, given=everything(), kubernetes=True, as_json=True).stdout)
    assert (told["saved"], told["commands"]) == (False, KUBECTL)


def test_the_list_is_filled_at_once() -> None:
    """With --fill, or a yes, it is waited for until the list is filled; what came of it is shown."""
    for given, answers in ((everything(), ()), (replace(everything(identifier="2006"), yes=False), ("y",))):
        session = Script(VIEW)
        session.progress = [Filling("vip", "running"), Filling("vip", "running", 1, 2), *session.progress]
        result = shell(session, *answers, given=given, fill=True)
        assert result.exit_code == 0, result.output
        assert ["2", "applied, added to the list"] in cells(result.stdout)
        assert session.steps("fill") == [("fill", "vip")]


def test_a_filling_that_fails() -> None:
    """The connector is saved all the same; the exit code is 1."""
    session = Script(VIEW)
    session.progress = [Filling("vip", "failed", problem="Kafka cannot be asked")]
    result = shell(session, given=everything(), fill=True)
    assert (result.exit_code, len(session.steps("save"))) == (1, 1)
    assert "the list was not filled: Kafka cannot be asked" in result.stderr


def test_a_source_without_history() -> None:
    """Nothing to fill is said."""
    session = Script(VIEW)
    session.progress = [Filling("vip", "done")]
    result = shell(session, given=everything(enabled=False), fill=True)
    assert "the log tells of no contact of this source" in result.stderr
    assert "vip is disabled" in result.stderr


# Authorizing alone.


def authorized(session: Script, *lines: str, given: Given | None = None, **more: bool) -> Result:
    """Authorize an account anew."""
    more = {"kubernetes": False, "as_json": False, **more}
    return _run(lambda: reauthorize(_terminal(session, given), **more), lines)


def test_an_account_is_authorized_anew() -> None:
    """--authorize does that and nothing else."""
    session = Script(VIEW)
    result = authorized(session, "", GRANTED)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    assert [each[0] for each in session.calls if each[0] in STEPS] == ["finish"]
    told = json.loads(authorized(session, GRANTED, given=Given(yes=True), as_json=True).stdout)
    assert told == {"account": "acme", "hub_id": 99, "again": True, "written": True}


def test_a_token_for_a_pod_is_brought_there() -> None:
    """Where the file names a place that only a pod has, what to type is printed instead."""
    session = Script(replace(VIEW, connectors=(KEPT,)))
    session.written = False
    result = authorized(session, "", GRANTED)
    assert (result.exit_code, result.stdout) == (0, f"{KUBECTL}\n")
    assert session.steps("commands") == [("commands", Choice("vip", "acme", 10, VIP, "7", enabled=False), "vip")]
    session.written = True
    assert authorized(session, "", GRANTED, kubernetes=True).stdout == f"{KUBECTL}\n"


def test_a_token_without_a_place_is_told() -> None:
    """An account of which there is no connector has no commands: that is an error, not silence."""
    session = Script(VIEW)
    session.written = False
    result = authorized(session, "", GRANTED)
    assert result.exit_code == 1
    assert "the token of acme has no place on this machine" in result.stderr


def test_only_an_account_of_the_file_is_authorized() -> None:
    """There would be no place for the token."""
    result = authorized(Script(VIEW), given=Given(account="nobody"))
    assert result.exit_code == 2
    assert "the file has no account nobody: name one of acme." in result.stderr


# The browser.


@pytest.mark.parametrize(
    ("environ", "platform", "may"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "linux", False),
        ({}, "darwin", True),
        ({}, "win32", True),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "1"}, "linux", False),
        ({"SSH_CONNECTION": "1"}, "darwin", False),
        ({"BROWSER": "somebody's", "SSH_CONNECTION": "1"}, "linux", True),
    ],
)
def test_a_browser_opens_only_where_it_is_seen(environ: dict[str, str], platform: str, *, may: bool) -> None:
    """Over SSH, and where there is no screen, the address is printed and that is all."""
    assert may_open_browser(environ, platform) is may
