"""What HubSpot's answers mean: every status of the tables, every quirk, and any nonsense."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.hubspot import answers
from consumer.outcomes import UNREADABLE, Applied, ListFacts, Recoverable, Request, Scope, Terminal, Verdict
from consumer.reads import Contacts, Page

REQUEST = Request("id", "vip", "acme", 4711, adds=(1, 2, 3), removes=(4, 5))
IDS = st.integers(1, 8)


def _answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Verdict:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answers.membership_answer(REQUEST, status, headers or {}, content)


def _error(status: int, headers: Mapping[str, str] | None = None, **said: Any) -> Verdict:  # noqa: ANN401 - JSON
    body = {"status": "error", "message": "Invalid input", "correlationId": "a1b2", "category": "VALIDATION_ERROR"}
    return _answer({**body, **said}, status, headers)


@given(st.lists(IDS), st.lists(IDS), st.lists(IDS), st.booleans())
def test_the_three_arrays_are_disjoint_sets_and_sums_agree(
    added: list[int], removed: list[int], missing: list[int], as_text: bool
) -> None:
    """Whatever HubSpot's arrays hold, each id that was sent has one outcome, and the others are counted apart."""
    kind = str if as_text else int
    body = {
        "recordsIdsAdded": [kind(each) for each in added],
        "recordIdsRemoved": [kind(each) for each in removed],
        "recordIdsMissing": [kind(each) for each in missing],
    }
    verdict = _answer(body)
    assert isinstance(verdict, Applied)
    sent = set(REQUEST.adds) | set(REQUEST.removes)
    assert not verdict.added & verdict.removed
    assert not (verdict.added | verdict.removed) & verdict.missing
    assert verdict.added <= set(REQUEST.adds)
    assert verdict.removed <= set(REQUEST.removes)
    assert verdict.missing <= sent
    assert verdict.merged <= sent - verdict.added - verdict.removed - verdict.missing
    strangers = (set(missing) - sent) | (set(added) - set(REQUEST.adds)) | (set(removed) - set(REQUEST.removes))
    assert len(strangers) - len(verdict.merged) <= verdict.unexpected <= len(strangers)
    if not verdict.merged:
        assert verdict.unexpected == len(strangers)


@given(st.sets(IDS), st.sets(IDS), st.sets(IDS))
def test_only_who_was_merged_is_called_merged(merged: set[int], members: set[int], absent: set[int]) -> None:
    """Whatever HubSpot merged, knew already or did not find, nobody else is taken for merged."""
    survivors = {each: 100 + each for each in merged}

    def told(asked: tuple[int, ...], *, there: bool) -> list[int]:
        names = [survivors.get(each, each) for each in asked if each not in absent]
        return [each for each in names if (each % 100 in members) is not there]

    verdict = _answer(
        {
            "recordsIdsAdded": told(REQUEST.adds, there=True),
            "recordIdsRemoved": told(REQUEST.removes, there=False),
            "recordIdsMissing": [each for each in (*REQUEST.adds, *REQUEST.removes) if each in absent],
        }
    )
    assert isinstance(verdict, Applied)
    assert verdict.merged <= merged
    assert not verdict.merged & absent


@pytest.mark.parametrize(
    ("said", "merged", "unexpected"),
    [
        ({"recordsIdsAdded": ["1", "2", "33"]}, {3}, 0),
        ({"recordsIdsAdded": ["1", "32", "33"]}, {2, 3}, 0),
        ({"recordsIdsAdded": ["1", "33"]}, set(), 1),
        ({"recordsIdsAdded": ["1", "2", "3", "33"]}, set(), 1),
        ({"recordsIdsAdded": ["1", "2", str(REQUEST.removes[0])]}, set(), 1),
        ({"recordsIdsAdded": ["1", "33"], "recordIdsMissing": ["2"]}, {3}, 0),
        ({"recordIdsRemoved": [str(each + 30) for each in REQUEST.removes]}, set(REQUEST.removes), 0),
    ],
    ids=["one", "all unnamed", "one of two", "one too many", "an id that was sent", "one missing", "removed"],
)
def test_who_was_merged_is_told_only_where_it_is_certain(
    said: dict[str, list[str]], merged: set[int], unexpected: int
) -> None:
    """As many new ids as unnamed ones: each unnamed contact was merged. Otherwise the new ids are counted."""
    verdict = _answer(said)
    assert isinstance(verdict, Applied)
    assert verdict.merged == merged
    assert verdict.unexpected == unexpected


@pytest.mark.parametrize("key", ["recordsIdsAdded", "recordIdsAdded"])
def test_both_spellings_of_the_added_array_are_taken(key: str) -> None:
    """The specification and older pages spell the array of added ids differently."""
    verdict = _answer({key: ["1"]})
    assert isinstance(verdict, Applied)
    assert verdict.added == {1}


@pytest.mark.parametrize("body", [b"", b"  ", b"{}"])
def test_an_empty_answer_is_a_success_without_effect(body: bytes) -> None:
    """HubSpot leaves empty arrays out, and sometimes the whole body: everything was as asked for."""
    verdict = _answer(body)
    assert isinstance(verdict, Applied)
    assert not verdict.added | verdict.removed | verdict.missing
    assert verdict.unexpected == 0


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"7", b'{"recordsIdsAdded": {"1": 2}}', b"\xff\xfe", b"null"])
def test_a_success_that_cannot_be_read_is_tried_again(body: bytes) -> None:
    """A 2xx whose body is not what it should be tells nothing of the contacts."""
    verdict = _answer(body)
    assert isinstance(verdict, Recoverable)
    assert verdict.reason == "unreadable"


def test_ids_that_are_no_ids_are_counted_as_unexpected() -> None:
    """Nonsense among the ids does not spoil the rest of an answer."""
    verdict = _answer({"recordsIdsAdded": ["1", "x", None, True, "-4", 2.5, "007"]})
    assert isinstance(verdict, Applied)
    assert verdict.added == {1}
    assert verdict.unexpected == 6


@pytest.mark.parametrize(
    ("status", "late", "halve", "least"),
    [
        (408, True, True, 0),
        (423, False, False, 2),
        (477, False, False, 2),
        (502, True, False, 2),
        (503, False, False, 2),
        (504, True, True, 2),
        (521, False, False, 2),
        (523, False, False, 2),
        (524, True, True, 2),
    ],
)
def test_recoverable_statuses(status: int, late: bool, halve: bool, least: float) -> None:
    """The mission's recoverable statuses and those of HubSpot's guide, with what is known of late effects."""
    verdict = _error(status)
    assert isinstance(verdict, Recoverable)
    assert verdict.reason == str(status)
    assert (verdict.late, verdict.halve, verdict.wait, verdict.account_wide) == (late, halve, least, False)


@pytest.mark.parametrize(
    ("status", "reason", "scope"),
    [
        (400, "BAD_REQUEST", Scope.BATCH),
        (401, "UNAUTHORIZED", Scope.ACCOUNT),
        (403, "FORBIDDEN", Scope.LIST),
        (404, "LIST_NOT_FOUND", Scope.LIST),
        (500, "SERVER_ERROR", Scope.BATCH),
        (302, "UNEXPECTED_STATUS", Scope.BATCH),
        (418, "UNEXPECTED_STATUS", Scope.BATCH),
        (522, "UNEXPECTED_STATUS", Scope.BATCH),
    ],
)
def test_terminal_statuses(status: int, reason: str, scope: Scope) -> None:
    """The mission's terminal statuses, and everything that nobody documented, with HubSpot's own words kept."""
    verdict = _error(status)
    assert isinstance(verdict, Terminal)
    assert (verdict.reason, verdict.scope) == (reason, scope)
    details = verdict.details
    assert (details.status, details.category, details.message) == (status, "VALIDATION_ERROR", "Invalid input")
    assert details.correlation_id == "a1b2"


def test_an_expired_token_is_not_a_refused_one() -> None:
    """A 401 whose category is EXPIRED_AUTHENTICATION is mended by a new token, any other is not."""
    assert isinstance(_error(401, category="EXPIRED_AUTHENTICATION"), Recoverable)
    assert isinstance(_error(401, category="INVALID_AUTHENTICATION"), Terminal)


def test_missing_scopes_concern_the_account() -> None:
    """What an app may not do it may do on no list of its account."""
    verdict = _error(403, category="MISSING_SCOPES")
    assert isinstance(verdict, Terminal)
    assert verdict.scope is Scope.ACCOUNT
    assert verdict.details.message == "Invalid input"


def test_missing_scopes_are_named() -> None:
    """HubSpot names the scopes in the context of its errors: whoever reads the message finds them in it."""
    context = {"requiredGranularScopes": ["crm.lists.read", "crm.lists.write"]}
    errors = [{"context": context}, {"context": context}, {"context": None}, "nonsense"]
    verdict = _error(403, category="MISSING_SCOPES", errors=errors)
    assert isinstance(verdict, Terminal)
    assert verdict.details.message == "Invalid input (the call needs crm.lists.read, crm.lists.write)"


@pytest.mark.parametrize(
    ("headers", "said", "wait", "probe"),
    [
        ({}, {}, 10.0, False),
        ({"x-hubspot-ratelimit-interval-milliseconds": "4000"}, {}, 4.0, False),
        ({"x-hubspot-ratelimit-interval-milliseconds": "4000", "retry-after": "7"}, {}, 7.0, False),
        ({}, {"policyName": "TEN_SECONDLY_ROLLING"}, 10.0, False),
        ({}, {"policyName": "DAILY"}, 900.0, True),
        ({"retry-after": "60"}, {"policyName": "DAILY"}, 60.0, True),
    ],
)
def test_a_429_stops_the_account(headers: dict[str, str], said: dict[str, str], wait: float, probe: bool) -> None:
    """A 429 stops the whole account for the interval that it names, and a daily limit is probed."""
    verdict = _error(429, headers, **said)
    assert isinstance(verdict, Recoverable)
    assert verdict.account_wide
    assert (verdict.wait, verdict.probe) == (wait, probe)


@pytest.mark.parametrize(
    ("headers", "policy", "rolling"),
    [
        ({}, "TEN_SECONDLY_ROLLING", True),
        ({"retry-after": "7"}, "TEN_SECONDLY_ROLLING", False),
        ({}, "SECONDLY", False),
        ({}, "DAILY", False),
        ({}, None, False),
    ],
)
def test_a_rolling_limit_is_told_apart(headers: dict[str, str], policy: str | None, rolling: bool) -> None:
    """Where HubSpot names the ten-second limit and no time, there is room before its interval has passed."""
    verdict = _error(429, headers, policyName=policy)
    assert isinstance(verdict, Recoverable)
    assert verdict.rolling == rolling


@pytest.mark.parametrize("value", ["", "soon", "-5", "0", "nan", "inf", "-inf", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_absurd_intervals_are_passed_over(value: str) -> None:
    """A header that makes no sense is as good as none."""
    headers = {"retry-after": value, "x-hubspot-ratelimit-interval-milliseconds": value}
    limited, migrating = _error(429, headers), _error(477, headers)
    assert isinstance(limited, Recoverable)
    assert isinstance(migrating, Recoverable)
    assert (limited.wait, migrating.wait) == (10.0, 2.0)


def test_no_wait_is_longer_than_a_day() -> None:
    """A wait for years would be one for ever."""
    for status in (429, 477, 503):
        verdict = _error(status, {"retry-after": "1e12"})
        assert isinstance(verdict, Recoverable)
        assert verdict.wait == 86_400.0


def test_a_migration_may_take_a_day() -> None:
    """A 477 names its time, up to about a day."""
    verdict = _error(477, {"retry-after": "80000"})
    assert isinstance(verdict, Recoverable)
    assert verdict.wait == 80_000.0


@pytest.mark.parametrize(("value", "left"), [("12", 12), ("", None), ("-1", None), ("many", None), ("9" * 30, None)])
def test_what_is_left_of_the_interval(value: str, left: int | None) -> None:
    """The number of requests left is read where it is one."""
    assert answers.remaining({"x-hubspot-ratelimit-remaining": value}) == left


@pytest.mark.parametrize(
    ("described", "unusable"),
    [
        ({"name": "VIP", "processingType": "MANUAL", "objectTypeId": "0-1"}, None),
        ({"name": "VIP", "processingType": "SNAPSHOT"}, None),
        ({"name": "VIP", "processingType": "DYNAMIC", "objectTypeId": "0-1"}, "LIST_DYNAMIC"),
        ({"name": "VIP", "processingType": "MANUAL", "objectTypeId": "0-2"}, "LIST_NOT_OF_CONTACTS"),
        ({"name": "VIP", "processingType": "MANUAL", "deletedAt": "2026-01-01T00:00:00Z"}, "LIST_DELETED"),
        ({"name": "VIP", "processingType": ["what"]}, "LIST_DYNAMIC"),
    ],
)
def test_which_lists_can_be_kept_aligned(described: dict[str, Any], unusable: str | None) -> None:
    """Only a manual or snapshot list of contacts that is not deleted can; a deleted one still answers 200."""
    body = json.dumps({"list": described}).encode()
    assert answers.list_answer(200, {}, body) == ListFacts("VIP", unusable)


@pytest.mark.parametrize(
    ("told", "size"),
    [
        ({"size": 3}, 3),
        ({"size": "0"}, 0),
        ({"additionalProperties": {"hs_list_size": "4"}}, 4),
        ({}, None),
        ({"size": None}, None),
        ({"size": -1}, None),
        ({"size": 1.5}, None),
        ({"additionalProperties": "many"}, None),
    ],
)
def test_how_many_members_a_list_has(told: dict[str, Any], size: int | None) -> None:
    """A list's size is read wherever it stands, as number or text; where none is told, nobody guesses one."""
    body = json.dumps({"list": {"name": "VIP", "processingType": "MANUAL", **told}}).encode()
    assert answers.list_answer(200, {}, body) == ListFacts("VIP", size=size)


@given(st.integers(100, 599), st.dictionaries(st.sampled_from(["retry-after"]), st.text()), st.binary())
def test_any_answer_means_something(status: int, headers: dict[str, str], body: bytes) -> None:
    """No bytes, status or header make the meaning of an answer fail."""
    assert isinstance(_answer(body, status, headers), Applied | Recoverable | Terminal)
    answers.list_answer(status, headers, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    st.integers(200, 599),
    st.dictionaries(
        st.sampled_from(["list", "message", "category", "policyName", "correlationId", "recordsIdsAdded", "errors"]),
        JSON,
    ),
)
def test_any_json_means_something(status: int, body: dict[str, Any]) -> None:
    """No shape of a body makes the meaning of an answer fail."""
    assert isinstance(_answer(body, status), Applied | Recoverable | Terminal)
    answers.list_answer(status, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("7", 7),
        ("007", 7),
        (7, 7),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("0", None),
        ("", None),
        ("-7", None),
        ("7.0", None),
        ("\u0667", None),
        ("0" * 101 + "7", None),
        (True, None),
        (None, None),
        (7.0, None),
    ],
)
def test_what_is_a_record_id(value: object, number: int | None) -> None:
    """A record id is a positive 64-bit decimal number, as text or number, with or without leading zeros."""
    assert answers.record_number(value) == number


def test_words_that_cannot_be_written_are_mended() -> None:
    """JSON can spell half a character; what is kept can be written to Kafka, and is not too long."""
    verdict = _answer(b'{"message": "odd \\ud800", "category": "' + b"C" * 5000 + b'"}', 400)
    assert verdict.details.message == "odd ?"
    assert verdict.details.category == "C" * 1000
    looked = answers.list_answer(200, {}, b'{"list": {"processingType": "MANUAL", "name": "odd \\ud800"}}')
    assert looked == ListFacts("odd ?")


def test_a_name_that_is_no_text_is_none() -> None:
    """A list is usable whatever its name is."""
    assert answers.list_answer(200, {}, b'{"list": {"processingType": "MANUAL", "name": [1]}}') == ListFacts("")


def test_what_to_quote_to_support_is_found_where_it_is() -> None:
    """The correlation id may stand in a header only, and the category of a 429 is its errorType."""
    verdict = _answer({"errorType": "RATE_LIMIT"}, 429, {"x-hubspot-correlation-id": "c3d4"})
    assert (verdict.details.correlation_id, verdict.details.category) == ("c3d4", "RATE_LIMIT")
    assert _answer(b"", 200, {"x-hubspot-correlation-id": "c3d4"}).details.correlation_id == "c3d4"


def test_a_body_without_a_bottom_means_something() -> None:
    """A body nested deeper than can be read is one that cannot be read."""
    assert isinstance(_answer(b"[" * 200_000), Recoverable)


@pytest.mark.parametrize(
    ("reason", "sent", "late", "halve"),
    [
        ("timeout", True, True, True),
        ("timeout", False, False, False),
        ("connection_error", True, True, False),
        ("connection_error", False, False, False),
    ],
)
def test_no_answer_is_late_only_if_the_request_left(reason: str, *, sent: bool, late: bool, halve: bool) -> None:
    """A request that never left has no late effect, and only one that took too long is made smaller."""
    verdict = answers.no_answer(reason, sent=sent, message="no answer")
    assert (verdict.reason, verdict.late, verdict.halve, verdict.wait) == (reason, late, halve, 0.0)
    assert verdict.details.message == "no answer"


def _page(body: object, above: int = 0) -> Page | Verdict:
    return answers.page_answer(4711, above, 200, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "page"),
    [
        ({"results": [{"recordId": "7"}, {"recordId": 8}], "total": 9}, Page((7, 8), None, 9)),
        ({"results": [{"recordId": "7"}], "paging": {"next": {"after": "x7"}}}, Page((7,), "x7")),
        ({"results": [{"recordId": "7"}], "paging": {"next": {"after": 7}}}, Page((7,), "7")),
        ({"results": [{"recordId": "7"}], "paging": {"next": None}, "total": "many"}, Page((7,))),
        ({"results": [{"recordId": "7"}], "paging": {"next": {"after": ""}}}, Page((7,))),
        ({"results": [], "total": "0"}, Page((), None, 0)),
        ({"results": [], "total": True}, Page(())),
    ],
)
def test_a_page_of_members(body: object, page: Page) -> None:
    """A page gives its members and where the next begins, whether ids are text or numbers and whatever is left out."""
    assert _page(body) == page


@pytest.mark.parametrize(
    "body",
    [
        {"results": [{"recordId": "8"}, {"recordId": "7"}]},
        {"results": [{"recordId": "8"}, {"recordId": "8"}]},
        {"results": [{"recordId": "5"}, {"recordId": "8"}]},
        {"results": [], "paging": {"next": {"after": "9"}}},
    ],
)
def test_pages_that_cannot_be_trusted(body: object) -> None:
    """Members out of order, twice, from a page before, or a next page after none: an error that names the list."""
    verdict = _page(body, above=5)
    assert isinstance(verdict, Terminal)
    assert verdict.reason == answers.OUT_OF_ORDER
    assert "list 4711" in (verdict.details.message or "")


@pytest.mark.parametrize("body", [[], {}, {"results": None}, {"results": [7]}, {"results": [{"recordId": "x"}]}, "no"])
def test_a_page_that_cannot_be_read(body: object) -> None:
    """What is no page of members is asked for again, and is never taken for an empty list."""
    verdict = _page(body)
    assert isinstance(verdict, Recoverable)
    assert verdict.reason == UNREADABLE


@pytest.mark.parametrize(
    ("properties", "merged"),
    [
        ({"hs_merged_object_ids": "7;8"}, {7, 8}),
        ({"hs_merged_object_ids": "7;;x"}, {7}),
        ({"hs_merged_object_ids": None}, set()),
        ({}, set()),
        (None, set()),
    ],
)
def test_what_was_merged_into_a_contact(properties: object, merged: set[int]) -> None:
    """A contact tells the ids of those that were merged into it; who is not in the answer does not exist."""
    body = json.dumps({"results": [{"id": "9", "properties": properties}]}).encode()
    assert answers.contacts_answer(207, {}, body) == Contacts({9: frozenset(merged)})


@pytest.mark.parametrize("body", [[], {}, {"results": 1}, {"results": [{"id": "x"}]}, {"results": [None]}])
def test_contacts_that_cannot_be_read(body: object) -> None:
    """An answer that makes no sense is asked for again, and nobody is taken for gone."""
    verdict = answers.contacts_answer(200, {}, json.dumps(body).encode())
    assert isinstance(verdict, Recoverable)
    assert verdict.reason == UNREADABLE


def test_a_refused_read_means_what_every_refusal_means() -> None:
    """Statuses of reads are told apart as those of changes are."""
    for verdict in (answers.page_answer(1, 0, 404, {}, b""), answers.contacts_answer(404, {}, b"")):
        assert isinstance(verdict, Terminal)
        assert verdict.reason == "LIST_NOT_FOUND"
