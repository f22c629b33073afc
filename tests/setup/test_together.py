"""The pages on the setup itself, with a simulated HubSpot, an embedded Kafka and a registry: both mean the same."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from consumer.settings import Source, load
from consumer.setup.pages import application
from tests.commands.world import CHANGES, DEAD_LETTERS, RESULTS, world
from tests.setup.test_session import REDIRECT, SECRET, Person, portal_account
from tests.setup.visitor import PORT, Visitor

pytestmark = pytest.mark.process


@pytest.fixture(name="person")
def _person(tmp_path: Path) -> Iterator[Person]:
    with world(tmp_path, portal_account()) as made:
        made.create_topics(CHANGES, RESULTS, DEAD_LETTERS)
        person = Person(made, tmp_path)
        yield person
        person.session.close()


@pytest.fixture(name="visitor")
def _visitor(person: Person) -> Visitor:
    visitor = Visitor(application(person.session, PORT, REDIRECT))
    visitor.get("/")
    return visitor


def authorize(visitor: Visitor, person: Person) -> None:
    """Follow the way to HubSpot's consent page, grant what it asks, and come back."""
    there = urlsplit(visitor.follow("Authorize HubSpot").headers["location"])
    asked = parse_qs(there.query)
    assert asked["redirect_uri"] == [REDIRECT]
    code = person.world.at_hubspot(lambda portal: portal.authorize("acme", REDIRECT))
    visitor.get(f"/oauth/callback?code={code}&state={asked['state'][0]}", **{"Sec-Fetch-Site": "cross-site"})


def first_connector(visitor: Visitor, person: Person) -> None:
    """Go from nothing to a connector that is saved."""
    kafka = person.world.tree["kafka"]["bootstrap.servers"]
    visitor.submit("Use these", servers=kafka, registry_url=person.world.registry.url)
    visitor.follow("Add an account")
    visitor.submit("Continue", name="acme", client_id="app-acme", secret_from="pasted", secret_pasted=SECRET)
    authorize(visitor, person)
    visitor.follow("Choose a list")
    visitor.submit("Continue", list="10")
    visitor.submit("Continue", source="audience:vip")
    visitor.submit("Save")


def test_a_first_connector_from_nothing(visitor: Visitor, person: Person) -> None:
    """What the pages lead to is a file that the service takes, and every page on the way holds no secret."""
    person.write(5, 6, 7)
    first_connector(visitor, person)
    assert visitor.page.headings == ["vip is saved"]
    settings = load(person.file, person.environ)
    connector = settings.connectors["vip"]
    assert (connector.list_id, connector.source, connector.enabled) == (10, Source("AUDIENCE", "vip"), True)
    assert settings.accounts["acme"].client_secret.reveal() == SECRET
    for path in ("/", "/accounts/acme/credentials", "/accounts/acme/authorize", "/connectors/vip", "/saved/vip"):
        page = visitor.get(path)
        assert page.status == 200
        for secret in (SECRET, settings.accounts["acme"].refresh_token.reveal()):
            assert secret not in page.html
    assert visitor.get("/accounts/acme/credentials").by_id("requests_per_10s")["value"] == "100"


def test_a_second_list_is_created_and_its_connector_changed(visitor: Visitor, person: Person) -> None:
    """Another connector of the account, on a list that is made here, is disabled, renamed and removed."""
    person.write(5)
    first_connector(visitor, person)
    visitor.follow("New connector")
    assert "Connector vip keeps it already." in visitor.page.words
    assert "disabled" in visitor.page.by_id("list-12"), "an active list"
    visitor.submit("Create list", name="winback")
    assert visitor.page.by_id("name")["aria-invalid"] == "true", "the name is taken, however it is written"
    visitor.submit("Create list", name="Lapsed")
    visitor.submit("Continue", source="typed", type="journey", source_id="lapsed")
    visitor.submit("Save")
    assert visitor.page.headings == ["lapsed is saved"]
    visitor.follow("Connector lapsed")
    visitor.submit("Disable")
    visitor.follow("Change the name, or check it")
    visitor.submit("Check again", connector="gone")
    visitor.submit("Save")
    assert visitor.page.headings == ["gone is saved"]
    connectors = load(person.file, person.environ).connectors
    assert {name: each.enabled for name, each in connectors.items()} == {"vip": True, "gone": False}
    visitor.get("/connectors/gone/remove")
    visitor.submit("Remove gone")
    assert list(load(person.file, person.environ).connectors) == ["vip"]


def test_the_wrong_one_of_two_ids(visitor: Visitor, person: Person) -> None:
    """Whoever pastes the id of an older API hears the present one at the field."""
    person.write(5)
    first_connector(visitor, person)
    visitor.follow("New connector")
    visitor.submit("Look up", list_id="4711")
    assert "Take 10." in visitor.page.words
    assert visitor.page.by_id("list_id")["aria-invalid"] == "true"


def test_a_code_is_good_once(visitor: Visitor, person: Person) -> None:
    """Going back to HubSpot's answer is no second authorization."""
    first_connector(visitor, person)
    [callback] = [url for url in visitor.seen if "code=" in url]
    visitor.get(callback, **{"Sec-Fetch-Site": "cross-site"})
    assert visitor.page.headings == ["HubSpot is not authorized"]
    assert "Begin again with Authorize HubSpot." in visitor.page.words
