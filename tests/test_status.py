import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from consumer.status import Attention, ListStatus, PartitionStatus, ServiceStatus, not_ready, page, stalled
from consumer.templating import address, asset

NOW = 1_795_000_000.0  # 2026-11-18 11:06:40 UTC

VIP = ListStatus(
    connector="vip",
    account="acme",
    list_id=4711,
    list_name="VIP customers",
    source="audience:vip",
    enabled=True,
    waiting=1234,
    last_request_at=NOW - 12,
    last_outcome="200, 8 added",
    last_success_at=NOW - 12,
)
GONE = Attention("LIST_NOT_FOUND", "HubSpot no longer has this list.", "a1b2c3d4-0000", NOW - 300)
WELL = ServiceStatus(
    lists=(VIP,),
    partitions=(PartitionStatus("journey.membership", 3, 100, 142, 42),),
    paused=False,
    draining=False,
    ready=True,
    last_turn=1000.0,
    started_at=NOW - 7200,
    version="0.1.0",
)


class Outline(HTMLParser):
    """The page as a browser would read it: tags in order, and the text of each table row and of the whole."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.rows: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag, a new row, and that it is open."""
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Hold that what opened last closes first."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep text that is shown."""
        if "style" in self.open:
            return
        self.text += data
        if "tr" in self.open:
            self.rows[-1] += f" {data}"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every such element, in order."""
        return [attributes for name, attributes in self.tags if name == tag]


def show(status: ServiceStatus) -> Outline:
    """Return the page of a member whose loop is turning."""
    return Outline(page(status, NOW))


def test_a_connector_tells_its_story() -> None:
    """A row names the connector, its account, source and list, the contacts waiting, and the last request's outcome."""
    (row,) = (row for row in show(WELL).rows if "vip" in row)
    for part in (
        "vip",
        "acme",
        "audience:vip",
        "VIP customers",
        "List 4711",
        "1,234",
        "12 s ago",
        "200, 8 added",
        "OK",
    ):
        assert part in row


def test_a_list_is_linked_when_its_portal_is_known() -> None:
    """The list's name leads to the list in HubSpot if page and portal are known, and is plain text otherwise."""
    for known in (VIP, replace(VIP, hub_id=99), replace(VIP, app_url="https://app.example")):
        assert "objectLists" not in page(replace(WELL, lists=(known,)), NOW)
    linked = show(replace(WELL, lists=(replace(VIP, hub_id=99, app_url="https://app.example"),)))
    assert "https://app.example/contacts/99/objectLists/4711" in [link["href"] for link in linked.all("a")]


def test_attention_comes_with_what_to_quote() -> None:
    """Trouble is told in words, with its age, the last success and the correlation id for HubSpot support."""
    troubled = replace(VIP, attention=GONE, last_outcome="404", last_success_at=NOW - 7300)
    outline = show(replace(WELL, lists=(troubled,)))
    (row,) = (row for row in outline.rows if "vip" in row)
    for part in (
        "Needs attention",
        "LIST_NOT_FOUND",
        "HubSpot no longer has this list.",
        "5 min ago",
        "a1b2c3d4-0000",
        "HubSpot support",
        "Last success",
        "2 h ago",
    ):
        assert part in row
    assert "OK" not in row
    assert "1 need attention" in outline.text


def test_attention_without_a_correlation_id_asks_for_none() -> None:
    """Where HubSpot gave no correlation id, the page does not ask to quote one."""
    troubled = replace(VIP, attention=replace(GONE, correlation_id=None))
    assert "HubSpot support" not in show(replace(WELL, lists=(troubled,))).text


def test_a_list_that_is_held_says_how_to_release_it() -> None:
    """What the guard holds stands beside whatever else is wrong with the list, and the list counts once."""
    hold = Attention("HELD", "60 of the list's 100 contacts would be removed. Type: release vip", None, NOW - 60)
    quiet = replace(VIP, connector="quiet", waiting=9_999)
    outline = show(replace(WELL, lists=(quiet, replace(VIP, attention=GONE, hold=hold))))
    row = next(row for row in outline.rows if "vip" in row)
    for part in ("HELD", "Type: release vip", "LIST_NOT_FOUND", "a1b2c3d4-0000", "Raised  1 min ago"):
        assert part in row
    assert "1 need attention" in outline.text
    assert outline.text.index("Type: release vip") < outline.text.index("9,999")


def test_attention_of_the_service_stands_by_itself() -> None:
    """What concerns no single list is shown above the connectors and counted."""
    lost = Attention("OFFSET_OUT_OF_RANGE", "Retention passed offset 12.", None, NOW - 3)
    text = show(replace(WELL, attention=(lost,))).text
    assert "The service needs attention" in text
    assert text.index("Retention passed offset 12.") < text.index("Connectors", text.index("The service"))
    assert "1 need attention" in text
    assert "The service needs attention" not in show(WELL).text


def test_what_is_missing_is_said() -> None:
    """A list that is off, has no name and was never asked says so in words."""
    quiet = replace(VIP, enabled=False, list_name=None, last_request_at=None, last_outcome=None, last_success_at=None)
    (row,) = (row for row in show(replace(WELL, lists=(quiet,))).rows if "vip" in row)
    assert "Not enabled" in row
    assert "None yet" in row
    assert row.count("List 4711") == 1


def test_an_empty_member_has_a_page() -> None:
    """A member without connectors and partitions still has a page that says so."""
    text = show(replace(WELL, lists=(), partitions=())).text
    assert "No connector is configured." in text
    assert "This member reads no partition at present." in text


def test_the_page_says_whose_share_it_shows() -> None:
    """Nobody takes one member's share for the whole."""
    assert "This page shows this member's share" in show(WELL).text


def test_partitions_show_their_lag() -> None:
    """Each partition shows committed offset, end and lag, or that they are not known yet."""
    unknown = PartitionStatus("journey.membership", 4, None, None, None)
    outline = show(replace(WELL, partitions=(unknown, *WELL.partitions)))
    first, second = (row for row in outline.rows if "journey.membership" in row)
    assert first.split() == ["journey.membership", "3", "100", "142", "42"]
    assert second.count("not known") == 3


HOSTILE = "<script>alert('&\"')</script>"


@pytest.mark.parametrize(
    "status",
    [
        replace(WELL, lists=(replace(VIP, connector=HOSTILE),)),
        replace(WELL, lists=(replace(VIP, account=HOSTILE),)),
        replace(WELL, lists=(replace(VIP, source=HOSTILE),)),
        replace(WELL, lists=(replace(VIP, list_name=HOSTILE),)),
        replace(WELL, lists=(replace(VIP, list_name=HOSTILE, hub_id=99, app_url=f"https://{HOSTILE}"),)),
        replace(WELL, lists=(replace(VIP, last_outcome=HOSTILE),)),
        replace(WELL, lists=(replace(VIP, attention=replace(GONE, reason=HOSTILE)),)),
        replace(WELL, lists=(replace(VIP, attention=replace(GONE, message=HOSTILE)),)),
        replace(WELL, lists=(replace(VIP, attention=replace(GONE, correlation_id=HOSTILE)),)),
        replace(WELL, attention=(replace(GONE, message=HOSTILE),)),
        replace(WELL, partitions=(PartitionStatus(HOSTILE, 0, 1, 2, 1),)),
        replace(WELL, version=HOSTILE),
    ],
)
def test_text_from_outside_stays_text(status: ServiceStatus) -> None:
    """Whatever a name or a message holds, the page shows it and runs nothing of it."""
    outline = show(status)
    assert outline.all("script") == []
    assert HOSTILE in outline.text


def test_the_page_can_be_read_by_everyone() -> None:
    """The page names its language, fits a phone, refreshes itself, heads its tables and can be skipped into."""
    html = page(WELL, NOW)
    outline = Outline(html)
    assert outline.all("html") == [{"lang": "en"}]
    metas = {meta.get("name") or meta.get("http-equiv"): meta.get("content") for meta in outline.all("meta")}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert metas["refresh"] == "10"
    assert outline.all("a")[0] == {"class": "skip", "href": "#content"}
    assert outline.all("main") == [{"id": "content"}]
    assert {header.get("scope") for header in outline.all("th")} == {"col", "row"}
    identified = {attributes["id"] for _, attributes in outline.tags if "id" in attributes}
    assert {table["aria-labelledby"] for table in outline.all("table")} <= identified


def test_the_page_can_be_kept_as_it_is() -> None:
    """Whoever reads slowly, or by a screen reader, stops the refreshing by a link, and begins it again by another."""
    refreshing, still = Outline(page(WELL, NOW)), Outline(page(WELL, NOW, refresh=False))
    assert "/?refresh=off" in [link["href"] for link in refreshing.all("a")]
    assert "/" in [link["href"] for link in still.all("a")]
    assert [meta for meta in still.all("meta") if "http-equiv" in meta] == []


def test_the_page_holds_no_style_and_no_script() -> None:
    """All that the page looks like is in the style sheet, which follows dark mode: nothing inline has to be allowed."""
    html = page(WELL, NOW)
    assert re.findall(r"\s(?:on\w+|style)=", html) == []
    outline = Outline(html)
    assert outline.all("style") == outline.all("script") == []
    assert {link["rel"]: link["href"] for link in outline.all("link")} == {
        "icon": "data:,",
        "stylesheet": address("style.css"),
    }
    assert "prefers-color-scheme: dark" in asset("style.css")


def test_moments_are_exact_for_machines() -> None:
    """A moment is said in words and, for machines and on hover, as a time in UTC."""
    moments = {(moment["datetime"], moment["title"]) for moment in show(WELL).all("time")}
    assert ("2026-11-18T11:06:28Z", "2026-11-18 11:06:28 UTC") in moments


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (-5, "0 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3600, "1 h ago"),
        (86399, "23 h ago"),
        (86400, "1 d ago"),
    ],
)
def test_ages_are_short(age: float, words: str) -> None:
    """An age is one number and one unit, and a clock that runs ahead gives no negative age."""
    assert f"started {words}" in show(replace(WELL, started_at=NOW - age)).text


def test_ten_thousand_connectors_make_a_short_page() -> None:
    """Of 10,000 connectors 500 are shown: those that need attention first, then the busiest; the page says so."""
    crowd = tuple(replace(VIP, connector=f"c{number:05}", waiting=number) for number in range(10_000))
    troubled = replace(VIP, connector="troubled", waiting=0, attention=GONE)
    outline = show(replace(WELL, lists=(*crowd, troubled)))
    assert "500 of 10,001 connectors are shown" in outline.text
    rows = [row.split()[0] for row in outline.rows if "audience:vip" in row]
    assert len(rows) == 500
    assert rows[:3] == ["troubled", "c09999", "c09998"]


def test_a_full_page_does_not_speak_of_a_part() -> None:
    """As long as every row is there, the page does not say that some are not."""
    assert "are shown" not in show(WELL).text


def test_a_crowd_of_partitions_is_cut() -> None:
    """Of more than 500 partitions those furthest behind are shown; the lag of all is in the sum."""
    many = tuple(PartitionStatus("t", number, 0, number, number) for number in range(501))
    outline = show(replace(WELL, partitions=many))
    assert "500 of 501 partitions are shown" in outline.text
    assert f"{sum(range(501)):,}" in outline.text
    assert "t 0" not in " ".join(row.strip() for row in outline.rows)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (WELL, "Running"),
        (replace(WELL, paused=True), "Paused"),
        (replace(WELL, ready=False), "Not ready"),
        (replace(WELL, draining=True), "Draining"),
        (replace(WELL, draining=True, ready=False, paused=True), "Draining"),
    ],
)
def test_the_state_is_said_in_words(status: ServiceStatus, state: str) -> None:
    """The title and the heading name the state of the member."""
    text = show(status).text
    assert f"HubSpot list sync {state}" in text
    assert f"{state} · HubSpot list sync" in text


def test_a_hanging_loop_is_not_shown_as_running() -> None:
    """When the loop hangs, the page says so and that it shows what was last known."""
    text = Outline(page(WELL, NOW, stalled(WELL, 1100.0))).text
    assert "HubSpot list sync Hanging" in text
    assert "100 s" in text
    assert "last known" in text


@pytest.mark.parametrize(("age", "alive"), [(0, True), (60, True), (60.5, False), (3600, False)])
def test_a_loop_that_turned_within_a_minute_is_alive(age: float, alive: bool) -> None:
    """The loop counts as alive up to 60 s after its last turn."""
    assert (stalled(WELL, WELL.last_turn + age) is None) is alive


def test_a_hang_is_described() -> None:
    """A probe's answer says for how long the loop has been silent and what the limit is."""
    reason = stalled(WELL, WELL.last_turn + 75)
    assert reason is not None
    assert "75 s" in reason
    assert "60 s" in reason


@pytest.mark.parametrize("status", [WELL, replace(WELL, paused=True), replace(WELL, partitions=())])
def test_readiness_asks_for_no_more_than_a_share(status: ServiceStatus) -> None:
    """A member is ready when the group has settled, paused or without a partition too."""
    assert not_ready(status) is None


@pytest.mark.parametrize(
    ("status", "word"), [(replace(WELL, ready=False), "partitions"), (replace(WELL, draining=True), "draining")]
)
def test_a_member_that_is_not_ready_says_why(status: ServiceStatus, word: str) -> None:
    """A member that waits for partitions or drains is not ready and says which."""
    reason = not_ready(status)
    assert reason is not None
    assert word in reason
