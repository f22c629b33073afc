"""The pages, on a setup that only remembers: what each shows, what it asks of the session, how it tells what failed.

Every page that a visitor is shown is held to be well-formed, labelled and without anything inline (`Page.hold`).
"""

import json
from dataclasses import replace

import pytest

from consumer.checks import SCOPES, Finding
from consumer.settings import Source
from consumer.setup.pages import application
from consumer.setup.words import AccountForm, AccountView, Choice, ConnectorView, Filling, SetupProblem, Sources
from tests.fakes.setup_session import CONSENT, NOW, PATH, PROOF, FakeSession
from tests.setup.visitor import HOME, PORT, Visitor

pytestmark = pytest.mark.process  # steps run in worker threads

KEPT = Choice("kept", "acme", 4714, Source("AUDIENCE", "vip"))
KEPT_AT = "account=acme&list=4714&source=audience%3Avip&identifier=2006&connector=kept&replacing=kept"
HOSTILE = "<script>alert('&\"')</script>"


def visit(session: FakeSession) -> Visitor:
    """Return a visitor who has opened the start page."""
    visitor = Visitor(application(session, PORT, f"{HOME}/oauth/callback", clock=lambda: NOW))
    visitor.get("/")
    return visitor


def problem(kind: str, field: str | None = None) -> SetupProblem:
    """Return a problem as the session words it: clauses, which a page makes sentences of."""
    return SetupProblem(kind, "something is the case", "do something about it", field=field)


def assert_told(visitor: Visitor, field: str | None = None) -> None:
    """Hold that the page tells the problem: in its title, to a screen reader, and at its field if it has one."""
    page = visitor.page
    assert page.title.startswith("Problem: something is the case · ")
    assert page.by_id("problem")["role"] == "alert"
    assert "Something is the case. Do something about it." in page.words
    if field is not None:
        given = page.by_id(field)
        assert given["aria-invalid"] == "true"
        assert f"{field}-fault" in given["aria-describedby"].split()
        assert "autofocus" in given


def first_day() -> tuple[FakeSession, Visitor]:
    """Return a setup of nothing, whose visitor has said where Kafka is and added an account."""
    session = FakeSession()
    visitor = visit(session)
    visitor.submit("Use these", servers="kafka:9092")
    visitor.follow("Add an account")
    visitor.submit("Continue", name="acme", client_id="client-1", secret_from="env", secret_env="SECRET")
    return session, visitor


def at_review(session: FakeSession) -> Visitor:
    """Return a visitor who has chosen all, on the page that shows the proof."""
    visitor = visit(session)
    visitor.get("/list?account=acme")
    visitor.submit("Continue", list="4711")
    visitor.submit("Continue", source="journey:welcome", identifier="2007")
    return visitor


# The first day.


def test_a_first_connector_from_nothing_to_filling_its_list() -> None:
    """Whoever begins with nothing is led from Kafka to a list that is being filled, each step at its place."""
    session, visitor = first_day()
    steps = [visitor.page.headings[0]]
    answer = visitor.follow("Authorize HubSpot")
    assert (answer.status, answer.headers["location"]) == (303, CONSENT)
    visitor.get("/oauth/callback?code=c0de&state=fresh", **{"Sec-Fetch-Site": "cross-site"})
    steps.append(visitor.page.headings[0])
    visitor.follow("Choose a list")
    steps.append(visitor.page.headings[0])
    visitor.submit("Continue", list="4711")
    steps.append(visitor.page.headings[0])
    visitor.submit("Continue", source="audience:vip")
    steps.append(visitor.page.headings[0])
    visitor.submit("Save")
    steps.append(visitor.page.headings[0])
    visitor.submit("Fill the list now")
    steps.append(visitor.page.headings[0])
    assert steps == [
        "Authorize HubSpot for acme",
        "HubSpot is authorized",
        "Choose a list",
        "Choose an audience or journey",
        "Review and save",
        "vip-customers is saved",
        "Filling the list of vip-customers",
    ]
    choice = Choice("vip-customers", "acme", 4711, Source("AUDIENCE", "vip"))
    assert [call for call in session.calls if call[0] in {"finish", "prove", "save", "fill"}] == [
        ("finish", {"code": "c0de", "state": "fresh"}),
        ("prove", choice, None),
        ("save", choice, None),
        ("fill", "vip-customers"),
    ]


def test_the_first_day_asks_where_kafka_is() -> None:
    """Without a file the overview asks for Kafka, and no longer once it was told."""
    session = FakeSession()
    visitor = visit(session)
    assert "First: where Kafka is" in visitor.page.words
    visitor.submit("Use these", servers=" kafka:9092 ", group_id="g", registry_url="http://registry:8081")
    assert ("connect_kafka", "kafka:9092", "g", "http://registry:8081") in session.calls
    assert "where Kafka is" not in visitor.page.words


def test_a_kafka_that_is_wrong_is_told_at_its_field() -> None:
    """What was typed stands there again, with what is wrong at its field."""
    session = FakeSession(problems={"connect_kafka": problem("invalid", "registry_url")})
    visitor = visit(session)
    visitor.submit("Use these", servers="kafka:9092", registry_url="nonsense")
    assert_told(visitor, "registry_url")
    assert visitor.page.by_id("servers")["value"] == "kafka:9092"


def test_the_overview_shows_all_there_is() -> None:
    """Accounts come with their state in words, connectors with theirs, and what to do next with each."""
    session = FakeSession.with_connector()
    session.accounts["new"] = AccountView("new", "c", authorized=False, saved=False)
    session.accounts["bad"] = AccountView("bad", "c", authorized=True, saved=True, problem="its token was revoked")
    page = visit(session).page
    for words in (PATH, "HubSpot portal 99", "kept", "audience:vip", "4714", "Enabled", "Not authorized"):
        assert words in page.words
    assert "Its token was revoked." in page.words
    assert page.links["kept"] == "/connectors/kept"
    assert page.links["New connector for acme"] == "/list?account=acme"
    assert page.links["Authorize HubSpot for new"] == "/accounts/new/authorize"
    assert page.links["Authorize again for bad"] == "/accounts/bad/authorize"
    assert "New connector for new" not in page.links


def test_a_crowd_of_connectors_is_cut() -> None:
    """Of thousands of connectors a hundred are shown, and any other is opened by its name."""
    session = FakeSession.with_connector()
    [kept] = session.accounts["acme"].connectors
    crowd = tuple(replace(kept, name=f"c{number}") for number in range(1000))
    session.accounts["acme"] = replace(session.accounts["acme"], connectors=crowd)
    visitor = visit(session)
    assert "The first 100 of 1,000 connectors are shown." in visitor.page.words
    assert len([href for href in visitor.page.links.values() if href.startswith("/connectors/")]) == 100
    visitor.submit("Open", name="nobody")
    assert visitor.page.by_id("name")["aria-invalid"] == "true"
    assert "There is no connector nobody." in visitor.page.words
    visitor.submit("Open", name="c999")
    assert visitor.page.headings == ["Connector c999"]


# Accounts.


@pytest.mark.parametrize("secret_from", ["file", "env", "pasted"])
def test_an_account_says_where_its_secret_is(secret_from: str) -> None:
    """The secret comes from the field of the button that is pressed in; the others do not matter."""
    session = FakeSession()
    visitor = visit(session)
    visitor.get("/accounts/new")
    secrets = {"secret_file": "of-file", "secret_env": "of-env", "secret_pasted": "of-pasted"}
    visitor.submit("Continue", name=" acme ", client_id="c", secret_from=secret_from, requests_per_10s="90", **secrets)
    [(_, form, new)] = [call for call in session.calls if call[0] == "add_account"]
    assert isinstance(form, AccountForm)
    assert (form.name, form.client_id, form.requests_per_10s, new) == ("acme", "c", "90", True)
    assert (form.secret_from, form.secret) == (secret_from, f"of-{secret_from}")


def test_the_limits_of_hubspot_are_at_hand() -> None:
    """Whoever must say how many requests are allowed finds what HubSpot allows."""
    visitor = visit(FakeSession())
    page = visitor.get("/accounts/new")
    for words in ("110 for each account", "Free or Starter", "190", "250"):
        assert words in page.words


@pytest.mark.parametrize("field", ["name", "client_id", "requests_per_10s"])
def test_a_wrong_account_is_told_at_its_field(field: str) -> None:
    """What was typed stands there again, but for a secret that was pasted."""
    session = FakeSession(problems={"add_account": problem("invalid", field)})
    visitor = visit(session)
    visitor.get("/accounts/new")
    sent = {"name": "acme", "client_id": "c-9", "requests_per_10s": "many", "secret_file": "secrets/x"}
    visitor.submit("Continue", secret_from="pasted", secret_pasted="s3cret", **sent)
    assert_told(visitor, field)
    for name, value in sent.items():
        assert visitor.page.by_id(name)["value"] == value
    assert "checked" in visitor.page.by_id("secret_from-pasted")
    assert "s3cret" not in visitor.page.html


def test_a_secret_in_the_wrong_place_is_not_shown_again() -> None:
    """Where the secret's place is what is wrong, perhaps the secret itself was typed there."""
    session = FakeSession(problems={"add_account": problem("invalid", "secret")})
    visitor = visit(session)
    visitor.get("/accounts/new")
    visitor.submit(
        "Continue", name="acme", client_id="c", secret_from="file", secret_file="s3cret", secret_env="s3cret"
    )
    assert_told(visitor)
    assert visitor.page.by_id("secret")["aria-describedby"] == "secret-fault"
    assert visitor.page.by_id("secret_file")["aria-invalid"] == "true"
    assert visitor.page.by_id("name")["value"] == "acme"
    assert "s3cret" not in visitor.page.html


def test_credentials_of_an_account_can_be_changed() -> None:
    """The form shows what holds, and the account keeps its name."""
    session = FakeSession.with_connector()
    session.accounts["acme"] = replace(session.accounts["acme"], requests_per_10s=42)
    visitor = visit(session)
    visitor.follow("Change credentials of acme")
    assert visitor.page.headings == ["Change credentials of acme"]
    assert visitor.page.by_id("client_id")["value"] == "client-1"
    assert visitor.page.by_id("requests_per_10s")["value"] == "42"
    visitor.submit("Continue", client_id="client-2", secret_file="f")
    [(_, form, new)] = [call for call in session.calls if call[0] == "add_account"]
    assert (form, new) == (AccountForm("acme", "client-2", "42", "file", "f"), False)
    assert visitor.page.headings == ["Authorize HubSpot for acme"]


def test_wrong_credentials_come_back_to_their_own_form() -> None:
    """A problem with other credentials is told on the form of that account, not on the one of a new account."""
    session = FakeSession.with_connector()
    session.problems["add_account"] = problem("invalid", "client_id")
    visitor = visit(session)
    visitor.get("/accounts/acme/credentials")
    visitor.submit("Continue", client_id="client-2")
    assert_told(visitor, "client_id")
    assert visitor.page.headings == ["Change credentials of acme"]
    assert visitor.page.by_id("client_id")["value"] == "client-2"


def test_before_consent_one_reads_what_for() -> None:
    """The page names the four scopes, and the redirect address to register with the app, letter by letter."""
    _, visitor = first_day()
    for words in (*SCOPES, f"{HOME}/oauth/callback"):
        assert words in visitor.page.words


def test_a_consent_that_cannot_begin_is_told() -> None:
    """Where there is no address to go to, the page before says why."""
    session, visitor = first_day()
    session.problems["consent_url"] = problem("invalid")
    visitor.follow("Authorize HubSpot")
    assert_told(visitor)
    assert visitor.page.headings == ["Authorize HubSpot for acme"]


KINDS = [
    "consent_denied",
    "wrong_state",
    "missing_scope",
    "wrong_client_secret",
    "redirect_not_registered",
    "code_used",
    "no_lists_tool",
    "other_portal",
    "token_revoked",
    "hubspot_down",
    "failed",
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_authorization_that_failed_can_be_tried_again(kind: str) -> None:
    """Whatever went wrong at HubSpot is told with what to do, and leads back to where one tries again."""
    session, visitor = first_day()
    session.problems["finish"] = problem(kind)
    visitor.follow("Authorize HubSpot")
    visitor.get("/oauth/callback?code=c0de&state=st4te", **{"Sec-Fetch-Site": "cross-site"})
    assert_told(visitor)
    assert visitor.page.headings == ["HubSpot is not authorized"]
    assert visitor.page.links["Try again"] == "/accounts/acme/authorize"
    assert visitor.page.links["Change credentials"] == "/accounts/acme/credentials"


@pytest.mark.parametrize("outcome", [None, problem("code_used"), RuntimeError("c0de")])
def test_nothing_of_the_answer_stays_in_the_browser(
    outcome: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it succeeded, was refused or broke: neither the address that stays nor the page holds code or state."""
    session, visitor = first_day()
    if outcome is not None:
        session.problems["finish"] = outcome
    visitor.get("/oauth/callback?code=c0de&state=st4te", **{"Sec-Fetch-Site": "cross-site"})
    assert visitor.page.url == f"{HOME}/authorized/1"
    assert visitor.page.status == 200
    for secret in ("c0de", "st4te"):
        assert secret not in visitor.page.html
    visitor.get("/authorized/1")
    assert visitor.page.url == f"{HOME}/authorized/1", "a reload tells the same"
    assert [record for record in caplog.records if "st4te" in record.getMessage()] == []


def test_an_outcome_that_is_forgotten_leads_to_the_overview() -> None:
    """An address of an earlier run, kept by the browser, is no dead end."""
    _, visitor = first_day()
    for path in ("/authorized/77", "/commands/77", "/problem?told=77"):
        assert visitor.get(path).url == f"{HOME}/"


def test_authorizing_again_says_what_becomes_of_the_service() -> None:
    """A token that took the place of another is taken up by the running service, and the page says so."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    visitor.follow("Authorize again for acme")
    assert "authorized already" in visitor.page.words
    visitor.get("/oauth/callback?code=c&state=s", **{"Sec-Fetch-Site": "cross-site"})
    assert "The new token took the place of the old one in its file." in visitor.page.words
    assert "Back to the overview" in visitor.page.links
    session.has_places = False
    visitor.get("/oauth/callback?code=c&state=s", **{"Sec-Fetch-Site": "cross-site"})
    assert "The new token is not written yet" in visitor.page.words


# The list.


def test_lists_come_with_what_one_needs_to_choose() -> None:
    """Each list has name, id and size; what cannot be chosen says why, not by its colour alone."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    page = visitor.get("/list?account=acme")
    for words in ("VIP customers List 4711, 1,234 contacts.", "Newsletter List 4712.", "4 lists"):
        assert words in page.words
    assert "Cannot be used: it is an active list, which HubSpot fills itself." in page.words
    assert "Connector kept keeps it already." in page.words
    disabled = {given["value"] for given in page.all("input", name="list") if "disabled" in given}
    assert disabled == {"4713", "4714"}


def test_a_search_is_a_form_and_needs_no_script() -> None:
    """The button searches, and what was chosen before stays chosen."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    visitor.get("/list?account=acme&source=journey%3Awelcome")
    visitor.submit("Search", q="vip")
    assert visitor.page.url == f"{HOME}/list?account=acme&source=journey%3Awelcome&q=vip"
    assert [given["value"] for given in visitor.page.all("input", name="list")] == ["4711"]
    visitor.submit("Search", q="nothing like it")
    assert "No list has such a name." in visitor.page.words


def test_search_as_you_type_gets_the_lists_alone() -> None:
    """The script asks at the address that the field carries, and gets no page but the lists."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    there = visitor.get("/list?account=acme").by_id("q")["data-search"]
    answer = visitor.request("GET", f"{there}&q=VIP", headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 200
    assert 'value="4711"' in answer.text
    assert "<html" not in answer.text
    session.problems["find_lists"] = problem("hubspot_down")
    answer = visitor.request("GET", f"{there}&q=VIP", headers={"Sec-Fetch-Site": "same-origin"})
    assert "Something is the case. Do something about it." in answer.text


def test_a_chosen_list_gives_the_connector_its_name() -> None:
    """The connector is called like its list, until somebody calls it otherwise."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    visitor.get("/list?account=acme")
    visitor.submit("Continue", list="4711")
    assert visitor.page.url == f"{HOME}/source?account=acme&list=4711&connector=vip-customers"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("list", "4713", "Everybody cannot be used: it is an active list"),
        ("list", "4714", "Connector kept keeps Kept already."),
        ("list", "", "No list is chosen."),
        ("list_id", "4713", "Everybody cannot be used: it is an active list"),
        ("list_id", "4714", "Connector kept keeps Kept already."),
        ("list_id", "77", "There is no list 77. Search for it by its name."),
        ("list_id", "seven", "A list's id is a number."),
        ("list_id", "\u0667", "A list's id is a number."),
        ("list_id", "9" * 400, "A list's id is a number."),
        ("list_id", "0", "A list's id is a number."),
        ("list_id", "-1", "A list's id is a number."),
    ],
)
def test_a_list_that_cannot_be_taken_is_told_at_its_field(field: str, value: str, words: str) -> None:
    """Whether it was picked or typed, the page of lists says why not, where it was picked or typed."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    visitor.get("/list?account=acme")
    button = "Look up" if field == "list_id" else "Continue"
    visitor.submit(button, **{field: value})
    assert visitor.page.headings == ["Choose a list"]
    assert words in visitor.page.words
    assert f"{field}-fault" in visitor.page.by_id(field)["aria-describedby"]
    if field == "list_id":
        assert visitor.page.by_id(field)["value"] == value


def test_an_id_of_an_older_api_is_told_at_its_field() -> None:
    """Whoever pastes the other of HubSpot's two ids hears the right one where it was pasted."""
    session = FakeSession.with_connector()
    session.problems["look_up"] = problem("older_id", "list_id")
    visitor = visit(session)
    visitor.get("/list?account=acme")
    visitor.submit("Look up", list_id="12")
    assert_told(visitor, "list_id")


def test_a_list_can_be_created() -> None:
    """A list that is made here is chosen at once; a taken name is told at the field, with what was typed."""
    session = FakeSession.with_connector()
    session.problems["create_list"] = problem("name_taken", "name")
    visitor = visit(session)
    visitor.get("/list?account=acme")
    visitor.submit("Create list", name="VIP customers")
    assert_told(visitor, "name")
    assert visitor.page.by_id("name")["value"] == "VIP customers"
    session.problems.clear()
    visitor.submit("Create list", name=" New ")
    assert ("create_list", "acme", "New") in session.calls
    assert visitor.page.url == f"{HOME}/source?account=acme&list=5000&connector=new"


@pytest.mark.parametrize(
    ("kind", "status", "link"),
    [
        ("hubspot_down", 503, "Try again"),
        ("token_revoked", 200, "Authorize HubSpot again"),
        ("no_lists_tool", 200, "Authorize HubSpot again"),
        ("not_authorized", 200, "Authorize HubSpot again"),
        ("wrong_client_secret", 200, "Change credentials"),
    ],
)
def test_lists_that_hubspot_does_not_give(kind: str, status: int, link: str) -> None:
    """Without lists the page says why, what to do leads there, and an id can be typed all the same."""
    session = FakeSession.with_connector()
    session.problems["find_lists"] = problem(kind)
    visitor = visit(session)
    assert visitor.get("/list?account=acme").status == status
    assert_told(visitor)
    assert link in visitor.page.links
    visitor.submit("Look up", list_id="4711")
    assert visitor.page.headings == ["Choose an audience or journey"]


# The source.


def test_sources_come_with_what_their_events_carry() -> None:
    """Each source has its events, the newest of them, and the share that carries the slot as a record id."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    page = visitor.get("/source?account=acme&list=4711&connector=x")
    for words in (
        "1,207 events were looked at, the oldest from 1 d ago.",
        "Audience vip 1,200 events, the newest 4 min ago. Feeds already: kept.",
        "Slot 2006 is in 98% of its events, with a HubSpot record id in 97%. Other slots: 2007 in 50%.",
        "Journey welcome 7 events, the newest 2 h ago.",
        "Slot 2006 is in none of its events. Other slots: 2007 in 100%.",
    ):
        assert words in page.words


def test_a_crowd_of_sources_is_cut() -> None:
    """Of a thousand sources the busiest are shown; one that is not shown is typed, and stays chosen."""
    session = FakeSession.with_connector()
    [first, *_] = session.seen.options
    crowd = tuple(replace(first, source=Source("AUDIENCE", f"a{number}")) for number in range(1000))
    session.seen = replace(session.seen, options=crowd)
    visitor = visit(session)
    page = visitor.get("/source?account=acme&list=4711&connector=x&source=audience%3Aa777")
    assert "The busiest 100 of 1,000 sources are shown; type the id of any other." in page.words
    assert len(page.all("input", name="source")) == 101
    assert "checked" in page.by_id("source-other")
    assert page.by_id("source_id")["value"] == "a777"


@pytest.mark.parametrize(("kind", "source"), [("audience", "audience:a:b c"), ("journey", "journey:a:b c")])
def test_a_source_can_be_typed(kind: str, source: str) -> None:
    """A source that was not seen lately is typed, whatever its id holds."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    visitor.get("/source?account=acme&list=4711&connector=x")
    visitor.submit("Continue", source="typed", type=kind, source_id="a:b c", identifier="2007")
    [(_, choice, _)] = [call for call in session.calls if call[0] == "prove"]
    assert isinstance(choice, Choice)
    assert (str(choice.source), choice.identifier) == (source, "2007")
    visitor.follow("Change the source")
    assert "checked" in visitor.page.by_id("source-other")
    assert visitor.page.by_id("source_id")["value"] == "a:b c"
    assert visitor.page.by_id("identifier")["value"] == "2007"
    assert [given["value"] for given in visitor.page.all("option") if "selected" in given] == [kind]


@pytest.mark.parametrize(
    ("sent", "field", "words"),
    [
        ({}, "source", "No audience or journey is named."),
        ({"source": "typed", "type": "journey", "source_id": " "}, "source_id", "No audience or journey is named."),
        ({"source": "segment:x"}, "source", "No audience or journey is named."),
        ({"source": "audience:vip", "identifier": " "}, "identifier", "No slot is named."),
    ],
)
def test_a_source_that_is_missing_is_told_at_its_field(sent: dict[str, str], field: str, words: str) -> None:
    """Nothing chosen, nothing typed, no slot: each is said where it is missing."""
    visitor = visit(FakeSession.with_connector())
    visitor.get("/source?account=acme&list=4711&connector=x")
    visitor.submit("Continue", **sent)
    assert visitor.page.headings == ["Choose an audience or journey"]
    assert words in visitor.page.words
    assert f"{field}-fault" in visitor.page.by_id(field)["aria-describedby"]


def test_without_kafka_a_source_is_typed() -> None:
    """Where the topics cannot be read the page says why, and goes on with an id that is typed."""
    session = FakeSession.with_connector()
    session.problems["sources"] = problem("kafka_down")
    visitor = visit(session)
    assert visitor.get("/source?account=acme&list=4711&connector=x").status == 503
    assert_told(visitor)
    assert "checked" in visitor.page.by_id("source-other")
    visitor.submit("Continue", source_id="vip")
    assert visitor.page.headings == ["Review and save"]


def test_topics_without_events_say_so() -> None:
    """Where nothing was seen the page says that, and one types."""
    session = FakeSession.with_connector()
    session.seen = Sources((), 0)
    page = visit(session).get("/source?account=acme&list=4711&connector=x")
    assert "No event was found in the topics: type the id." in page.words


# Proof and saving.


def test_the_proof_is_shown_before_anything_is_saved() -> None:
    """Checks with result and remedy, the exact request, and what changes in the file stand above the button."""
    session = FakeSession.with_connector()
    page = at_review(session).page
    for words in (
        "Scopes accounts.acme OK All four are granted.",
        "Not known Its cleanup.policy could not be asked. See that it is delete.",
        "The last 12 events of journey:welcome would add 2 contacts and remove 1. It is not sent.",
        "2 of the events have no identifier in slot 2007, 1 one that is no HubSpot record id.",
        "PUT /crm/lists/2026-03/4711/memberships/add-and-remove",
        "- old: 1",
        "+ vip: 2",
    ):
        assert words in page.words
    body = page.text[page.text.index('{\n "recordIdsToAdd"') : page.text.index("The file")]
    assert json.loads(body) == {"recordIdsToAdd": ["101", "102"], "recordIdsToRemove": ["103"]}
    assert "save" not in [call[0] for call in session.calls]


@pytest.mark.parametrize(
    ("preview", "words"),
    [
        (None, "It cannot be shown: the topics could not be read."),
        (replace(PROOF.preview, events=0) if PROOF.preview else None, "No event of journey:welcome was found"),
    ],
)
def test_a_request_that_cannot_be_shown_says_why(preview: object, words: str) -> None:
    """No events and no Kafka are told apart."""
    session = FakeSession.with_connector()
    session.proof = replace(PROOF, preview=preview, diff="")  # type: ignore[arg-type]  # None or a Preview
    page = at_review(session).page
    assert words in page.words
    assert "Nothing changes in it." in page.words


def test_what_is_saved_is_what_was_proven() -> None:
    """The connector is saved as the page shows it, and the next page says what was written where, and what is next."""
    session = FakeSession.with_connector()
    visitor = at_review(session)
    visitor.submit("Save")
    choice = Choice("vip-customers", "acme", 4711, Source("JOURNEY", "welcome"), "2007")
    assert session.calls[-3:-1] == [("prove", choice, None), ("save", choice, None)]
    for words in (f"Written: {PATH}", "Restart run, or start it: it reads the file at start.", "Fill the list now"):
        assert words in visitor.page.words
    assert visitor.page.words.index("Restart run") < visitor.page.words.index("Fill the list now")


def test_secrets_that_were_written_are_named() -> None:
    """With the first connector of an account the files of its secrets are named."""
    session, visitor = first_day()
    visitor.get("/list?account=acme")
    visitor.submit("Continue", list="4711")
    visitor.submit("Continue", source="audience:vip")
    visitor.submit("Save")
    assert "Written, for you alone to read: secrets/acme-refresh-token" in visitor.page.words
    visitor.get("/saved/vip-customers")
    assert visitor.page.headings == ["vip-customers is saved"], "an old address still says what to do next"
    assert session.accounts["acme"].saved


def test_another_name_or_state_is_proven_first() -> None:
    """Whoever changes name or state and presses Save sees the proof for it first; what is typed is kept."""
    session = FakeSession.with_connector()
    visitor = at_review(session)
    visitor.submit("Save", connector="other", on="")
    assert "save" not in [call[0] for call in session.calls]
    assert "Nothing is saved yet." in visitor.page.words
    assert visitor.page.by_id("connector")["value"] == "other"
    assert "checked" not in visitor.page.by_id("on")
    visitor.submit("Save")
    choice = Choice("other", "acme", 4711, Source("JOURNEY", "welcome"), "2007", enabled=False)
    assert ("save", choice, None) in session.calls


def test_checking_again_saves_nothing() -> None:
    """The proof is asked for as often as one likes."""
    session = FakeSession.with_connector()
    visitor = at_review(session)
    visitor.submit("Check again")
    assert [call[0] for call in session.calls].count("prove") == 2
    assert "save" not in [call[0] for call in session.calls]
    assert "Nothing is saved yet" not in visitor.page.words


@pytest.mark.parametrize(("button", "step"), [("Save", "save"), ("Show commands for Kubernetes", "commands")])
def test_a_proof_with_problems_needs_a_tick(button: str, step: str) -> None:
    """What the checks refuse is saved only by whoever says so."""
    session = FakeSession.with_connector()
    finding = Finding("list", "connectors.vip.list_id", "problem", "4711 is gone", "Choose another list")
    session.proof = replace(PROOF, findings=(finding,), good=False)
    visitor = at_review(session)
    assert "Problem 4711 is gone. Choose another list." in visitor.page.words
    visitor.submit(button)
    assert step not in [call[0] for call in session.calls]
    assert "anyway-fault" in visitor.page.by_id("anyway")["aria-describedby"]
    visitor.submit(button, anyway="yes")
    assert step in [call[0] for call in session.calls]


def test_a_name_that_is_taken_is_told_at_its_field() -> None:
    """Without a proof there is nothing to save, and another name can be tried."""
    session = FakeSession.with_connector()
    session.problems["prove"] = problem("invalid", "connector")
    visitor = at_review(session)
    assert_told(visitor, "connector")
    assert all("Save" not in form.buttons for form in visitor.page.forms)
    session.problems.clear()
    visitor.submit("Check again", connector="free")
    assert "Save" in visitor.page.forms[-1].buttons


@pytest.mark.parametrize("kind", ["file_changed", "failed"])
def test_a_file_that_cannot_be_written_is_told(kind: str) -> None:
    """Where nothing was written the proof is shown anew, of the file as it is now."""
    session = FakeSession.with_connector()
    visitor = at_review(session)
    session.problems["save"] = problem(kind)
    visitor.submit("Save")
    assert_told(visitor)
    session.problems.clear()
    visitor.submit("Save")
    assert visitor.page.headings == ["vip-customers is saved"]


def test_commands_for_kubernetes_change_no_file() -> None:
    """The commands are shown with the files that they read; a reload shows them again and asks for nothing."""
    session = FakeSession.with_connector()
    visitor = at_review(session)
    visitor.submit("Show commands for Kubernetes")
    for words in ("kubectl create secret generic", "secrets/acme-refresh-token", "was not changed"):
        assert words in visitor.page.words
    visitor.get(visitor.page.url)
    assert "kubectl create secret generic" in visitor.page.words
    assert [call[0] for call in session.calls].count("commands") == 1
    assert "save" not in [call[0] for call in session.calls]


@pytest.mark.parametrize(
    "query", ["", "account=acme", "account=acme&list=4711", "account=acme&list=4711&source=audience%3Avip", "list=1"]
)
def test_a_review_of_too_little_says_what_is_missing(query: str) -> None:
    """An address that somebody shortened is told, and nothing is asked."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    page = visitor.get(f"/review?{query}")
    assert page.title.startswith("Problem: ")
    assert "prove" not in [call[0] for call in session.calls]


# A connector that is there.


def test_a_connector_is_edited_step_by_step() -> None:
    """What it has is chosen beforehand in every step, its own list may be kept, and it takes its own place."""
    session = FakeSession.with_connector(enabled=False)
    session.lists = tuple(replace(each, name=f"{each.name} list") for each in session.lists)
    visitor = visit(session)
    visitor.follow("kept")
    assert "Not enabled" in visitor.page.words
    visitor.follow("Choose another list")
    assert "checked" in visitor.page.by_id("list-4714")
    visitor.submit("Continue")
    assert [given["value"] for given in visitor.page.all("input", name="source") if "checked" in given] == [
        "audience:vip"
    ]
    visitor.submit("Continue", identifier="2007")
    assert visitor.page.by_id("connector")["value"] == "kept"
    visitor.submit("Save")
    assert ("save", replace(KEPT, identifier="2007", enabled=False), "kept") in session.calls


def test_a_connector_is_renamed() -> None:
    """Another name is saved in the place of the old one."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    visitor.get("/connectors/kept")
    visitor.follow("Change the name, or check it")
    assert visitor.page.url == f"{HOME}/review?{KEPT_AT}"
    visitor.submit("Check again", connector="renamed")
    visitor.submit("Save")
    assert ("save", replace(KEPT, connector="renamed"), "kept") in session.calls
    assert visitor.page.headings == ["renamed is saved"]


def test_a_connector_is_switched() -> None:
    """It is enabled and disabled in the file, and the page says that `run` must be started anew."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    visitor.get("/connectors/kept")
    visitor.submit("Disable")
    assert ("enable", "kept", False) in session.calls
    assert "kept is disabled in the file. Restart run" in visitor.page.words
    visitor.submit("Enable")
    assert ("enable", "kept", True) in session.calls
    assert "kept is enabled in the file. Restart run" in visitor.page.words


def test_a_disabled_connector_is_enabled_after_saving() -> None:
    """Whoever saves a connector that is off is told to enable it first, and then to restart `run`."""
    session = FakeSession.with_connector()
    visitor = at_review(session)
    visitor.submit("Check again", on="")
    visitor.submit("Save")
    words = visitor.page.words
    assert words.index("Enable vip-customers") < words.index("Restart run") < words.index("Fill the list now")
    visitor.submit("Enable vip-customers")
    assert ("enable", "vip-customers", True) in session.calls


def test_a_connector_is_removed_by_whoever_means_it() -> None:
    """It is asked first; its list stays as it is."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    visitor.get("/connectors/kept")
    visitor.follow("Remove")
    assert visitor.page.headings == ["Remove kept?"]
    assert "List 4714 stays in HubSpot as it is." in visitor.page.words
    assert "remove" not in [call[0] for call in session.calls]
    visitor.submit("Remove kept")
    assert ("remove", "kept") in session.calls
    assert visitor.page.url == f"{HOME}/?done=removed"
    assert "The connector is removed" in visitor.page.words


@pytest.mark.parametrize(
    ("step", "page", "button"),
    [
        ("enable", "/connectors/kept", "Disable"),
        ("fill", "/connectors/kept", "Fill the list now"),
        ("remove", "/connectors/kept/remove", "Remove kept"),
    ],
)
def test_what_cannot_be_done_with_a_connector_is_told(step: str, page: str, button: str) -> None:
    """The page that asked for it says why not."""
    session = FakeSession.with_connector()
    session.problems[step] = problem("file_changed")
    visitor = visit(session)
    heading = visitor.get(page).headings
    visitor.submit(button)
    assert_told(visitor)
    assert visitor.page.headings == heading


def test_filling_is_watched() -> None:
    """While it runs the page loads itself anew, unless one stops that; then it tells what came of it."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    visitor.get("/connectors/kept")
    visitor.submit("Fill the list now")
    assert visitor.page.all("meta", **{"http-equiv": "refresh"}) == [{"http-equiv": "refresh", "content": "2"}]
    session.fillings["kept"] = Filling("kept", "running", 30, 1000)
    visitor.follow("Stop refreshing")
    assert visitor.page.all("meta", **{"http-equiv": "refresh"}) == []
    assert visitor.page.all("progress") == [{"aria-label": "Done", "max": "1000", "value": "30"}]
    assert "30 of 1,000 done." in visitor.page.words
    session.fillings["kept"] = Filling("kept", "done", 1000, 1000, (("997", "added: they were missing"),))
    visitor.follow("Refresh")
    assert visitor.page.all("meta", **{"http-equiv": "refresh"}) == []
    for words in ("The list is filled.", "Added: they were missing 997"):
        assert words in visitor.page.words


def test_a_filling_that_failed_can_begin_again() -> None:
    """The page says why it failed, and has a button to begin again."""
    session = FakeSession.with_connector()
    session.fillings["kept"] = Filling("kept", "failed", problem="HubSpot was down")
    visitor = visit(session)
    page = visitor.get("/connectors/kept/filling")
    assert "Failed HubSpot was down." in page.words
    visitor.submit("Fill the list again")
    assert ("fill", "kept") in session.calls


def test_a_filling_that_was_not_begun_leads_to_its_connector() -> None:
    """Nothing is shown of what never was."""
    visitor = visit(FakeSession.with_connector())
    assert visitor.get("/connectors/kept/filling").url == f"{HOME}/connectors/kept"


@pytest.mark.parametrize(
    "path",
    [
        "/connectors/gone",
        "/connectors/gone/filling",
        "/connectors/gone/remove",
        "/saved/gone",
        "/accounts/gone/authorize",
        "/accounts/gone/credentials",
    ],
)
def test_what_is_gone_is_said(path: str) -> None:
    """An address of what is no longer there says so, and leads to the overview."""
    visitor = visit(FakeSession.with_connector())
    page = visitor.get(path)
    assert page.status == 404
    assert page.title.startswith("Problem: ")
    assert page.links["Back to the overview"] == "/"


def test_a_file_that_cannot_be_read_is_told() -> None:
    """Even the overview may fail: the page says what to do about the file."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    session.problems["overview"] = problem("invalid")
    visitor.get("/")
    assert_told(visitor)


def test_a_step_behind_a_form_that_fails_unforeseen_is_told() -> None:
    """A form whose own page cannot tell it has a page that does; a reload does not send the form again."""
    session = FakeSession.with_connector()
    visitor = visit(session)
    visitor.get("/list?account=acme")
    session.problems["free_name"] = problem("failed")
    visitor.submit("Create list", name="New")
    assert_told(visitor)
    visitor.get(visitor.page.url)
    assert_told(visitor)
    assert [call[0] for call in session.calls].count("create_list") == 1


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/accounts/{0}/authorize",
        "/accounts/{0}/credentials",
        "/list?account=acme",
        "/list?account={0}&connector={0}&replacing={0}&q={0}",
        "/source?account={0}&source={0}&identifier={0}",
        "/review?account={0}&list=4711&source=audience:{0}&connector={0}&identifier={0}",
        "/connectors/{0}",
        "/connectors/{0}/remove",
        "/connectors/{0}/filling",
        "/connectors/kept",
        "/nothing/{0}",
    ],
)
def test_text_from_outside_stays_text(path: str) -> None:
    """Whatever a name, an address, a file or HubSpot's words hold, a page shows it and runs nothing of it."""
    session = FakeSession.with_connector()
    connector = ConnectorView(HOSTILE, HOSTILE, 1, Source("AUDIENCE", HOSTILE), HOSTILE, enabled=True)
    session.accounts[HOSTILE] = AccountView(
        HOSTILE, HOSTILE, authorized=True, saved=True, problem=HOSTILE, connectors=(connector,)
    )
    session.lists = tuple(replace(each, name=HOSTILE, unusable=HOSTILE) for each in session.lists)
    session.seen = replace(
        session.seen,
        options=tuple(
            replace(each, source=Source("JOURNEY", HOSTILE), slots={HOSTILE: 1.0}, connectors=(HOSTILE,))
            for each in session.seen.options
        ),
    )
    preview = replace(PROOF.preview, path=HOSTILE) if PROOF.preview else None
    session.proof = replace(PROOF, findings=(Finding(HOSTILE, HOSTILE, "problem", HOSTILE, HOSTILE),), preview=preview)
    session.proof = replace(session.proof, diff=f"+{HOSTILE}\n-{HOSTILE}\n {HOSTILE}")
    session.fillings[HOSTILE] = Filling(HOSTILE, "failed", summary=((HOSTILE, HOSTILE),), problem=HOSTILE)
    visitor = visit(session)
    escaped = (
        HOSTILE.replace("/", "%2F").replace("&", "%26").replace("<", "%3C").replace('"', "%22").replace(">", "%3E")
    )
    page = visitor.get(path.format(escaped))
    assert {given["src"].partition("?")[0] for given in page.all("script")} <= {"/setup.js"}
