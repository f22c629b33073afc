"""One attempt per call: what is sent, and how every way to fail is told from the others."""

import json
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.hubspot import answers
from consumer.outcomes import Applied, ListFacts, NotSent, Recoverable, Scope, Terminal
from consumer.simulator import Account, ContactList, Fault
from consumer.simulator.accounts import ProcessingType
from tests.hubspot.world import SESSION, TIMEOUT, World, change, connections, served
from tests.simulator.caller import LISTS, TOKEN, acme

MEMBERSHIPS = f"{LISTS}/10/memberships/add-and-remove"


@pytest.fixture
def world() -> Iterator[World]:
    """Yield a world whose token has been fetched, by a look at the list."""
    world = World()
    world.perform(change(look=True))
    world.portal.log.clear()
    world.wire.requests.clear()
    yield world
    world.client.close()


def test_the_request_is_what_hubspot_wants(world: World) -> None:
    """Both sets go out in one PUT, as strings of digits, with the token and without leave to compress the answer."""
    world.perform(change(1, 2, removes=(3,)))

    (request,) = world.wire.requests
    assert (request.method, request.url.path) == ("PUT", MEMBERSHIPS)
    assert json.loads(request.content) == {"recordIdsToAdd": ["1", "2"], "recordIdsToRemove": ["3"]}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"].startswith("Bearer access-acme-")
    assert request.headers["accept-encoding"] == "identity"


def test_an_empty_set_is_sent_as_such(world: World) -> None:
    """HubSpot wants both keys, also where one set is empty."""
    world.perform(change(removes=(3,)))

    assert json.loads(world.wire.requests[0].content) == {"recordIdsToAdd": [], "recordIdsToRemove": ["3"]}


def test_the_answer_tells_what_became_of_each_contact(world: World) -> None:
    """Added, removed, missing and unchanged come back, with the correlation id, both times and what is left."""
    world.account.lists[10].join(2, 0.0)
    world.account.lists[10].join(3, 0.0)
    world.portal.inject(Fault("slow", 4.0))
    began = world.clock.time()

    answer = world.perform(change(1, 2, 5000, removes=(3, 4)))

    assert isinstance(answer.verdict, Applied)
    assert answer.verdict.added == {1}
    assert answer.verdict.removed == {3}
    assert answer.verdict.missing == {5000}
    assert answer.verdict.details.correlation_id
    assert (answer.sent_at, answer.answered_at) == (began, began + 4.0)
    assert answer.statuses == ("200",)
    assert answer.request.request_id == "request-1"
    assert answer.remaining is None


def test_what_hubspot_says_is_left_is_passed_on() -> None:
    """The number of requests left is read from the header, in whatever case its name is written."""
    world = World(account=acme(quota=100))

    assert world.perform().remaining == 100 - 2  # the refresh counts
    lower = httpx.Response(200, headers=[(b"x-hubspot-ratelimit-remaining", b"41")])
    upper = httpx.Response(200, headers=[(b"X-HUBSPOT-RATELIMIT-REMAINING", b"40")])
    world.wire.instead[MEMBERSHIPS] = [lower, upper]
    assert [world.perform().remaining, world.perform().remaining] == [41, 40]


def test_a_look_alone_changes_nothing(world: World) -> None:
    """A look at the list is one GET; it tells the list's name and size, and needs nobody's leave."""
    withdrawn = world.permit()
    withdrawn.withdraw()

    answer = world.perform(change(look=True), withdrawn)

    assert isinstance(answer.verdict, Applied)
    assert answer.facts == ListFacts("VIP", size=0)
    assert answer.statuses == ("200",)
    assert world.others == ["GET"]


def test_a_look_comes_before_the_change(world: World) -> None:
    """A request that looks first asks for the list, and sends its change when the list is usable."""
    answer = world.perform(change(1, look=True))

    assert isinstance(answer.verdict, Applied)
    assert answer.verdict.added == {1}
    assert answer.facts == ListFacts("VIP", size=0)
    assert answer.statuses == ("200", "200")
    assert world.others == ["GET", "PUT"]


def _list(
    object_type_id: str = "0-1", processing_type: ProcessingType = "MANUAL", deleted_at: float | None = None
) -> ContactList:
    return ContactList(10, "VIP", object_type_id=object_type_id, processing_type=processing_type, deleted_at=deleted_at)


@pytest.mark.parametrize(
    ("each", "reason"),
    [
        (_list(processing_type="DYNAMIC"), "LIST_DYNAMIC"),
        (_list(deleted_at=0.0), "LIST_DELETED"),
        (_list(object_type_id="0-2"), "LIST_NOT_OF_CONTACTS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unusable_list_is_left_alone(each: ContactList, reason: str) -> None:
    """A list that is dynamic, deleted or not of contacts is refused by name of the reason; no change is sent."""
    world = World(account=_with(each))

    answer = world.perform(change(1, look=True))

    assert isinstance(answer.verdict, Terminal)
    assert (answer.verdict.reason, answer.verdict.scope) == (reason, Scope.LIST)
    assert answer.facts == ListFacts("VIP", reason, size=0)
    assert world.others == ["GET"]


def test_a_snapshot_list_is_as_good_as_a_manual_one() -> None:
    """SNAPSHOT lists can be kept aligned as well."""
    world = World(account=_with(_list(processing_type="SNAPSHOT")))

    assert isinstance(world.perform(change(1, look=True)).verdict, Applied)
    assert world.members == {1}


@pytest.mark.parametrize("fault", ["not_found", "forbidden", "server_error", "unavailable", "slow", "cut_before"])
def test_a_look_that_fails_ends_the_attempt(world: World, fault: str) -> None:
    """Without a look that succeeded nothing is sent, so nothing can take effect late nor is the batch too large."""
    world.portal.inject(Fault(fault, TIMEOUT + 1 if fault == "slow" else 0.0, method="GET"))

    answer = world.perform(change(1, look=True))

    assert isinstance(answer.verdict, Recoverable | Terminal)
    assert not (isinstance(answer.verdict, Recoverable) and (answer.verdict.late or answer.verdict.halve))
    assert answer.facts is None
    assert len(answer.statuses) == 1
    assert world.others == ["GET"]


def test_an_answer_that_takes_too_long_may_come_true_late(world: World) -> None:
    """After a read timeout nobody knows what HubSpot did: it may take effect later, and the next is to be smaller."""
    world.portal.inject(Fault("slow", TIMEOUT + 1, method="PUT"))

    answer = world.perform()

    assert isinstance(answer.verdict, Recoverable)
    assert (answer.verdict.reason, answer.verdict.late, answer.verdict.halve) == ("timeout", True, True)
    assert answer.statuses == ("timeout",)
    assert answer.answered_at - answer.sent_at == TIMEOUT
    assert world.members == {1}


@pytest.mark.parametrize("fault", ["cut_before", "cut_after"])
def test_a_cut_connection_may_come_true_late(world: World, fault: str) -> None:
    """After a cut nobody knows what HubSpot did, but the request was not too large."""
    world.portal.inject(Fault(fault))

    answer = world.perform()

    assert isinstance(answer.verdict, Recoverable)
    assert (answer.verdict.reason, answer.verdict.late, answer.verdict.halve) == ("connection_error", True, False)
    assert answer.statuses == ("connection_error",)


@pytest.mark.parametrize(
    ("error", "reason", "unanswered"),
    [
        (httpx.ConnectError("refused"), "connection_error", (False, False)),
        (httpx.ConnectTimeout("nobody there"), "timeout", (False, False)),
        (httpx.PoolTimeout("all busy"), "timeout", (False, False)),
        (httpx.ProxyError("refused"), "connection_error", (False, False)),
        (httpx.WriteTimeout("stuck"), "timeout", (True, True)),
        (httpx.ReadTimeout("stuck"), "timeout", (True, True)),
        (httpx.WriteError("reset"), "connection_error", (True, False)),
        (httpx.ReadError("reset"), "connection_error", (True, False)),
        (httpx.CloseError("reset"), "connection_error", (True, False)),
        (httpx.RemoteProtocolError("nonsense"), "connection_error", (True, False)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_of_the_transport_is_told_apart(
    world: World, error: httpx.TransportError, reason: str, unanswered: tuple[bool, bool]
) -> None:
    """What never left cannot take effect late; whatever may have left can."""
    world.wire.instead[MEMBERSHIPS] = [error]

    answer = world.perform()

    assert isinstance(answer.verdict, Recoverable)
    assert answer.verdict.reason == reason
    assert (answer.verdict.late, answer.verdict.halve) == unanswered
    assert answer.statuses == (reason,)
    assert not answer.verdict.account_wide
    assert str(error) in (answer.verdict.details.message or "")


@pytest.mark.parametrize(("fault", "status"), [("unavailable", "503"), ("bad_request", "400"), ("rate_limited", "429")])
def test_an_answer_that_refuses_bears_its_status(world: World, fault: str, status: str) -> None:
    """The list of statuses holds the code of each call, whatever it means."""
    world.portal.inject(Fault(fault))

    assert world.perform(change(1, look=True)).statuses == (status,)
    world.portal.heal_all()
    world.portal.inject(Fault(fault, method="PUT"))
    assert world.perform(change(1, look=True)).statuses == ("200", status)


def test_a_redirect_is_not_followed(world: World) -> None:
    """HubSpot redirects nobody: tokens and changes go to the configured address and nowhere else."""
    world.wire.instead[MEMBERSHIPS] = [httpx.Response(302, headers={"Location": "http://elsewhere.test/"})]

    assert isinstance(world.perform().verdict, Terminal)
    assert len(world.wire.requests) == 1


def test_a_withdrawn_request_is_not_sent(world: World) -> None:
    """When the permit was withdrawn, HubSpot sees nothing of the change."""
    permit = world.permit()
    permit.withdraw()

    answer = world.perform(permit=permit)

    assert answer.verdict == NotSent()
    assert answer.statuses == ()
    assert world.others == []


def test_a_change_can_be_withdrawn_while_its_list_is_looked_at(world: World) -> None:
    """The look may be on the wire; the change after it asks again."""
    permit = world.permit()
    world.wire.before = lambda _request: permit.withdraw()

    answer = world.perform(change(1, look=True), permit)

    assert answer.verdict == NotSent()
    assert answer.facts == ListFacts("VIP", size=0)
    assert world.others == ["GET"]


def test_a_member_that_woke_up_sends_nothing(world: World) -> None:
    """When the member has not polled for a session, its request stays here."""
    permit = world.permit()
    world.clock.advance(SESSION + 1)

    assert world.perform(permit=permit).verdict == NotSent()
    assert world.others == []


@pytest.mark.process
def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens take no way that the configuration does not name."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with served() as (_, client, permit):
        assert isinstance(client.perform(change(1), permit()).verdict, Applied)
        client.close()


@pytest.mark.process
def test_a_refused_connection_cannot_come_true_late() -> None:
    """Against a real socket that nobody listens on: recoverable, and nothing to remember."""
    with served() as (server, client, permit):
        assert isinstance(client.perform(change(1), permit()).verdict, Applied)
    answer = client.perform(change(2), permit())
    client.close()

    assert isinstance(answer.verdict, Recoverable)
    assert (answer.verdict.reason, answer.verdict.late) == ("connection_error", False)
    assert server.portal.accounts["acme"].lists[10].members == {1}


@pytest.mark.process
def test_a_cut_on_a_real_socket_may_come_true_late() -> None:
    """Against a real server that hangs up: it took effect, and the client says that it may have."""
    with served() as (server, client, permit):
        assert isinstance(client.perform(change(1), permit()).verdict, Applied)
        server.call(lambda portal: portal.inject(Fault("cut_after", times=1)))
        answer = client.perform(change(2), permit())
        client.close()

    assert isinstance(answer.verdict, Recoverable)
    assert answer.verdict.late
    assert server.portal.accounts["acme"].lists[10].members == {1, 2}


@pytest.mark.process
def test_a_real_timeout_frees_its_connection() -> None:
    """After a read timeout the connection is closed, and the next request has another."""
    with served(timeout=1.0) as (server, client, permit):
        assert isinstance(client.perform(change(1), permit()).verdict, Applied)
        server.call(lambda portal: portal.inject(Fault("slow", 3600.0, times=1)))
        answer = client.perform(change(2), permit())
        after = client.perform(change(look=True), permit())
        assert connections(server) == 1
        client.close()

    assert answer.statuses == ("timeout",)
    assert after.statuses == ("200",)


@pytest.mark.process
def test_what_is_withdrawn_leaves_no_connection_behind() -> None:
    """A request that is withdrawn after its refresh gives its connection back to the next."""
    with served() as (server, client, permit):
        for _ in range(3):
            withdrawn = permit()
            withdrawn.withdraw()
            assert client.perform(change(1), withdrawn).verdict == NotSent()
        assert isinstance(client.perform(change(2), permit()).verdict, Applied)
        assert connections(server) == 1
        client.close()

    assert server.portal.accounts["acme"].lists[10].members == {2}


@pytest.mark.process
def test_a_refused_refresh_leaves_no_connection_behind() -> None:
    """A refresh that is refused, and one that is put off, give their connection back to the next."""
    with served() as (server, client, permit):
        server.call(lambda portal: portal.inject(Fault("refresh_refused", times=1)))
        server.call(lambda portal: portal.inject(Fault("refresh_unavailable", times=1)))
        refreshes = [client.perform(change(1), permit()).refreshes for _ in range(3)]
        assert connections(server) == 1
        client.close()

    assert refreshes == [("refused",), ("failed",), ("ok",)]


def _with(each: ContactList) -> Account:
    account = acme()
    account.lists[10] = each
    return account


ODD_VALUES = st.one_of(
    st.sampled_from(
        (b"", b"-1", b"0", b"nan", b"inf", b"1e308", b"9" * 5_000, "\u0663".encode(), b"\xff\xfe", b"10000")
    ),
    st.binary(max_size=20),
)
ODD_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                b"Retry-After",
                b"X-HubSpot-RateLimit-Interval-Milliseconds",
                b"X-HubSpot-RateLimit-Remaining",
                b"X-HubSpot-Correlation-Id",
                b"Content-Type",
                b"Content-Encoding",
                b"Content-Length",
            )
        ),
        ODD_VALUES,
    ),
    max_size=6,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("list", "name", "processingType", "access_token", "expires_in", "recordIdsMissing", "category")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
ODD_BODIES = st.binary(max_size=50) | JSON.flatmap(
    lambda answer: st.sampled_from(("utf-8", "utf-16", "utf-32")).map(json.dumps(answer).encode)
)


@pytest.mark.parametrize("path", [MEMBERSHIPS, f"{LISTS}/10", TOKEN])
@settings(max_examples=40)
@given(st.integers(200, 999), ODD_HEADERS, ODD_BODIES)
def test_any_answer_of_any_endpoint_means_something(
    path: str, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Whatever comes for a token, a look or a change: the attempt ends with a verdict whose parts are all bounded."""
    world = World()
    world.wire.instead[path] = [httpx.Response(status, headers=headers, stream=httpx.ByteStream(body)) for _ in "12"]

    answer = world.perform(change(1, look=True))

    verdict = answer.verdict
    assert isinstance(verdict, Applied | Recoverable | Terminal)
    assert not isinstance(verdict, Recoverable) or 0 <= verdict.wait <= answers.LONGEST_WAIT
    assert answer.remaining is None or 0 <= answer.remaining < 10**9
    told = (verdict.details.category, verdict.details.message, verdict.details.correlation_id)
    assert all(each is None or len(each) <= answers.LONGEST_TEXT for each in told)
