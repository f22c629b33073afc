"""Access tokens: when they are fetched, what a failing refresh means, and that nobody sees them."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import pytest
from structlog.testing import capture_logs

from consumer.hubspot.oauth import Call, RefreshError
from consumer.outcomes import TOKEN_EXPIRED, Applied, NotSent, Recoverable, Request, Scope, Terminal
from consumer.permit import Permit
from consumer.secret import HIDDEN, Secret
from consumer.simulator import Fault, Quirks
from tests.hubspot.world import BASE_URL, TIMEOUT, World, change, secret_file, served
from tests.simulator.caller import FIRST_REFRESH_TOKEN, TOKEN

LIFE = 1800.0
RENEWED_AT = LIFE - 300.0  # seconds after a token was fetched


class UnwritableSecret(Secret):
    """A file as Kubernetes mounts it; the tests may run as root, who can write to any."""

    def write(self, value: str) -> bool:
        """Refuse."""
        del value
        return False


@pytest.fixture
def world() -> Iterator[World]:
    """Yield a world in which nothing has happened yet."""
    world = World()
    yield world
    world.client.close()


def test_a_token_is_fetched_before_the_first_request(world: World) -> None:
    """The first request takes a token refresh, and succeeds."""
    assert world.oauth.refresh_due()

    answer = world.perform()

    assert isinstance(answer.verdict, Applied)
    assert answer.refreshes == ("ok",)
    assert world.portal.log[0].path == TOKEN
    assert world.members == {1}
    assert not world.oauth.refresh_due()


def test_a_token_is_used_until_five_minutes_before_its_end(world: World) -> None:
    """A token of 30 minutes serves for 25, and is renewed before it expires."""
    world.perform()

    world.clock.advance(RENEWED_AT - 1)
    assert world.perform().refreshes == ()
    world.clock.advance(1)
    assert world.oauth.refresh_due()
    assert world.perform().refreshes == ("ok",)

    assert len(world.refreshes) == 2
    assert all(each.status != 401 for each in world.portal.log)


def test_a_short_token_is_not_renewed_all_the_time() -> None:
    """A token of one minute serves for 50 seconds."""
    world = World(quirks=Quirks(expires_in=60))
    world.perform()

    world.clock.advance(49)
    assert not world.oauth.refresh_due()
    world.clock.advance(1)
    assert world.oauth.refresh_due()


def test_an_expired_token_is_renewed_by_the_next_request(world: World) -> None:
    """After 401 EXPIRED_AUTHENTICATION one token is fetched, and the request that comes next succeeds."""
    world.perform()
    world.portal.inject(Fault("token_expired", times=1))

    refused = world.perform(change(2))
    assert isinstance(refused.verdict, Recoverable)
    assert refused.verdict.reason == TOKEN_EXPIRED
    assert refused.statuses == ("401",)
    assert world.oauth.refresh_due()

    assert world.perform(change(2)).refreshes == ("ok",)
    assert world.members == {1, 2}
    assert len(world.refreshes) == 2


def test_any_other_401_renews_nothing(world: World) -> None:
    """A 401 that does not say that the token has expired is no reason for a new one."""
    world.perform()
    world.portal.inject(Fault("token_invalid", times=1))

    verdict = world.perform(change(2)).verdict

    assert isinstance(verdict, Terminal)
    assert verdict.scope is Scope.ACCOUNT
    assert world.perform(change(2)).refreshes == ()
    assert len(world.refreshes) == 1


def test_a_401_of_an_old_token_keeps_the_new_one(world: World) -> None:
    """An answer that was on its way while another worker renewed the token does not throw the new token away."""
    world.perform()
    flow = world.oauth.sync_auth_flow(httpx.Request("PUT", "http://hubspot.test/"))
    slow = next(flow)
    world.clock.advance(RENEWED_AT)
    world.perform()

    expired = httpx.Response(401, json={"category": "EXPIRED_AUTHENTICATION"}, request=slow)
    with pytest.raises(StopIteration):
        flow.send(expired)

    assert not world.oauth.refresh_due()


PASSING: list[httpx.Response | Exception] = [
    httpx.Response(408),
    httpx.Response(423),
    httpx.Response(477),
    httpx.Response(500),
    httpx.Response(502, text="<html>Bad Gateway</html>"),
    httpx.Response(503),
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("too long"),
    httpx.ReadTimeout("too long"),
    httpx.RemoteProtocolError("cut"),
]


@pytest.mark.parametrize("failure", PASSING, ids=repr)
def test_a_refresh_that_fails_for_a_passing_reason_is_recoverable(
    world: World, failure: httpx.Response | Exception
) -> None:
    """Whatever passes stops the account for a while; nothing of the change has left; then it works."""
    world.wire.instead[TOKEN] = [failure]

    answer = world.perform()

    assert isinstance(answer.verdict, Recoverable)
    assert answer.verdict.reason == "refresh_failed"
    assert answer.verdict.account_wide
    assert not answer.verdict.late
    assert not answer.verdict.halve
    assert answer.refreshes == ("failed",)
    assert answer.statuses == ()
    assert world.others == []
    assert isinstance(world.perform().verdict, Applied)


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        (httpx.Response(429, headers={"Retry-After": "7"}), 7.0),
        (httpx.Response(503, headers={"retry-after": "40"}), 40.0),
        (httpx.Response(500), 0.0),
    ],
    ids=["429", "503", "500"],
)
def test_the_token_endpoint_says_how_long_to_wait(world: World, reply: httpx.Response, wait: float) -> None:
    """An interval that comes with a failing refresh is honoured."""
    world.wire.instead[TOKEN] = [reply]

    verdict = world.perform().verdict

    assert isinstance(verdict, Recoverable)
    assert verdict.wait == wait


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html></html>",
        b"[" * 100_000,
        b'{"expires_in": 1800}',
        b'{"access_token": "", "expires_in": 1800}',
        b'{"access_token": 7, "expires_in": 1800}',
        b'{"access_token": "two\\nlines", "expires_in": 1800}',
        b'{"access_token": "na\\u00efve", "expires_in": 1800}',
        b'{"access_token": "access"}',
        b'{"access_token": "access", "expires_in": "1800"}',
        b'{"access_token": "access", "expires_in": 0}',
        b'{"access_token": "access", "expires_in": -1}',
        b'{"access_token": "access", "expires_in": NaN}',
        b'{"access_token": "access", "expires_in": Infinity}',
        b'{"access_token": "access", "expires_in": 1' + b"0" * 400 + b"}",
    ],
    ids=lambda body: body[:50].decode(),
)
def test_an_answer_without_a_usable_token_is_a_failed_refresh(world: World, body: bytes) -> None:
    """A 200 that holds no token, or one without a sane life, is tried again like any passing failure."""
    world.wire.instead[TOKEN] = [httpx.Response(200, content=body)]

    answer = world.perform()

    assert isinstance(answer.verdict, Recoverable)
    assert answer.verdict.account_wide
    assert answer.refreshes == ("failed",)
    assert isinstance(world.perform().verdict, Applied)


def test_a_refused_refresh_token_condemns_the_account(world: World) -> None:
    """invalid_grant is terminal for the whole account, with HubSpot's words, after a single request."""
    world.account.refresh_token = "another"

    answer = world.perform()

    assert answer.verdict == Terminal(answer.verdict.details, "INVALID_GRANT", Scope.ACCOUNT)
    assert answer.verdict.details.status == 400
    assert answer.verdict.details.category == "BAD_REFRESH_TOKEN"
    assert answer.verdict.details.message
    assert answer.verdict.details.correlation_id
    assert answer.refreshes == ("refused",)
    assert len(world.refreshes) == 1
    assert world.others == []


def test_a_new_token_in_the_file_saves_a_refused_refresh(tmp_path: Path) -> None:
    """A secret that is replaced while the old one is being refused is found before the refusal is believed."""
    file, secret = secret_file(tmp_path)
    world = World(secret)
    world.account.refresh_token = "replaced"
    world.wire.before = lambda _request: None if "replaced" in file.read_text() else _write(file, "replaced")

    answer = world.perform()

    assert isinstance(answer.verdict, Applied)
    assert answer.refreshes == ("ok",)
    assert [each.status for each in world.refreshes] == [400, 200]


def test_a_replaced_secret_is_picked_up_by_the_next_refresh(tmp_path: Path) -> None:
    """The file is read at each refresh: no restart, and no refusal first."""
    file, secret = secret_file(tmp_path)
    world = World(secret)
    world.perform()
    _write(file, "replaced")
    world.account.refresh_token = "replaced"
    world.clock.advance(LIFE)

    assert world.perform().refreshes == ("ok",)
    assert [each.status for each in world.refreshes] == [200, 200]
    assert world.redactor.clean("replaced") == HIDDEN


def test_a_file_that_is_gone_is_no_reason_to_stop(tmp_path: Path) -> None:
    """While the file cannot be read, the last token known goes on serving, and the log says so."""
    file, secret = secret_file(tmp_path)
    world = World(secret)
    world.perform()
    file.unlink()
    world.clock.advance(LIFE)

    with capture_logs() as logs:
        assert world.perform().refreshes == ("ok",)

    assert [each["log_level"] for each in logs] == ["warning"]


def test_a_rotated_refresh_token_is_written_back(tmp_path: Path) -> None:
    """HubSpot's new refresh token goes into the file, for nobody else to read, and is used next."""
    file, secret = secret_file(tmp_path)
    world = World(secret, Quirks(rotate_refresh_tokens=True))
    world.perform()

    assert file.read_text() == world.account.refresh_token != FIRST_REFRESH_TOKEN
    assert file.stat().st_mode & 0o777 == 0o600
    assert world.redactor.clean(file.read_text()) == HIDDEN

    world.clock.advance(LIFE)
    assert world.perform().refreshes == ("ok",)
    assert [each.status for each in world.refreshes] == [200, 200]


def test_a_rotated_refresh_token_is_kept_where_nothing_can_be_written(tmp_path: Path) -> None:
    """Behind a read-only file the new refresh token serves from memory, and each new one is flagged in the log."""
    file, _ = secret_file(tmp_path)
    world = World(UnwritableSecret.from_file(file), Quirks(rotate_refresh_tokens=True))
    with capture_logs() as logs:
        for _ in range(3):
            assert world.perform().refreshes == ("ok",)
            world.clock.advance(LIFE)

    assert [each.status for each in world.refreshes] == [200, 200, 200]
    assert [each["log_level"] for each in logs] == ["warning"] * 3
    assert "cannot be written" in logs[0]["problem"]
    assert file.read_text().strip() == FIRST_REFRESH_TOKEN


def test_a_replaced_secret_beats_the_token_in_memory(tmp_path: Path) -> None:
    """A person who puts a new token into the file means it, whatever was kept in memory."""
    file, _ = secret_file(tmp_path)
    world = World(UnwritableSecret.from_file(file), Quirks(rotate_refresh_tokens=True))
    world.perform()
    _write(file, "replaced")
    world.account.refresh_token = "replaced"
    world.clock.advance(LIFE)

    assert world.perform().refreshes == ("ok",)
    assert [each.status for each in world.refreshes] == [200, 200]


def test_a_request_that_is_withdrawn_during_the_refresh_stays_here(world: World) -> None:
    """When the permit goes while the token is on its way, nothing of the change leaves; the token is kept."""
    permit = world.permit()
    world.wire.before = lambda _request: permit.withdraw()

    answer = world.perform(permit=permit)

    assert answer.verdict == NotSent()
    assert answer.refreshes == ("ok",)
    assert answer.statuses == ()
    assert world.others == []
    assert world.perform().refreshes == ()


def test_the_newest_token_alone_is_looked_for_in_texts(world: World) -> None:
    """Each access token is hidden while it serves and forgotten when another takes its place, also after a 401."""
    world.perform()
    first = _access_token(world)
    assert world.redactor.clean(first) == HIDDEN

    world.portal.inject(Fault("token_expired", times=1))
    world.perform()
    world.perform()
    second = _access_token(world)
    assert world.redactor.clean(f"{first} {second}") == f"{first} {HIDDEN}"


def test_a_token_that_comes_again_stays_hidden(world: World) -> None:
    """HubSpot may give the same access token twice; it is a secret all the same."""
    world.wire.instead[TOKEN] = [
        httpx.Response(200, json={"access_token": "the-same", "expires_in": 1800}) for _ in range(2)
    ]
    world.perform()
    world.clock.advance(RENEWED_AT)
    world.perform()

    assert world.redactor.clean("the-same") == HIDDEN


def test_nobody_sees_a_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """No repr, no log record, no answer and no exception shows a token or the client's secret."""
    caplog.set_level(logging.INFO)
    quoting = {"error": "invalid_grant", "message": f"refresh token {FIRST_REFRESH_TOKEN} of hush is unknown"}
    world.wire.instead[TOKEN] = [httpx.Response(400, json=quoting), httpx.Response(400, json=quoting)]
    told = [world.perform(), world.oauth, world.client, Call()]
    with pytest.raises(RefreshError) as caught:
        # The exception itself, which `perform` turns into a verdict.
        world.client._exchange(httpx.Request("GET", BASE_URL))
    told += [caught.value, str(caught.value), world.perform(), world.oauth._token]
    texts = [*map(repr, told), *(each.getMessage() for each in caplog.records)]

    for secret in (FIRST_REFRESH_TOKEN, "hush", _access_token(world)):
        assert not [text for text in texts if secret in text]


@pytest.mark.process
def test_one_worker_refreshes_for_all() -> None:
    """However many workers find the token due at once, one of them fetches it and all use it."""
    workers = 16
    with served() as (server, client, permit), ThreadPoolExecutor(workers) as pool:
        barrier = Barrier(workers)

        def one(contact: int) -> bool:
            barrier.wait(TIMEOUT)
            return isinstance(client.perform(change(contact), permit()).verdict, Applied)

        assert all(pool.map(one, range(1, workers + 1)))
        server.call(lambda portal: portal.inject(Fault("token_expired", times=1)))
        client.perform(change(1), permit())
        assert all(pool.map(one, range(1, workers + 1)))
        client.close()
        paths = server.call(lambda portal: [each.path for each in portal.log])

    assert paths.count(TOKEN) == 2
    assert len(paths) == 2 + 1 + 2 * workers


def _write(file: Path, value: str) -> None:
    file.write_text(value)


def _access_token(world: World) -> str:
    return str(world.wire.requests[-1].headers["authorization"]).removeprefix("Bearer ")


def test_a_refresh_that_was_not_reckoned_with_is_not_made(world: World) -> None:
    """A request that finds its token ended, without leave to renew it, does not leave; with leave it does both."""
    without = Permit(world.fence, world.clock.monotonic, may_refresh=False)
    assert isinstance(world.perform(permit=without).verdict, NotSent)
    assert world.portal.log == []

    assert isinstance(world.perform().verdict, Applied)
    assert (len(world.refreshes), world.others) == (1, ["PUT"])


def test_one_leave_to_refresh_is_for_one_refresh(world: World) -> None:
    """A token that ends between the look at a list and its change is renewed by the next request, not once more."""
    world.portal.inject(Fault("token_expired", method="GET", times=1))
    looking = Request("r", "vip", "acme", 10, adds=(1,), look=True)
    assert isinstance(world.perform(looking).verdict, Recoverable)
    assert len(world.refreshes) == 1
    assert isinstance(world.perform(looking).verdict, Applied)
    assert len(world.refreshes) == 2
