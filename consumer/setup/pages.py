"""The pages that lead a browser through the setup: each takes a request, asks the session and shows what it tells.

Rules. Choices stand in the address (`asked`), nothing secret does. What changes anything is a form, answered with a
redirect, so that no reload does it twice. What a step refuses is told on the page that asked for it: at its field if it
has one.
"""

import json
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp

from consumer import log
from consumer.checks import SCOPES
from consumer.settings.values import RECORD_ID_SLOT
from consumer.setup import asked as ask
from consumer.setup.asked import Asked, Words, address, under
from consumer.setup.connector_pages import ConnectorPages
from consumer.setup.security import START
from consumer.setup.session import Session
from consumer.setup.site import Site, to
from consumer.setup.words import AccountView, Commands, Granted, ListOption, Preview, SetupProblem, Sources

_MOST: Final = 100  # sources, or connectors of an account, that a page shows: more are no choice but a search
_TYPED: Final = "typed"  # the radio button of a source that was not seen


def application(session: Session, port: int, redirect_uri: str, *, clock: Callable[[], float] = time.time) -> ASGIApp:
    """Return the pages of `session`, as they are served at `port`; `clock` gives seconds since 1970."""
    site = Site(port)
    steps, connectors = Steps(session, site, redirect_uri, clock), ConnectorPages(session, site)
    return site.app(
        [
            site.shows(START, steps.overview),
            site.does("/kafka", steps.connect_kafka),
            site.shows("/accounts/new", steps.account),
            site.does("/accounts/new", steps.take_account),
            site.shows("/accounts/{name}/credentials", steps.account),
            site.does("/accounts/{name}/credentials", steps.take_account),
            site.shows("/accounts/{name}/authorize", steps.authorize),
            site.shows("/accounts/{name}/consent", steps.consent),
            site.shows("/oauth/callback", steps.callback),
            site.shows("/authorized/{number}", steps.authorized),
            site.shows("/list", steps.lists),
            site.shows("/list/found", steps.found),
            site.shows("/list/choose", steps.choose_list),
            site.does("/list/create", steps.create_list),
            site.shows("/source", steps.sources),
            site.shows("/source/choose", steps.choose_source),
            site.shows("/review", steps.review),
            site.does("/save", steps.decide),
            site.shows("/commands/{number}", steps.commands),
            site.shows("/saved/{name}", connectors.saved),
            site.shows("/connectors", connectors.open),
            site.shows("/connectors/{name}", connectors.connector),
            site.does("/connectors/{name}/switch", connectors.switch),
            site.shows("/connectors/{name}/remove", connectors.ask_to_remove),
            site.does("/connectors/{name}/remove", connectors.remove),
            site.does("/connectors/{name}/fill", connectors.fill),
            site.shows("/connectors/{name}/filling", connectors.filling),
        ]
    )


class _Outcome(NamedTuple):
    """What came of an authorization, of the account that HubSpot was last asked for."""

    account: str
    outcome: Granted | SetupProblem


class Steps:
    """From the first account to a connector that is saved."""

    def __init__(self, session: Session, site: Site, redirect_uri: str, clock: Callable[[], float]) -> None:
        self._session = session
        self._site = site
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._consenting = ""  # the account that HubSpot was last asked for

    def overview(self, asked: Asked) -> Response:
        """Show what there is, and on the first day ask where Kafka is."""
        problem, typed = self._site.told(asked)
        overview = self._session.overview()
        return self._site.page(
            "overview",
            "HubSpot list sync setup",
            problem=problem,
            overview=overview,
            most=_MOST,
            is_cut=any(len(account.connectors) > _MOST for account in overview.accounts),
            typed=typed,
            done=asked.query["done"],
        )

    def connect_kafka(self, asked: Asked) -> Response:
        """Take where Kafka is."""
        servers, group, registry = (asked.form[key].strip() for key in ("servers", "group_id", "registry_url"))
        try:
            self._session.connect_kafka(servers, group, registry)
        except SetupProblem as problem:
            return self._site.back(START, asked, problem)
        return to(START)

    def account(self, asked: Asked) -> Response:
        """Ask for an account, or for other credentials of one."""
        name = asked.path.get("name")
        account = None if name is None else self._account(name)
        heading = "Add an account" if name is None else f"Change credentials of {name}"
        problem, typed = self._site.told(asked)
        return self._site.page("account", heading, step="Account", problem=problem, account=account, typed=typed)

    def take_account(self, asked: Asked) -> Response:
        """Take an account."""
        name = asked.path.get("name")
        form = ask.account_form(asked.form, name)
        try:
            self._session.add_account(form, new=name is None)
        except SetupProblem as problem:
            here = under("accounts", "new") if name is None else under("accounts", name, "credentials")
            return self._site.back(here, asked, problem)
        return to(under("accounts", form.name, "authorize"))

    def authorize(self, asked: Asked) -> Response:
        """Explain what HubSpot will ask."""
        account = self._account(asked.path["name"])
        return self._site.page(
            "authorize",
            f"Authorize HubSpot for {account.name}",
            step="Authorize",
            problem=self._site.told(asked)[0],
            account=account,
            scopes=SCOPES,
            redirect_uri=self._redirect_uri,
        )

    def consent(self, asked: Asked) -> Response:
        """Send the browser to HubSpot."""
        name = asked.path["name"]
        try:
            there = self._session.consent_url(name)
        except SetupProblem as problem:
            return self._site.back(under("accounts", name, "authorize"), asked, problem)
        self._consenting = name
        return to(there)

    def callback(self, asked: Asked) -> Response:
        """Take HubSpot's answer, and have the browser forget the address that carries it."""
        outcome: Granted | SetupProblem
        try:
            outcome = self._session.finish(asked.query)
        except SetupProblem as problem:
            outcome = problem
        except Exception:  # noqa: BLE001 - whatever it is, the code must not stay in the address bar
            log.get(__name__).exception("authorization broke")
            remedy = "What it was stands in the terminal that `setup` runs in. Authorize again"
            outcome = SetupProblem("failed", "HubSpot's answer broke this program", remedy)
        return to(under("authorized", self._site.memory.keep(_Outcome(self._consenting, outcome))))

    def authorized(self, asked: Asked) -> Response:
        """Tell what came of an authorization."""
        told = self._site.memory.recall(asked.path["number"], _Outcome)
        if told is None:
            return to(START)
        if isinstance(told.outcome, SetupProblem):
            heading = "HubSpot is not authorized"
            return self._site.page("refused", heading, step="Authorize", problem=told.outcome, account=told.account)
        account = self._account(told.outcome.account)
        heading = "HubSpot is authorized"
        return self._site.page("authorized", heading, step="Authorize", granted=told.outcome, account=account)

    def lists(self, asked: Asked) -> Response:
        """Show the lists of an account."""
        account = _of_account(asked)
        text = asked.query["q"].strip()
        problem, typed = self._site.told(asked)
        options: list[ListOption] | None = None
        try:
            options = self._session.find_lists(account, text)
        except SetupProblem as failed:
            problem = problem or failed
        return self._site.page(
            "list",
            "Choose a list",
            step="List",
            problem=problem,
            account=account,
            text=text,
            options=options,
            chosen=asked.chosen,
            typed=typed,
        )

    def found(self, asked: Asked) -> Response:
        """Show just the lists that were found, for the page that asks while one types."""
        told: SetupProblem | None = None
        options: list[ListOption] = []
        try:
            options = self._session.find_lists(_of_account(asked), asked.query["q"].strip())
        except SetupProblem as failed:
            told = failed
        return self._site.page("found", "", options=options, chosen=asked.chosen, told=told)

    def choose_list(self, asked: Asked) -> Response:
        """Take a list, by its button or its id."""
        field = "list_id" if "list_id" in asked.query else "list"
        try:
            option = self._session.look_up(_of_account(asked), ask.list_id(asked.query[field], field))
            _require_usable(option, asked.chosen["replacing"], field)
        except SetupProblem as problem:
            return self._site.back("/list", asked, problem, asked.chosen)
        return self._with_list(asked, option)

    def create_list(self, asked: Asked) -> Response:
        """Make a list."""
        try:
            option = self._session.create_list(_of_account(asked), asked.form["name"].strip())
        except SetupProblem as problem:
            return self._site.back("/list", asked, problem, asked.chosen)
        return self._with_list(asked, option)

    def sources(self, asked: Asked) -> Response:
        """Show the audiences and journeys that events were seen of."""
        problem, typed = self._site.told(asked)
        seen = Sources((), 0)
        try:
            seen = self._session.sources()
        except SetupProblem as failed:
            problem = problem or failed
        chosen = Words({"identifier": RECORD_ID_SLOT, **asked.chosen})
        return self._site.page(
            "source",
            "Choose an audience or journey",
            step="Source",
            problem=problem,
            seen=seen,
            chosen=chosen,
            other=_TYPED,
            most=_MOST,
            typed=typed,
            now=self._clock(),
        )

    def choose_source(self, asked: Asked) -> Response:
        """Take a source and a slot."""
        query = asked.query
        try:
            if query["source"] == _TYPED:
                source = ask.source(f"{query['type']}:{query['source_id']}", "source_id")
            else:
                source = ask.source(query["source"])
            slot = ask.identifier(query["identifier"])
        except SetupProblem as problem:
            rest = {key: value for key, value in asked.chosen.items() if key != "source"}
            return self._site.back("/source", asked, problem, rest)
        return to(address("/review", {**asked.chosen, "source": str(source), "identifier": slot}))

    def review(self, asked: Asked) -> Response:
        """Show the proof."""
        chosen = asked.chosen
        problem, _ = self._site.told(asked)
        proof = None
        try:
            proof = self._session.prove(ask.choice(chosen), chosen.get("replacing"))
        except SetupProblem as failed:
            problem = problem or failed
        return self._site.page(
            "review",
            "Review and save",
            step="Review",
            problem=problem,
            chosen=Words({"identifier": RECORD_ID_SLOT, **chosen}),
            enabled=ask.is_enabled(chosen),
            proven=_proven(chosen),
            proof=proof,
            body=None if proof is None or proof.preview is None else _body(proof.preview),
            again="again" in asked.query,
        )

    def decide(self, asked: Asked) -> Response:
        """Save what was proven, or give the commands for it, or prove once more."""
        form = asked.form
        chosen = ask.switched(asked.chosen, enabled="on" in form)
        # Under the buttons stands the proof of what the page showed when it came.
        changed = form["proven"] != _proven(chosen)
        if changed or form["do"] == "check":
            return to(address("/review", chosen, **({"again": "yes"} if changed else {})))
        try:
            _require_good(form)
            choice = ask.choice(chosen)
            if form["do"] == "commands":
                commands = self._session.commands(choice, chosen.get("replacing"))
                return to(under("commands", self._site.memory.keep(commands)))
            saved = self._session.save(choice, chosen.get("replacing"))
        except SetupProblem as problem:
            return self._site.back("/review", asked, problem, chosen)
        return to(address(under("saved", choice.connector), {}, told=self._site.memory.keep(saved)))

    def commands(self, asked: Asked) -> Response:
        """Show the commands that were asked for."""
        commands = self._site.memory.recall(asked.path["number"], Commands)
        if commands is None:
            return to(START)
        return self._site.page("commands", "Commands for Kubernetes", step="Review", commands=commands)

    def _with_list(self, asked: Asked, option: ListOption) -> Response:
        chosen = {**asked.chosen, "list": str(option.list_id)}
        if "replacing" not in chosen:
            chosen["connector"] = self._session.free_name(option.name)
        return to(address("/source", chosen))

    def _account(self, name: str) -> AccountView:
        for account in self._session.overview().accounts:
            if account.name == name:
                return account
        raise SetupProblem("not_found", f"There is no account {name}", "Choose one on the overview, or add it")


def _of_account(asked: Asked) -> str:
    if account := asked.chosen["account"]:
        return account
    raise SetupProblem("invalid", "No account is chosen", "Begin with an account on the overview")


def _require_usable(option: ListOption, replacing: str, field: str) -> None:
    if option.unusable is not None:
        told = f"{option.name} cannot be used: {option.unusable}"
        raise SetupProblem("invalid", told, "Choose a list that is managed by hand", field=field)
    if option.connector not in {None, replacing}:
        told = f"Connector {option.connector} keeps {option.name} already"
        raise SetupProblem("invalid", told, "Choose another list: each has one connector", field=field)


def _require_good(form: Words) -> None:
    if not form["good"] and not form["anyway"]:
        remedy = "Mend them, or tick the box to save in spite of them"
        raise SetupProblem("invalid", "The checks found problems", remedy, field="anyway")


def _proven(chosen: Words) -> str:
    """Return the choices as one text, to be compared."""
    return address("", ask.switched(chosen, enabled=ask.is_enabled(chosen)))


def _body(preview: Preview) -> str:
    """Return the body of the request that is shown, as it would be sent."""
    ids = {"recordIdsToAdd": preview.adds, "recordIdsToRemove": preview.removes}
    return json.dumps({key: [str(contact) for contact in contacts] for key, contacts in ids.items()}, indent=1)
