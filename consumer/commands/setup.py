"""`setup`: connects an account, picks or creates its list, attaches it to an audience or journey.

In a browser, which the pages of `consumer.setup` lead; or in the shell, which `terminal` leads.
"""

import os
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from consumer.commands import tables
from consumer.commands.common import NAME, config_option, finish, json_option
from consumer.commands.proof import for_programs, show_commands, show_filling, show_proof, show_saved
from consumer.commands.questions import confirm
from consumer.commands.terminal import Given, Terminal, choice_of
from consumer.errors import ConsumerError
from consumer.secret import Redactor
from consumer.settings import Source
from consumer.setup.words import Filling, Proof

if TYPE_CHECKING:  # it loads slowly
    from consumer.setup.session import Session

PORT = 8765
PAUSE = 0.2  # seconds between two looks at how far a filling is
IN_BROWSER = {"config", "port", "no_browser"}
OF_ACCOUNT = IN_BROWSER | {"authorize", "yes", "as_json", "account"}
OF_ACCOUNT |= {"kubernetes", "client_id", "client_secret_file", "client_secret_env", "requests_per_10s"}


class TokenLost(ConsumerError):  # noqa: N818 - the name says what is the case
    """HubSpot has granted a token that cannot be written anywhere."""


class _SourceText(click.ParamType[Source]):
    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Source:  # noqa: ANN401 - click's signature
        """Give the source."""
        try:
            return value if isinstance(value, Source) else Source.parse(value)
        except ValueError:
            self.fail(f"{value!r} is no source: write audience:ID or journey:ID.", param, ctx)


@click.command(
    epilog=f"Example: {NAME} setup --no-browser --account acme --list 4711 --source audience:vip --yes",
)
@config_option
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=PORT,
    show_default=True,
    metavar="N",
    help="Of the pages; http://localhost:N/oauth/callback must be registered as a redirect URL of the app.",
)
@click.option("--no-browser", is_flag=True, help="Ask in this shell instead; nothing is asked that an option says.")
@click.option("--account", metavar="NAME", help="The account; one that the file does not have is new.")
@click.option("--client-id", metavar="ID", help="Of the account's HubSpot app.")
@click.option("--client-secret-file", metavar="FILE", help="The file that holds the app's client secret.")
@click.option("--client-secret-env", metavar="NAME", help="Or the environment variable that holds it.")
@click.option("--requests-per-10s", type=click.IntRange(min=1), metavar="N", help="This process's share; else 100.")
@click.option("--authorize", is_flag=True, help="Only authorize an account of the file anew.")
@click.option("--list", "list_id", type=click.IntRange(1, 2**63 - 1), metavar="ID", help="The list to keep.")
@click.option("--create-list", metavar="NAME", help="Or the name of a new one.")
@click.option("--source", type=_SourceText(), metavar="SOURCE", help="Whom it holds: audience:ID or journey:ID.")
@click.option("--identifier", metavar="SLOT", help="PartnerType slot with the record id; else 2006.")
@click.option("--connector", metavar="NAME", help="The connector's name; one that the file has is changed.")
@click.option("--enabled/--disabled", default=None, help="Whether `run` is to sync it; else it is, or stays as it was.")
@click.option("--bootstrap-servers", metavar="SERVERS", help="Where Kafka is, for a new file.")
@click.option("--group-id", metavar="ID", help="The consumer group, for a new file.")
@click.option("--registry-url", metavar="URL", help="Where the Schema Registry is, for a new file.")
@click.option("--kubernetes", is_flag=True, help="Print what to type for Kubernetes, instead of writing the file.")
@click.option("--fill", is_flag=True, help="Fill the list from the log when the file is written, as `rebuild` does.")
@click.option("--yes", is_flag=True, help="Ask nothing. What has problems is not saved then.")
@json_option
@click.pass_context
def setup(
    context: click.Context,
    /,
    *,
    config: Path,
    port: int,
    no_browser: bool,
    authorize: bool,
    kubernetes: bool,
    fill: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - what Given takes
) -> None:
    """Connect a HubSpot account, pick or create a list, and attach it to an audience or journey.

    Serves pages for a browser on this machine until Ctrl-C. With --no-browser it asks in the shell; the address of
    HubSpot's consent page is printed then, and the address that HubSpot sends the browser to is pasted. All is checked
    before it is saved, and the request that the source's last events would make is shown, not sent. `run` reads the
    file when it starts.

    With --yes and all that has no default it asks nothing. If the account is not authorized yet, the pasted address is
    read from stdin. Exits with 1 if checks find problems.
    """
    if not no_browser:
        _refuse_options(context, IN_BROWSER, "is for the shell: add --no-browser.")
    elif fill and kubernetes:
        raise click.UsageError("--fill needs the file: leave out --kubernetes.")
    if authorize:
        _refuse_options(context, OF_ACCOUNT, "concerns a connector: leave out --authorize.")
    _refuse_both(context, "list_id", "create_list")
    _refuse_both(context, "client_secret_file", "client_secret_env")
    redactor = Redactor()

    def work() -> int:
        if not no_browser:
            return _serve(config, port, redactor)
        redirect_uri = f"http://localhost:{port}/oauth/callback"
        with closing(_session(config, redirect_uri, redactor)) as session:
            terminal = Terminal(session, Given(**given), redirect_uri, config)
            if authorize:
                return reauthorize(terminal, kubernetes=kubernetes, as_json=as_json)
            return lead(terminal, kubernetes=kubernetes, fill=fill, as_json=as_json)

    finish(redactor, work)


def lead(
    terminal: Terminal,
    *,
    kubernetes: bool = False,
    fill: bool = False,
    as_json: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Lead through the setup in the shell; give the exit code. `pause` waits for so many seconds.

    Raises ConsumerError and click's errors.
    """
    session, asks = terminal.session, not terminal.given.yes
    chosen, proof = terminal.prove(terminal.choose())
    choice, told = chosen.choice, for_programs(chosen, proof)
    filling = None
    if not as_json:
        show_proof(choice, proof)
    may_save = _may_save(proof, asks=asks, kubernetes=kubernetes)
    if may_save and kubernetes:
        made = session.commands(choice, chosen.replacing)
        told |= {"commands": made.text, "secrets": made.secrets}
        if not as_json:
            show_commands(made)
    elif may_save:
        saved = session.save(choice, chosen.replacing)
        told |= {"saved": True, "file": saved.path, "secrets": saved.secrets}
        if not as_json:
            show_saved(choice, saved, terminal.config)
        if fill or (asks and confirm("Fill it now?", default=False)):
            filling = _fill(session, choice.connector, pause)
            told["filling"] = asdict(filling)
            if not as_json:
                show_filling(filling)
    if as_json:
        tables.print_json(told)
    return 0 if may_save and (filling is None or filling.state == "done") else 1


def reauthorize(terminal: Terminal, *, kubernetes: bool, as_json: bool) -> int:
    """Authorize an account of the file anew; give the exit code. Raises as `lead`.

    What to type for Kubernetes is printed where it is asked for, and where the token's place is not of this machine.
    """
    granted, connectors = terminal.authorize()
    told = asdict(granted)
    if kubernetes or not granted.written:
        if not connectors:
            raise TokenLost(f"the token of {granted.account} has no place on this machine. Set up its first connector.")
        choice = choice_of(connectors[0])
        made = terminal.session.commands(choice, choice.connector)
        told |= {"commands": made.text, "secrets": made.secrets}
        if not as_json:
            show_commands(made)
    if as_json:
        tables.print_json(told)
    return 0


def may_open_browser(environ: Mapping[str, str], platform: str) -> bool:
    """Tell whether a browser that is opened here would be seen by who typed the command."""
    if environ.get("BROWSER"):
        return True
    if environ.get("SSH_CONNECTION"):
        return False
    return platform in ("darwin", "win32") or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _session(config: Path, redirect_uri: str, redactor: Redactor) -> "Session":
    from consumer.setup.session import Session  # noqa: PLC0415 - it loads slowly

    return Session(config, os.environ, redirect_uri, redactor)


def _may_save(proof: Proof, *, asks: bool, kubernetes: bool) -> bool:
    problems = sum(each.result == "problem" for each in proof.findings)
    what = "Write the secrets into files and print the commands" if kubernetes else "Save"
    if asks:
        yes = confirm(f"{what}?" if proof.good else f"{what}, although checks have found problems?", default=proof.good)
    else:
        yes = proof.good
    if not yes:
        why = "" if proof.good else f": mend the {'problem' if problems == 1 else 'problems'} that checks have found"
        tables.note(f"nothing was saved{why}")
    return yes


def _fill(session: "Session", connector: str, pause: Callable[[float], None]) -> Filling:
    with tables.progress() as begin:
        show = begin("filling the list")
        filling: Filling | None = session.fill(connector)
        while filling is not None and filling.state == "running":
            show(filling.done, filling.total)
            pause(PAUSE)
            filling = session.filling(connector)
    return filling or Filling(connector, "failed", problem="nothing is known of it")


def _serve(config: Path, port: int, redactor: Redactor) -> int:
    """Serve the pages until Ctrl-C or SIGTERM; a second one stops at once."""
    from consumer.setup.server import SetupServer  # noqa: PLC0415 - it loads slowly

    with (
        SetupServer(port) as server,
        closing(_session(config, server.redirect_uri, redactor)) as session,
        suppress(KeyboardInterrupt),
    ):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        server.serve(session)
        tables.say(f"Open {server.url} in a browser on this machine. Ctrl-C ends the setup.")
        if may_open_browser(os.environ, sys.platform):
            webbrowser.open(server.url)
        else:
            tables.note(f"Is the browser on another machine? Type there: ssh -L {port}:localhost:{port} THIS-MACHINE")
        threading.Event().wait()
    return 0


def _refuse_options(context: click.Context, heard: AbstractSet[str], why: str) -> None:
    """Refuse what was typed but would not be heard."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in heard and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} {why}", context)


def _refuse_both(context: click.Context, *names: str) -> None:
    """Refuse two options of which one is enough."""
    options = [each for each in context.command.params if each.name in names]
    if all(context.params[each.name or ""] is not None for each in options):
        raise click.UsageError(f"{' and '.join(each.opts[0] for each in options)} exclude each other.", context)
