"""Rate limits: ten-secondly, per second at search, daily."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.simulator import Fault
from consumer.simulator.quota import DAY, DailyQuota, RollingQuota
from tests.simulator.caller import LISTS, caller

RATE = "X-HubSpot-RateLimit-"


@given(
    st.integers(min_value=1, max_value=5),
    st.lists(st.integers(min_value=0, max_value=12_000), max_size=60),
)
def test_no_ten_seconds_hold_more_than_the_limit(limit: int, gaps: list[int]) -> None:
    """Wherever ten seconds begin, no more requests than the limit are let through in them, and none less than fit."""
    quota = RollingQuota(limit)
    passed: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap / 1000
        recent = sum(1 for earlier in passed if earlier + 10.0 > now)
        assert quota.allows(now) == (recent < limit)
        assert quota.remaining(now) == limit - recent
        if quota.allows(now):
            quota.count(now)
            passed.append(now)
    assert all(sum(1 for at in passed if begin <= at and begin + 10.0 > at) <= limit for begin in passed)


@pytest.mark.parametrize("midnight", [0.0, 5_000.0])
def test_a_day_ends_at_midnight(midnight: float) -> None:
    """The daily limit holds until the account's midnight, not for 24 hours."""
    quota = DailyQuota(1, midnight)
    evening = midnight + DAY - 1
    quota.count(evening)

    assert not quota.allows(evening)
    assert quota.allows(midnight + DAY)


def test_over_the_limit_is_429_until_the_oldest_is_ten_seconds_old() -> None:
    """The limit is rolling, the 429 names it and says nothing else, and a 429 is not counted."""
    hubspot = caller(quota=2)
    for at in (0.0, 4.0):
        hubspot.now = at
        assert hubspot.put(["1"]).status == 200
    for at in (5.0, 9.999):
        hubspot.now = at
        reply = hubspot.put(["2"])
        assert reply.status == 429
        assert reply.json()["errorType"] == "RATE_LIMIT"
        assert reply.json()["policyName"] == "TEN_SECONDLY_ROLLING"
        assert not [name for name, _ in reply.headers if name.startswith((RATE, "Retry-After"))]
    hubspot.now = 10.0
    assert hubspot.put(["3"]).status == 200
    assert hubspot.put(["4"]).status == 429
    assert hubspot.vip.members == {1, 3}


def test_answers_tell_what_is_left() -> None:
    """API answers name limit, rest and interval."""
    hubspot = caller(quota=3)

    rest = [hubspot.put(["1"]).header(RATE + "Remaining") for _ in range(3)]
    hubspot.now = 10.0
    reply = hubspot.send("GET", f"{LISTS}/10")

    assert rest == ["2", "1", "0"]
    assert reply.header(RATE + "Max") == "3"
    assert reply.header(RATE + "Remaining") == "2"
    assert reply.header(RATE + "Interval-Milliseconds") == "10000"


@pytest.mark.parametrize("refused", ["400", "401", "403", "404", "503", "cut", "refresh"])
def test_refused_requests_count(refused: str) -> None:
    """Whatever becomes of a request other than a 429 uses up the quota, a token refresh too."""
    hubspot = caller(quota=1)
    match refused:
        case "400":
            hubspot.put(["x"])
        case "401":
            hubspot.portal.inject(Fault("token_invalid", times=1))
            hubspot.put(["1"])
        case "403":
            hubspot.portal.accounts["acme"].scopes.discard("crm.lists.write")
            hubspot.put(["1"])
        case "404":
            hubspot.put(["1"], list_id=99)
        case "503":
            hubspot.portal.inject(Fault("unavailable", times=1))
            hubspot.put(["1"])
        case "cut":
            hubspot.portal.inject(Fault("cut_before", times=1))
            hubspot.put(["1"])
        case _:
            hubspot.refresh()

    assert hubspot.send("GET", f"{LISTS}/10").status == 429


def test_an_injected_429_does_not_count() -> None:
    """A 429 that a fault made leaves the quota as it is."""
    hubspot = caller(quota=1)
    hubspot.portal.inject(Fault("rate_limited", times=5))
    for _ in range(5):
        hubspot.put(["1"])

    assert hubspot.put(["1"]).status == 200


def test_the_daily_limit_names_itself() -> None:
    """Over the daily limit the policy is DAILY, until midnight."""
    hubspot = caller(daily_quota=1, midnight=100.0)
    hubspot.put(["1"])
    reply = hubspot.put(["2"])
    hubspot.now = 100.0

    assert (reply.status, reply.json()["policyName"]) == (429, "DAILY")
    assert hubspot.put(["2"]).status == 200


def test_search_has_its_own_limit_and_no_headers() -> None:
    """Search takes five requests a second and does not say what is left; other calls go on."""
    hubspot = caller(quota=100, search_quota=5)

    replies = [hubspot.send("POST", f"{LISTS}/search", {}) for _ in range(6)]

    assert [reply.status for reply in replies] == [200] * 5 + [429]
    assert replies[5].json()["policyName"] == "SECONDLY"
    assert replies[0].header(RATE + "Remaining") is None
    assert hubspot.put(["1"]).status == 200
    hubspot.now = 1.0
    assert hubspot.send("POST", f"{LISTS}/search", {}).status == 200


def test_without_a_limit_nothing_is_refused_and_nothing_told() -> None:
    """No quota means no 429 and no rate headers."""
    hubspot = caller(quota=None)

    replies = [hubspot.put(["1"]) for _ in range(300)]

    assert {reply.status for reply in replies} == {200}
    assert replies[0].header(RATE + "Max") is None


def test_accounts_have_quotas_of_their_own() -> None:
    """One account at its limit leaves the others alone."""
    hubspot = caller(quota=1)
    other = caller(hubspot.portal, name="other", quota=1)
    hubspot.put(["1"])

    assert hubspot.put(["2"]).status == 429
    assert other.put(["1"]).status == 200
