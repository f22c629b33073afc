import re

import pytest
from jinja2 import UndefinedError

from consumer.templating import address, ago, asset, template


def test_what_a_value_holds_stays_text() -> None:
    """Markup in a value is shown, not obeyed."""
    text = template("setup/error.html")(heading="<b>", told="<i>", remedy='"&', start="x")
    assert "<h1>&lt;b&gt;</h1>" in text
    assert "&lt;i&gt;. &#34;&amp;." in text


def test_a_name_that_is_missing_is_an_error() -> None:
    """A page that forgets to say something is not shown with a hole."""
    with pytest.raises(UndefinedError):
        template("setup/error.html")(heading="h", told="t", remedy="r")


def test_a_clause_becomes_a_sentence() -> None:
    """Errors are clauses without a full stop; a page makes sentences of them, of those that have one as well."""
    text = template("setup/error.html")(heading="h", told="the file changed", remedy="Look again.", start="x")
    assert "<p>The file changed. Look again.</p>" in text


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("journey.membership is compacted", "journey.membership is compacted."),
        ("secrets/x is not there", "secrets/x is not there."),
        ("list-2 is gone", "list-2 is gone."),
        ("name: must be a name", "Name: must be a name."),
        ("HubSpot is down", "HubSpot is down."),
        ("a b", "A b."),
        ("", "."),
    ],
)
def test_a_name_is_not_written_otherwise(told: str, shown: str) -> None:
    """A sentence that begins with a name of something keeps the name as it is."""
    assert f"<p>{shown} R.</p>" in template("setup/error.html")(heading="h", told=told, remedy="r", start="x")


def test_the_address_of_an_asset_names_its_content() -> None:
    """Two assets never share an address, and one keeps it as long as it stays the same."""
    assert re.fullmatch(r"/style\.css\?[0-9a-f]{12}", address("style.css"))
    assert address("style.css") == address("style.css")
    assert address("setup.js").partition("?")[2] != address("style.css").partition("?")[2]
    assert "prefers-color-scheme" in asset("style.css")


def test_a_moment_is_markup_already() -> None:
    """The element of a moment is not escaped again."""
    assert (
        ago(0.0, 61.0).__html__()
        == '<time datetime="1970-01-01T00:00:00Z" title="1970-01-01 00:00:00 UTC">1 min ago</time>'
    )
