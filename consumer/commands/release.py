"""`release`: a person lets go what the guard holds. The running member is asked, over its admin server."""

import http.client
import ipaddress
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from consumer.admin import RELEASE_HEADER, RELEASE_WORD
from consumer.commands import tables
from consumer.commands.common import NAME, ask, config_option, json_option, load_or_exit
from consumer.errors import ConsumerError
from consumer.secret import Redactor
from consumer.settings import Address, Admin

ANSWER_WITHIN = 20.0  # seconds: the server itself answers sooner, whatever the loop does


class NotReleased(ConsumerError):  # noqa: N818 - the name says what is the case
    """The member did not let anything go, or nobody knows whether it did."""


class _Where(click.ParamType[Address]):
    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:  # noqa: ANN401 - click's signature
        """Read HOST:PORT."""
        if isinstance(value, Address):
            return value
        try:
            return Admin.model_validate({"address": value}).address
        except ValueError:
            self.fail(f"{value!r} is no address: write HOST:PORT, such as 127.0.0.1:9108.", param, ctx)


@click.command(epilog=f"Example: {NAME} release vip")
@click.argument("name")
@config_option
@click.option(
    "--address",
    type=_Where(),
    metavar="HOST:PORT",
    help="Where the member's admin server is, by a loopback address; by default admin.address of the file.",
)
@json_option
def release(name: str, config: Path, address: Address | None, *, as_json: bool) -> None:
    """Let go what the guard holds of the connector NAME: what waits now leaves, and the guard watches on.

    Look first whether those people have really left: the status page says how many of how many would be removed. Each
    member holds its own share of a list, and is asked by itself, on its own machine (in its pod, by kubectl exec); the
    metric needs_attention with reason HELD tells which. Exits with 1 if nothing is held.
    """
    settings = load_or_exit(config)
    where = _reachable(address or settings.admin.address)
    if where.port == 0:
        raise click.UsageError("admin.address has port 0, a free one: name it with --address, it is in the log.")

    def work(_redactor: Redactor) -> int:
        contacts = _ask(where, name)
        if as_json:
            tables.print_json({"connector": name, "contacts": contacts})
        else:
            tables.say(f"{contacts:,} contacts of connector {name} are let go")
        return 0

    ask(settings, work)


def _reachable(address: Address) -> Address:
    """Give the loopback address at which a server is reached that listens everywhere."""
    try:
        host = ipaddress.ip_address(address.host)
    except ValueError:
        return address
    if not host.is_unspecified:
        return address
    return Address("127.0.0.1" if host.version == 4 else "::1", address.port)  # noqa: PLR2004 - as IP counts


def _ask(where: Address, connector: str) -> int:
    """Give how many contacts are let go. Raises NotReleased."""
    connection = http.client.HTTPConnection(where.host, where.port, timeout=ANSWER_WITHIN)
    try:
        connection.request("POST", f"/release/{quote(connector, safe='')}", headers={RELEASE_HEADER: RELEASE_WORD})
        response = connection.getresponse()
        answer = _object(response.read())
    except (OSError, http.client.HTTPException) as error:
        raise NotReleased(
            f"no answer from {where.host} port {where.port} ({str(error) or type(error).__name__}). "
            "Is the service running on this machine? Name the address of its admin server with --address."
        ) from error
    finally:
        connection.close()
    contacts, problem = answer.get("contacts"), answer.get("problem")
    if response.status == http.client.OK and isinstance(contacts, int):
        return contacts
    if isinstance(problem, str):
        raise NotReleased(f"{problem}.")
    raise NotReleased(
        f"what listens on {where.host} port {where.port} is no member of this service (it answered {response.status}). "
        "Name the address of its admin server with --address."
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
