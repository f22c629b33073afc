"""The lists API, version 2026-03: lists and their memberships."""

from consumer.simulator.accounts import CONTACTS, Account, ContactList, timestamp
from consumer.simulator.bodies import CreateBody, LegacyQuery, PageQuery, SearchBody, read_json, read_query
from consumer.simulator.calls import Call, Endpoint
from consumer.simulator.messages import Answer, RefusedError, invalid, not_found

ROOT = "/crm/lists/2026-03"


def add_and_remove(account: Account, call: Call) -> Answer:
    """Change memberships: adds first, then removes; ids already in the state asked for appear nowhere in the answer."""
    if isinstance(call.change, RefusedError):
        raise call.change
    target = _present_list(account, call)
    if target.processing_type == "DYNAMIC":
        raise invalid(f"list {target.list_id} is DYNAMIC, its members cannot be set.")
    added: list[str] = []
    removed: list[str] = []
    missing: list[str] = []
    for record_id in call.change.adds:
        survivor = _contact(account, target, record_id)
        if survivor is None:
            missing.append(str(record_id))
        elif target.join(survivor, call.now):
            added.append(str(survivor))
    for record_id in call.change.removes:
        survivor = _contact(account, target, record_id)
        if survivor is None:
            missing.append(str(record_id))
        elif target.leave(survivor):
            removed.append(str(survivor))
    arrays = {call.quirks.added_key: added, "recordIdsRemoved": removed, "recordIdsMissing": missing}
    body = {key: ids for key, ids in arrays.items() if ids}
    return Answer(200, body or ({} if call.quirks.noop_body else None))


def get_list(account: Account, call: Call) -> Answer:
    """One list; a deleted one is answered too, with `deletedAt`."""
    return Answer(200, {"list": _any_list(account, call).described()})


def get_list_by_name(account: Account, call: Call) -> Answer:
    """One list by name, whatever the case."""
    name = call.arguments["name"]
    found = account.list_named(name, call.arguments["object_type_id"])
    if found is None:
        raise not_found(f"List {name!r}")
    return Answer(200, {"list": found.described()})


def search(account: Account, call: Call) -> Answer:
    """Find lists whose name contains the query; `offset` of the answer is where the next page begins."""
    wanted = read_json(SearchBody, call.request)
    found = [
        contact_list.described()
        for contact_list in account.lists.values()
        if contact_list.deleted_at is None
        and contact_list.object_type_id == wanted.object_type_id
        and (wanted.query or "").casefold() in contact_list.name.casefold()
        and (not wanted.processing_types or contact_list.processing_type in wanted.processing_types)
    ]
    page = found[wanted.offset : wanted.offset + wanted.count]
    end = wanted.offset + len(page)
    return Answer(200, {"lists": page, "hasMore": end < len(found), "offset": end, "total": len(found)})


def create(account: Account, call: Call) -> Answer:
    """Make a list; the name must be free."""
    wanted = read_json(CreateBody, call.request)
    if account.list_named(wanted.name, wanted.object_type_id):
        raise invalid(f"the name {wanted.name!r} is taken.", subCategory="ILS.DUPLICATE_LIST_NAMES")
    made = ContactList(
        max(account.lists, default=0) + 1,
        wanted.name,
        object_type_id=wanted.object_type_id,
        processing_type=wanted.processing_type,
    )
    return Answer(200, {"list": account.add_list(made).described()})


def memberships(account: Account, call: Call) -> Answer:
    """One page of members in the order of their record ids."""
    target, query = _present_list(account, call), read_query(PageQuery, call.query)
    return _page(target, *target.page_by_id(query.after, query.limit))


def memberships_by_joining(account: Account, call: Call) -> Answer:
    """One page of members, who joined first comes first."""
    target, query = _present_list(account, call), read_query(PageQuery, call.query)
    return _page(target, *target.page_by_joining(query.after, query.limit))


def id_mapping(account: Account, call: Call) -> Answer:
    """Id of a list whose id of the first API (`legacyListId`) is known."""
    legacy_id = read_query(LegacyQuery, call.query).legacy_list_id
    for contact_list in account.lists.values():
        if contact_list.legacy_id == legacy_id:
            return Answer(200, {"legacyListId": str(legacy_id), "listId": str(contact_list.list_id)})
    raise not_found(f"Legacy list {legacy_id}")


def _page(target: ContactList, record_ids: list[int], after: int | None) -> Answer:
    results = [
        {"recordId": str(record_id), "membershipTimestamp": timestamp(target.joined[record_id])}
        for record_id in record_ids
    ]
    paging = {} if after is None else {"paging": {"next": {"after": str(after)}}}
    return Answer(200, {"results": results, "total": len(target.joined), **paging})


def _any_list(account: Account, call: Call) -> ContactList:
    if call.list_id is None:
        raise invalid(f"list id {call.arguments['list_id']!r} is not a number.")
    if call.list_id not in account.lists:
        raise not_found(f"List {call.list_id}")
    return account.lists[call.list_id]


def _present_list(account: Account, call: Call) -> ContactList:
    target = _any_list(account, call)
    if target.deleted_at is not None:
        raise not_found(f"List {target.list_id}")
    return target


def _contact(account: Account, target: ContactList, record_id: int) -> int | None:
    # A list of companies or deals has no place for a contact.
    return account.survivor(record_id) if target.object_type_id == CONTACTS else None


_READ = ("crm.lists.read",)
# Write alone was answered with 403: writing needs both.
_WRITE = ("crm.lists.read", "crm.lists.write")
_LIST = ROOT + r"/(?P<list_id>[^/]+)"

# The first that fits is taken, so fixed paths stand before `/{listId}`.
ENDPOINTS = (
    Endpoint("PUT", _LIST + "/memberships/add-and-remove", add_and_remove, _WRITE, changes=True),
    Endpoint("POST", ROOT + "/search", search, _READ, family="search"),
    Endpoint("POST", ROOT + "/?", create, _WRITE, changes=True),
    Endpoint("GET", ROOT + r"/object-type-id/(?P<object_type_id>[^/]+)/name/(?P<name>[^/]+)", get_list_by_name, _READ),
    Endpoint("GET", ROOT + "/idmapping", id_mapping, _READ),
    Endpoint("GET", _LIST + "/memberships", memberships, _READ),
    Endpoint("GET", _LIST + "/memberships/join-order", memberships_by_joining, _READ),
    Endpoint("GET", _LIST, get_list, _READ),
)
