"""POST …/contacts/batch/read: which contacts exist, and which were merged into them."""

import pytest

from consumer.simulator import SCOPES, Portal
from tests.simulator.caller import Caller, caller

READ = "/crm/objects/2026-03/contacts/batch/read"


def read(hubspot: Caller, *contacts: str, properties: tuple[str, ...] = ("hs_merged_object_ids",)) -> dict[str, object]:
    """Ask for contacts; give what was merged into each that exists."""
    body = {"inputs": [{"id": each} for each in contacts], "properties": list(properties)}
    results = hubspot.send("POST", READ, body).json()["results"]
    return {each["id"]: each["properties"].get("hs_merged_object_ids", "not told") for each in results}


def test_contacts_that_exist_are_given() -> None:
    """Who exists is in the answer; who does not is left out, and 207 names them."""
    hubspot = caller()
    assert read(hubspot, "1", "2") == {"1": None, "2": None}
    assert read(hubspot, "1", "5000") == {"1": None}
    reply = hubspot.send("POST", READ, {"inputs": [{"id": "1"}, {"id": "5000"}]})
    assert reply.status == 207
    assert reply.json()["errors"][0]["context"]["ids"] == ["5000"]


def test_a_merged_contact_comes_as_its_survivor() -> None:
    """Whoever asks for a merged id gets the survivor, which names all that were merged into it, once."""
    hubspot = caller(merged={7: 8, 9: 10})
    hubspot.portal.accounts["acme"].merge(8, 9)
    assert read(hubspot, "7", "8", "9", "10") == {"10": "7;9;8"}
    assert read(hubspot, "10", properties=("email",)) == {"10": "not told"}
    reply = hubspot.send("POST", READ, {"inputs": [{"id": "7"}, {"id": "8"}]})
    assert [each["id"] for each in reply.json()["results"]] == ["10"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": [{"id": str(each)} for each in range(1, 102)]},
        {"inputs": [{"id": 7}]},
        {"inputs": [{"id": "bob@example.com"}]},
        {"inputs": ["7"]},
        {"inputs": [{"id": "7"}], "properties": "hs_merged_object_ids"},
    ],
)
def test_what_is_refused(body: object) -> None:
    """More than a hundred, none at all, or ids that are no text of digits: 400."""
    assert caller().send("POST", READ, body).status == 400


def test_its_scope_is_needed() -> None:
    """Without the right to read contacts it is 403 MISSING_SCOPES."""
    reply = caller(scopes=set(SCOPES) - {"crm.objects.contacts.read"}).send("POST", READ, {"inputs": [{"id": "7"}]})
    assert (reply.status, reply.json()["category"]) == (403, "MISSING_SCOPES")


def test_it_counts_like_every_request() -> None:
    """It uses the account's quota and tells what is left."""
    hubspot = caller(Portal(), quota=1)
    first, second = (hubspot.send("POST", READ, {"inputs": [{"id": "7"}]}) for _ in range(2))
    assert (first.status, first.header("X-HubSpot-RateLimit-Remaining"), second.status) == (200, "0", 429)
