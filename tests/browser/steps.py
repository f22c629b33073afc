"""What a person does in the setup's pages, step by step, as the pages' words say."""

import re
from typing import Final

from playwright.sync_api import Locator, Page, expect

CONSENT: Final = re.compile("/oauth/authorize")  # HubSpot's page


def heading(page: Page, text: str) -> None:
    """Wait until the page has this heading."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def press(page: Page, name: str) -> None:
    """Press a button."""
    page.get_by_role("button", name=name, exact=True).click()


def follow(page: Page, name: str) -> None:
    """Follow a link."""
    page.get_by_role("link", name=name, exact=True).click()


def connect_kafka(page: Page, servers: str, group: str, registry: str) -> None:
    """Say where Kafka is, on the first page."""
    page.get_by_label("Kafka brokers").fill(servers)
    page.get_by_label("Consumer group").fill(group)
    page.get_by_label("Schema Registry").fill(registry)
    press(page, "Use these")


def add_account(page: Page, name: str, client_id: str, file: str = "client-secret") -> None:
    """Add an account from the first page; ends where it is authorized."""
    follow(page, "Add an account")
    heading(page, "Add an account")
    page.get_by_label("Account name").fill(name)
    fill_credentials(page, client_id, file)


def fill_credentials(page: Page, client_id: str, file: str) -> None:
    """Fill the form of an account in, and send it."""
    page.get_by_label("Client id").fill(client_id)
    page.get_by_label("In a file").check()
    page.get_by_label("Path of the file").fill(file)
    page.get_by_label("Requests in 10 seconds").fill("100")
    press(page, "Continue")


def to_hubspot(page: Page, account: str = "acme") -> None:
    """Go on to HubSpot's consent page."""
    heading(page, f"Authorize HubSpot for {account}")
    follow(page, "Authorize HubSpot")
    page.wait_for_url(CONSENT)


def authorize(page: Page, account: str = "acme") -> None:
    """Agree on HubSpot's page."""
    to_hubspot(page, account)
    press(page, "Connect app")
    heading(page, "HubSpot is authorized")


def choose_list(page: Page, name: str, *, search: str = "") -> None:
    """Choose a list that is there."""
    heading(page, "Choose a list")
    if search:
        page.get_by_label("Search by name").fill(search)
        press(page, "Search")
    page.get_by_role("radio", name=name).check()
    press(page, "Continue")


def create_list(page: Page, name: str) -> None:
    """Make a list."""
    heading(page, "Choose a list")
    page.get_by_label("Name of the new list").fill(name)
    press(page, "Create list")


def choose_source(page: Page, name: str) -> None:
    """Choose an audience or journey that was seen, and the usual slot."""
    heading(page, "Choose an audience or journey")
    page.get_by_role("radio", name=name).check()
    press(page, "Continue")


def type_source(page: Page, kind: str, source_id: str) -> None:
    """Type an audience or journey."""
    heading(page, "Choose an audience or journey")
    page.get_by_label("Another one").check()
    page.get_by_label("Type").select_option(kind)
    page.get_by_label("Its id").fill(source_id)
    press(page, "Continue")


def save(page: Page, connector: str) -> None:
    """Save what was proven; nothing may be wrong with it."""
    heading(page, "Review and save")
    expect(page.get_by_label("Save although checks found problems")).to_have_count(0)
    press(page, "Save")
    heading(page, f"{connector} is saved")


def fill(page: Page, connector: str) -> None:
    """Fill the list now, and wait until that is done; the page looks by itself."""
    press(page, "Fill the list now")
    heading(page, f"Filling the list of {connector}")
    expect(page.get_by_role("main")).to_contain_text("The list is filled.")


def problem(page: Page) -> Locator:
    """Give the box that says what is wrong."""
    return page.get_by_role("alert")
