"""The contacts API, version 2026-03: which contacts exist, and which were merged into them. No more than that."""

from consumer.simulator.accounts import Account, timestamp
from consumer.simulator.bodies import ContactsBody, read_json
from consumer.simulator.calls import Call, Endpoint
from consumer.simulator.messages import Answer

ROOT = "/crm/objects/2026-03/contacts"
MERGED = "hs_merged_object_ids"


def batch_read(account: Account, call: Call) -> Answer:
    """Contacts by id. One that was merged comes as its survivor, one that is not there not at all: 207 tells of it."""
    wanted = read_json(ContactsBody, call.request)
    found: dict[int, object] = {}
    missing: list[str] = []
    for each in wanted.inputs:
        survivor = account.survivor(int(each.id))
        if survivor is None:
            missing.append(each.id)
        else:
            found[survivor] = _described(account, survivor, wanted.properties)
    at = timestamp(call.now)
    body = {"status": "COMPLETE", "results": [*found.values()], "startedAt": at, "completedAt": at}
    if not missing:
        return Answer(200, body)
    problem = {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": "Could not get some CONTACT objects, they may be deleted or not exist.",
        "context": {"ids": missing},
    }
    return Answer(207, {**body, "numErrors": 1, "errors": [problem]})


def _described(account: Account, record_id: int, properties: list[str]) -> dict[str, object]:
    at = timestamp(0.0)
    merged = ";".join(map(str, account.merged_into(record_id))) or None
    known: dict[str, str | None] = {MERGED: merged}
    usual = {"createdate": at, "hs_object_id": str(record_id), "lastmodifieddate": at}
    asked = {name: known[name] for name in properties if name in known}
    return {"id": str(record_id), "properties": {**usual, **asked}, "createdAt": at, "updatedAt": at, "archived": False}


ENDPOINTS = (Endpoint("POST", ROOT + "/batch/read", batch_read, ("crm.objects.contacts.read",), family="contacts"),)
