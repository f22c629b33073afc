"""The configuration while it is set up: what a draft makes of a file, what it changes, and how it is written."""

import resource
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.errors import ConfigurationError, FileChanged, NotEditable
from consumer.settings import Connector, Source, Surroundings, load
from consumer.settings.draft import Draft
from consumer.settings.references import Reference

KAFKA = """\
# Ours.
kafka:
  bootstrap.servers: kafka:9092   # two of them
  group.id: 'hubspot-list-sync'
"""
ACCOUNTS = """\
accounts:
  acme:
    client_id: 11111111-2222-3333-4444-555555555555
    client_secret: {file: client-secret}   # rotated in May
    refresh_token: {file: /nowhere/refresh-token}
    requests_per_10s: 100
"""
CONNECTORS = """\
connectors:
  # for Anna
  vip:
    account: acme
    list_id: 4711      # VIPs
    source: "audience:vip"
  gold:
    account: acme
    list_id: 4712
    source: audience:gold
    enabled: no-switch
"""
WHOLE = KAFKA + ACCOUNTS + CONNECTORS.replace("no-switch", "false")
TOKEN = frozenset({("acme", "refresh_token")})
VIP = Connector(account="acme", list_id=4711, source=Source("AUDIENCE", "vip"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with one of the two secrets."""
    (tmp_path / "client-secret").write_text("the-client-secret\n")
    return tmp_path


def draft(folder: Path, text: str | None) -> Draft:
    """Read `text` as a configuration file; None: there is no file."""
    file = folder / "config.yaml"
    if text is not None:
        file.write_bytes(text.encode())
    return Draft.read(file, {"FROM_ENVIRONMENT": "a-secret"})


def changes(edited: Draft) -> list[str]:
    """Return the lines that a draft takes away and adds."""
    return [line for line in edited.diff().splitlines()[2:] if line[0] in "+-"]


# What a draft makes of a file.


@pytest.mark.parametrize("text", [None, "", "# to do\n", "---\n"])
def test_a_setup_may_begin_with_nothing(folder: Path, text: str | None) -> None:
    """A file that is not there, or says nothing, is no error, and nothing is wrong with it yet."""
    empty = draft(folder, text)
    assert (empty.surroundings, empty.accounts, empty.connectors, empty.problems) == (None, {}, {}, ())
    assert empty.is_new == (text is None)


def test_a_draft_knows_what_the_file_has(folder: Path) -> None:
    """Secrets that are to be read elsewhere only do not hide the account; each says where it is, or what is amiss."""
    whole = draft(folder, WHOLE)
    account = whole.accounts["acme"]
    assert (account.client_id, account.requests_per_10s) == ("11111111-2222-3333-4444-555555555555", 100)
    assert account.client_secret.reference == Reference("file", "client-secret")
    assert account.client_secret.file == folder / "client-secret"
    assert account.client_secret.value is not None
    assert account.client_secret.value.reveal() == "the-client-secret"
    assert (account.refresh_token.value, account.refresh_token.file) == (None, Path("/nowhere/refresh-token"))
    assert account.refresh_token.problem is not None
    assert account.refresh_token.problem.line == 9
    assert whole.unreadable == TOKEN
    assert whole.connectors["vip"] == VIP
    assert whole.connectors["gold"].enabled is False
    assert whole.surroundings is not None
    assert whole.surroundings.kafka["group.id"] == "hubspot-list-sync"
    assert "the-client-secret" not in repr(whole) + repr(account)


def test_what_is_wrong_with_an_account_or_connector_is_told_and_the_others_are_there(folder: Path) -> None:
    """Setting up is how it is mended: only the wrong one is missing among those that can be used."""
    wrong = draft(folder, KAFKA + ACCOUNTS.replace("acme:", "acme: {client_id: 5}\n  other:") + CONNECTORS)
    assert (list(wrong.accounts), list(wrong.connectors)) == (["other"], ["vip"])
    assert (wrong.names("accounts"), wrong.names("connectors")) == (("acme", "other"), ("vip", "gold"))
    assert [problem.place for problem in wrong.problems_with("accounts", "acme")] == [
        "accounts.acme.client_id",
        "accounts.acme.client_secret",
        "accounts.acme.refresh_token",
        "accounts.acme.requests_per_10s",
    ]
    assert [(problem.place, problem.line) for problem in wrong.problems_with("connectors", "gold")] == [
        ("connectors.gold.enabled", 22)
    ]
    assert wrong.problems == (
        *wrong.problems_with("accounts", "acme"),
        *wrong.problems_with("accounts", "other"),
        *wrong.problems_with("connectors", "gold"),
    )


def test_an_account_that_was_never_authorized_has_a_token_that_is_missing(folder: Path) -> None:
    """The account can be used to authorize it."""
    account = draft(folder, WHOLE.replace("    refresh_token: {file: /nowhere/refresh-token}\n", "")).accounts["acme"]
    assert (account.refresh_token.reference, account.refresh_token.value) == (None, None)
    assert account.refresh_token.problem is not None
    assert account.refresh_token.problem.rule == "is missing"


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        WHOLE.replace("4712", "4711"),
        WHOLE.replace("account: acme", "account: other"),
        WHOLE + "  gold: {}\n",
        WHOLE + "connectors:\n  5: {account: acme}\n  a b:\n",
        WHOLE.replace("{file: client-secret}", "the-client-secret"),
        KAFKA + ACCOUNTS,
        KAFKA + "accounts:\nconnectors: {}\n",
        KAFKA + "accounts: text\nconnectors: [1]\n",
        WHOLE.replace("\n", "\r\n"),
        "\ufeff" + WHOLE,
    ],
)
def test_load_and_a_draft_say_the_same(folder: Path, text: str) -> None:
    """There is one opinion of a file, in whatever state it is."""
    whole = draft(folder, text)
    with pytest.raises(ConfigurationError) as caught:
        load(whole.path, {})
    assert whole.check() == caught.value.problems
    assert set(whole.problems) <= set(whole.check())


@pytest.mark.parametrize(
    "text",
    [
        WHOLE.replace("group.id", "group_id"),
        WHOLE + "window: {max_age: 5}\n",
        WHOLE + "windows: {}\n",
        WHOLE + "topics: {results: {env: NOT_SET}}\n",
        WHOLE + "kafka:\n",
        WHOLE + "\tx: 1\n",
        "- a list\n",
        "kafka:\n",
    ],
)
def test_what_is_wrong_around_is_an_error_as_ever(folder: Path, text: str) -> None:
    """A draft raises what `load` says of the rest of the file, and nothing of accounts and connectors."""
    with pytest.raises(ConfigurationError) as of_draft:
        draft(folder, text)
    with pytest.raises(ConfigurationError) as of_load:
        load(folder / "config.yaml", {})
    ours = ("accounts", "connectors")
    around = [each for each in of_load.value.problems if not each.place.startswith(ours)]
    assert list(of_draft.value.problems) == around


# Edits.


def test_a_setup_from_nothing_gives_a_file_that_load_takes(folder: Path) -> None:
    """What the pages write, `run` reads."""
    edited = (
        draft(folder, None)
        .with_kafka("localhost:9092", "hubspot-list-sync", "http://localhost:8081")
        .with_account(
            "acme",
            client_id="11111111-2222-3333-4444-555555555555",
            requests_per_10s=100,
            client_secret=Reference("env", "FROM_ENVIRONMENT"),
            refresh_token=Reference("file", "secrets/acme-refresh-token"),
        )
        .with_connector("vip", VIP)
    )
    assert edited.text == (
        "kafka:\n"
        "  bootstrap.servers: localhost:9092\n"
        "  group.id: hubspot-list-sync\n"
        "schema_registry:\n"
        "  url: http://localhost:8081\n"
        "accounts:\n"
        "  acme:\n"
        "    client_id: 11111111-2222-3333-4444-555555555555\n"
        "    client_secret: {env: FROM_ENVIRONMENT}\n"
        "    refresh_token: {file: secrets/acme-refresh-token}\n"
        "    requests_per_10s: 100\n"
        "connectors:\n"
        "  vip:\n"
        "    account: acme\n"
        "    list_id: 4711\n"
        "    source: audience:vip\n"
        "    identifier: 2006\n"
        "    enabled: true\n"
    )
    assert edited.check(TOKEN) == ()
    assert [problem.place for problem in edited.check()] == ["accounts.acme.refresh_token"]
    edited.save()
    (folder / "secrets").mkdir()
    (folder / "secrets/acme-refresh-token").write_text("a-token")
    settings = load(folder / "config.yaml", {"FROM_ENVIRONMENT": "a-secret"})
    assert settings.connectors == {"vip": VIP}
    assert isinstance(edited.surroundings, Surroundings)


def test_what_is_typed_about_kafka_is_checked(folder: Path) -> None:
    """A wrong address is said at once."""
    with pytest.raises(ConfigurationError, match=r"schema_registry\.url: must be the URL of a Schema Registry"):
        draft(folder, None).with_kafka("localhost:9092", "g", "localhost:8081")
    with pytest.raises(ConfigurationError, match=r"kafka: is there already\. Change it by hand"):
        draft(folder, WHOLE).with_kafka("localhost:9092", "g", "http://localhost:8081")


def test_a_connector_is_put_behind_the_others(folder: Path) -> None:
    """Nothing else changes, and a slot that is no number is written as the text that it is."""
    silver = VIP.model_copy(update={"list_id": 4713, "source": Source("JOURNEY", "a: b"), "identifier": "007"})
    edited = draft(folder, WHOLE).with_connector("yes", silver)
    assert changes(edited) == [
        '+  "yes":',
        "+    account: acme",
        "+    list_id: 4713",
        '+    source: "journey:a: b"',
        '+    identifier: "007"',
        "+    enabled: true",
    ]
    assert edited.connectors["yes"] == silver
    assert edited.check(TOKEN) == ()


def test_a_changed_connector_keeps_its_place_its_comments_and_what_is_the_same(folder: Path) -> None:
    """A default that the file leaves out stays left out."""
    edited = draft(folder, WHOLE).with_connector("vips", VIP.model_copy(update={"list_id": 1}), replacing="vip")
    assert changes(edited) == [
        "-  vip:",
        "+  vips:",
        "-    list_id: 4711      # VIPs",
        "+    list_id: 1      # VIPs",
    ]
    assert list(edited.connectors) == ["vips", "gold"]
    assert (
        edited.with_connector("vips", VIP, replacing="vips").with_connector("vip", VIP, replacing="vips").diff() == ""
    )


def test_a_wrong_connector_can_be_set_right(folder: Path) -> None:
    """All that a connector needs is written over what is there."""
    wrong = draft(folder, KAFKA + ACCOUNTS + CONNECTORS)
    edited = wrong.with_connector("gold", VIP.model_copy(update={"list_id": 4712}), replacing="gold")
    assert edited.check(TOKEN) == ()


def test_a_value_that_comes_from_elsewhere_stays_there_as_long_as_it_is_the_same(folder: Path) -> None:
    """The person who wrote the reference wants it."""
    (folder / "id").write_text("4711")
    whole = draft(folder, WHOLE.replace("4711 ", "{file: id} "))
    assert whole.with_connector("vip", VIP, replacing="vip").diff() == ""
    edited = whole.with_connector("vip", VIP.model_copy(update={"list_id": 1}), replacing="vip")
    assert changes(edited) == ["-    list_id: {file: id}      # VIPs", "+    list_id: 1      # VIPs"]


def test_a_connector_is_switched_where_its_switch_is(folder: Path) -> None:
    """And one that has none gets one; what is so already is not touched."""
    whole = draft(folder, WHOLE)
    assert changes(whole.with_enabled("gold", enabled=True)) == ["-    enabled: false", "+    enabled: true"]
    assert changes(whole.with_enabled("vip", enabled=False)) == ["+    enabled: false"]
    assert whole.with_enabled("vip", enabled=True).diff() == ""


def test_a_connector_is_removed_and_its_neighbours_stay(folder: Path) -> None:
    """Without any, the section is empty in words."""
    whole = draft(folder, WHOLE)
    assert changes(whole.without_connector("vip")) == [
        "-  vip:",
        "-    account: acme",
        "-    list_id: 4711      # VIPs",
        '-    source: "audience:vip"',
    ]
    none = whole.without_connector("vip").without_connector("gold")
    assert none.text == KAFKA + ACCOUNTS + "connectors: {}\n  # for Anna\n"
    assert none.problems == draft(folder, WHOLE).problems
    assert none.with_connector("vip", VIP).connectors == {"vip": VIP}


NAMES = st.sampled_from(["vip", "gold", "yes", "007", "a.b", "zürich"])
WANTED = st.builds(
    Connector,
    account=st.just("acme"),
    list_id=st.integers(1, 2**63 - 1),
    source=st.builds(
        Source, st.sampled_from(["AUDIENCE", "JOURNEY"]), st.text(st.characters(codec="utf-8"), min_size=1)
    ),
    identifier=st.sampled_from(["2006", "007", "crm id", "true", "9" * 30]),
    enabled=st.booleans(),
)


@given(st.lists(st.tuples(st.sampled_from(["add", "replace", "switch", "remove"]), NAMES, NAMES, WANTED), max_size=8))
def test_any_edits_one_after_the_other_give_what_they_say(edits: list[tuple[str, str, str, Connector]]) -> None:
    """The connectors are as a plain mapping would be, in its order, and the rest of the file is as it was."""
    with TemporaryDirectory() as folder:
        edited = draft(Path(folder), WHOLE)
    expected = dict(edited.connectors)
    for edit, name, other, wanted in edits:
        if edit == "add" and name not in expected:
            edited = edited.with_connector(name, wanted)
            expected[name] = wanted
        elif edit == "replace" and name in expected and (name == other or other not in expected):
            edited = edited.with_connector(other, wanted, replacing=name)
            expected = {other if key == name else key: wanted if key == name else old for key, old in expected.items()}
        elif edit == "switch" and name in expected:
            edited = edited.with_enabled(name, enabled=wanted.enabled)
            expected[name] = expected[name].model_copy(update={"enabled": wanted.enabled})
        elif edit == "remove" and name in expected:
            edited = edited.without_connector(name)
            del expected[name]
        assert list(edited.connectors.items()) == list(expected.items())
    assert edited.text.startswith(KAFKA + ACCOUNTS + "connectors:")
    assert "  # for Anna\n" in edited.text


def test_an_account_is_changed_where_it_differs(folder: Path) -> None:
    """New credentials for an account leave its comments."""
    edited = draft(folder, WHOLE).with_account(
        "acme",
        client_id="11111111-2222-3333-4444-555555555555",
        requests_per_10s=50,
        client_secret=Reference("env", "FROM_ENVIRONMENT"),
        refresh_token=Reference("file", "secrets/acme-refresh-token"),
    )
    assert changes(edited) == [
        "-    client_secret: {file: client-secret}   # rotated in May",
        "-    refresh_token: {file: /nowhere/refresh-token}",
        "-    requests_per_10s: 100",
        "+    client_secret: {env: FROM_ENVIRONMENT}   # rotated in May",
        "+    refresh_token: {file: secrets/acme-refresh-token}",
        "+    requests_per_10s: 50",
    ]


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda whole: whole.with_connector("gold", VIP), "connectors.gold: is there already. Choose another name"),
        (lambda whole: whole.with_connector("gold", VIP, replacing="vip"), "connectors.gold: is there already"),
        (lambda whole: whole.with_connector("x", VIP, replacing="y"), "connectors.y: is not there any more"),
        (lambda whole: whole.with_enabled("y", enabled=True), "connectors.y: is not there any more"),
        (lambda whole: whole.without_connector("y"), "connectors.y: is not there any more. Look at the file anew"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused(folder: Path, edit: Callable[[Draft], Draft], told: str) -> None:
    """Somebody may have changed the file meanwhile."""
    with pytest.raises(ConfigurationError) as caught:
        edit(draft(folder, WHOLE))
    assert told in str(caught.value)


def test_what_a_program_cannot_change_is_said_with_what_to_write(folder: Path) -> None:
    """An alias stands for two connectors: changing one would change both."""
    text = WHOLE.replace("  vip:", "  vip: &vip").replace("  gold:", "  also: *vip\n  gold:")
    with pytest.raises(NotEditable) as caught:
        draft(folder, text).with_enabled("vip", enabled=False)
    assert str(caught.value) == (
        f"{folder}/config.yaml:13: connectors.vip: cannot be changed by program: an alias, a merge key or a key that "
        "is there twice would change more than this. Write `vip: {enabled: false}` there by hand."
    )


def test_the_check_names_lines_of_the_new_text(folder: Path) -> None:
    """Two connectors on one list are found before anything is written."""
    [problem] = draft(folder, WHOLE).with_connector("again", VIP).check(TOKEN)
    assert (problem.place, problem.line) == ("connectors.again.list_id", 24)


def test_only_a_secret_that_is_referred_to_can_be_taken_as_given(folder: Path) -> None:
    """One that stands in the file, or is not named at all, stays a problem."""
    wrong = draft(folder, WHOLE.replace("{file: /nowhere/refresh-token}", "in-the-open"))
    assert [problem.place for problem in wrong.check(TOKEN)] == ["accounts.acme.refresh_token"]
    assert wrong.unreadable == frozenset()


@pytest.mark.parametrize(
    "written", ["in-the-open", "'in-the-open'", "&s in-the-open", "[in-the-open]", "{x: in-the-open}"]
)
def test_no_diff_shows_a_secret_that_stands_in_the_file(folder: Path, written: str) -> None:
    """However it stands there, beside what is changed."""
    accounts = ACCOUNTS.replace("    refresh_token: {file: /nowhere/refresh-token}\n", "")
    tokens = f"    refresh_token: {written}  # here\n    access_token: in-the-open\n"
    whole = draft(folder, f"{KAFKA}{accounts}{tokens}connectors:\n")
    edited = whole.with_connector("vip", VIP)
    assert "in-the-open" not in edited.diff()
    assert edited.diff().count("***") == 2
    assert "in-the-open" in edited.text


def test_a_diff_shows_no_secret_that_it_takes_out(folder: Path) -> None:
    """It is moved to a file, and the line that held it is shown without it."""
    edited = draft(folder, WHOLE.replace("{file: client-secret}", "in-the-open")).with_account(
        "acme",
        client_id="11111111-2222-3333-4444-555555555555",
        requests_per_10s=100,
        client_secret=Reference("file", "client-secret"),
        refresh_token=Reference("file", "/nowhere/refresh-token"),
    )
    assert changes(edited) == [
        "-    client_secret: ***   # rotated in May",
        "+    client_secret: {file: client-secret}   # rotated in May",
    ]


# Writing.


def test_a_file_is_replaced_whole_and_keeps_its_mode(folder: Path) -> None:
    """And a link to it stays a link."""
    draft(folder, WHOLE)
    (folder / "config.yaml").rename(folder / "real.yaml")
    (folder / "real.yaml").chmod(0o604)
    (folder / "config.yaml").symlink_to("real.yaml")
    edited = draft(folder, None).with_enabled("gold", enabled=True)
    saved = edited.save()
    assert (folder / "config.yaml").is_symlink()
    assert (folder / "real.yaml").read_text() == edited.text == WHOLE.replace("false", "true")
    assert (folder / "real.yaml").stat().st_mode & 0o7777 == 0o604
    assert (saved.diff(), saved.is_new) == ("", False)
    assert sorted(each.name for each in folder.iterdir()) == ["client-secret", "config.yaml", "real.yaml"]
    saved.with_enabled("gold", enabled=False).save()
    assert (folder / "real.yaml").read_text() == WHOLE


def test_line_ends_and_a_byte_order_mark_are_written_as_they_were(folder: Path) -> None:
    """What an editor on Windows made stays what it is."""
    text = "\ufeff" + WHOLE.replace("\n", "\r\n")
    draft(folder, text).with_enabled("gold", enabled=True).save()
    assert (folder / "config.yaml").read_bytes() == text.replace("false", "true").encode()


def test_a_new_file_is_not_for_everybody(folder: Path) -> None:
    """Its owner writes it, its group reads it."""
    draft(folder, None).with_kafka("localhost:9092", "g", "http://localhost:8081").save()
    assert (folder / "config.yaml").stat().st_mode & 0o7777 & ~0o640 == 0


@pytest.mark.parametrize("before", [WHOLE, None])
@pytest.mark.parametrize("now", [WHOLE + "# by somebody else\n", None])
def test_a_file_that_changed_meanwhile_is_not_overwritten(folder: Path, before: str | None, now: str | None) -> None:
    """Whether it was changed, made or removed; a file that was only touched is the same."""
    if (before, now) == (None, None):
        return
    old = draft(folder, before)
    edited = old.with_connector("new", VIP)
    (folder / "config.yaml").unlink(missing_ok=True)
    if now is not None:
        (folder / "config.yaml").write_text(now)
    with pytest.raises(FileChanged) as caught:
        edited.save()
    assert str(caught.value) == (
        f"{folder}/config.yaml: the file was changed since it was read; nothing was written. "
        "Look at it anew, and make the change again."
    )
    assert (folder / "config.yaml").exists() == (now is not None)
    assert now is None or (folder / "config.yaml").read_text() == now


def test_nothing_is_written_where_nothing_is_changed(folder: Path) -> None:
    """The file is the same one, not a copy."""
    whole = draft(folder, WHOLE)
    number = whole.path.stat().st_ino
    whole.save()
    assert whole.path.stat().st_ino == number


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It is not made: it may be a slip of the pen."""
    new = Draft.read(tmp_path / "conf/config.yaml", {})
    with pytest.raises(ConfigurationError, match=r"the folder of the file is not there\. Make the folder"):
        new.with_kafka("localhost:9092", "g", "http://localhost:8081").save()


def test_a_failed_write_leaves_the_file_and_nothing_beside_it(folder: Path) -> None:
    """The disk may be full."""
    edited = draft(folder, WHOLE).with_enabled("gold", enabled=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # the system writes no more than so many bytes
    try:
        with pytest.raises(ConfigurationError, match=r"cannot be written \(File too large\)"):
            edited.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (folder / "config.yaml").read_text() == WHOLE
    assert sorted(each.name for each in folder.iterdir()) == ["client-secret", "config.yaml"]
