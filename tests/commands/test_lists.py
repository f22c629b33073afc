"""`lists` and `lists create`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from consumer.cli import main
from consumer.settings import load
from consumer.simulator import ContactList, Fault
from tests.commands.world import World, account, cells, world

pytestmark = pytest.mark.process


def test_lists_shows_each_list_and_who_keeps_it(world: World) -> None:
    """A person sees id, name, size and connector of every manual list, sorted by name."""
    world.at_hubspot(lambda portal: portal.accounts["acme"].add_list(ContactList(12, "alumni")))
    world.at_hubspot(
        lambda portal: portal.accounts["acme"].add_list(ContactList(13, "Active", processing_type="DYNAMIC"))
    )
    result = world.call("lists")
    assert (result.exit_code, result.stderr) == (0, "")
    assert cells(result.stdout) == [["12", "alumni", "0", ""], ["10", "VIP", "3", "vip"]]


def test_lists_by_name_for_programs(world: World) -> None:
    """A program gets an object a line, of the lists whose name contains the text."""
    world.at_hubspot(lambda portal: portal.accounts["acme"].add_list(ContactList(12, "alumni")))
    assert world.lines("lists", "--search", "vi") == [{"list_id": 10, "name": "VIP", "size": 3, "connector": "vip"}]


def test_no_lists(world: World) -> None:
    """An empty answer says so, beside stdout."""
    result = world.call("lists", "--search", "nothing")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "account acme has no such list; make one with `hubspot-list-sync lists create NAME`" in result.stderr


def test_a_name_cannot_play_with_the_terminal(world: World) -> None:
    """Markup and control characters in a list's name are shown, not obeyed."""
    world.at_hubspot(lambda portal: portal.accounts["acme"].add_list(ContactList(11, "[red]a\x1b[2Jb[/red]")))
    assert ["11", r"[red]a\x1b[2Jb[/red]", "0", ""] in cells(world.call("lists").stdout)


def test_several_accounts(tmp_path: Path) -> None:
    """With several accounts one must be named, and a list is kept only by a connector of its own account."""
    with world(tmp_path, account("acme"), account("other", ContactList(10, "Theirs"))) as both:
        unnamed, wrong = both.call("lists"), both.call("lists", "--account", "nobody")
        assert (unnamed.exit_code, wrong.exit_code) == (2, 2)
        assert "there are several accounts: add --account with one of acme, other." in unnamed.stderr
        assert "there is no account nobody: name one of acme, other." in wrong.stderr
        assert both.lines("lists", "--account", "other") == [
            {"list_id": 10, "name": "Theirs", "size": 0, "connector": None}
        ]


def test_create_makes_a_list_and_says_what_to_write(world: World, tmp_path: Path) -> None:
    """The id is told, and the YAML that is printed is a connector that the configuration takes."""
    result = world.call("lists", "create", "VIP customers: 2026")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == "list 11 was made: VIP customers: 2026, in account acme"
    assert world.at_hubspot(lambda portal: portal.accounts["acme"].lists[11].processing_type) == "MANUAL"
    snippet = YAML(typ="safe").load(result.stdout.partition("\n\n")[2])
    file = tmp_path / "next.yaml"
    file.write_text(json.dumps({**world.tree, **snippet}))
    [(name, connector)] = load(file, {}).connectors.items()
    assert (name, connector.account, connector.list_id) == ("vip-customers-2026", "acme", 11)


@pytest.mark.parametrize(("name", "connector"), [("vip!", "vip-2"), ("日本", "list"), ("True", "true"), ("7", "7")])
def test_the_snippets_name_is_free_and_text(world: World, name: str, connector: str) -> None:
    """Whatever the list is called, the connector gets a name that is not taken and that YAML takes for text."""
    snippet = YAML(typ="safe").load(world.call("lists", "create", name).stdout.partition("\n\n")[2])
    assert list(snippet["connectors"]) == [connector]


def test_create_for_programs(world: World) -> None:
    """A program gets the id as JSON."""
    assert world.lines("lists", "create", "Winback") == [{"list_id": 11, "name": "Winback", "account": "acme"}]


def test_a_name_that_is_taken(world: World) -> None:
    """No second list is made; the one that has the name is told with its id."""
    result = world.call("lists", "create", "vip")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the name 'vip' is taken by list 10. Take another name, or attach list 10." in result.stderr
    assert world.at_hubspot(lambda portal: list(portal.accounts["acme"].lists)) == [10]


def test_an_empty_name(world: World) -> None:
    """A name is asked for before HubSpot is."""
    result = world.call("lists", "create", "  ")
    assert result.exit_code == 2
    assert "a list needs a name" in result.stderr


def test_an_option_that_would_not_be_heard() -> None:
    """An option before `create` is refused: the list must not be made in another account than was named."""
    result = CliRunner().invoke(main, ["lists", "--account", "other", "create", "Winback"])
    assert result.exit_code == 2
    assert "--account belongs behind `create`." in result.stderr


def test_a_failure_is_one_clean_line(world: World) -> None:
    """What HubSpot said and what to do is told without a traceback and without a secret; the exit code is 1."""
    world.at_hubspot(lambda portal: portal.inject(Fault("refresh_refused")))
    result = world.call("lists")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert "BAD_REFRESH_TOKEN" in result.stderr
    assert "Authorize the account anew" in result.stderr
    assert "the-" not in result.stderr


def test_a_wrong_configuration(world: World) -> None:
    """A file that is wrong is told in full, and nobody is asked."""
    world.tree["connectors"]["vip"]["account"] = "nobody"
    for line in ("check --online", "lists", "lists create X", "results", "dead-letters list", "dead-letters show 0:1"):
        result = world.call(*line.split())
        assert (result.exit_code, result.stdout) == (2, "")
        assert "connectors.vip.account: is not among accounts" in result.stderr
    assert world.at_hubspot(lambda portal: portal.log) == []
