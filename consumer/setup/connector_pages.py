"""The pages of a connector that is in the file: what comes after saving, changing it, filling its list, removing it."""

from typing import Final

from starlette.responses import Response

from consumer.setup import asked as ask
from consumer.setup.asked import Asked, address, under
from consumer.setup.security import START
from consumer.setup.session import Session
from consumer.setup.site import Site, to
from consumer.setup.words import Saved, SetupProblem

_SWITCHED: Final = {"on": "enabled", "off": "disabled"}  # by what the form says


class ConnectorPages:
    """What can be done with a connector of the file."""

    def __init__(self, session: Session, site: Site) -> None:
        self._session = session
        self._site = site

    def saved(self, asked: Asked) -> Response:
        """Say that it is saved, and what to do now."""
        connector = self._session.connector(asked.path["name"])
        saved = self._site.memory.recall(asked.query["told"], Saved)
        heading = f"{connector.name} is saved"
        return self._site.page("saved", heading, step="Activate", connector=connector, saved=saved)

    def connector(self, asked: Asked) -> Response:
        """Show it, and what can be done."""
        connector = self._session.connector(asked.path["name"])
        return self._site.page(
            "connector",
            f"Connector {connector.name}",
            problem=self._site.told(asked)[0],
            connector=connector,
            chosen=ask.of_connector(connector),
            done=asked.query["done"],
        )

    def open(self, asked: Asked) -> Response:
        """Go to the one of a name."""
        try:
            return to(under("connectors", self._session.connector(asked.query["name"].strip()).name))
        except SetupProblem as problem:
            at_field = SetupProblem(problem.kind, problem.told, problem.remedy, field="name")
            return self._site.back(START, asked, at_field)

    def switch(self, asked: Asked) -> Response:
        """Enable or disable it."""
        name, state = asked.path["name"], asked.form["state"]
        if state not in _SWITCHED:
            raise SetupProblem("invalid", f"Nothing was said of connector {name}", "Enable or disable it on its page")
        try:
            self._session.enable(name, enabled=state == "on")
        except SetupProblem as problem:
            return self._site.back(under("connectors", name), asked, problem)
        return to(address(under("connectors", name), {}, done=_SWITCHED[state]))

    def ask_to_remove(self, asked: Asked) -> Response:
        """Ask whether it is meant."""
        connector = self._session.connector(asked.path["name"])
        problem, _ = self._site.told(asked)
        return self._site.page("remove", f"Remove {connector.name}?", problem=problem, connector=connector)

    def remove(self, asked: Asked) -> Response:
        """Remove it."""
        name = asked.path["name"]
        try:
            self._session.remove(name)
        except SetupProblem as problem:
            return self._site.back(under("connectors", name, "remove"), asked, problem)
        return to(address(START, {}, done="removed"))

    def fill(self, asked: Asked) -> Response:
        """Begin to fill its list."""
        name = asked.path["name"]
        try:
            self._session.fill(name)
        except SetupProblem as problem:
            return self._site.back(under("connectors", name), asked, problem)
        return to(under("connectors", name, "filling"))

    def filling(self, asked: Asked) -> Response:
        """Show how far that is."""
        name = asked.path["name"]
        connector, filling = self._session.connector(name), self._session.filling(name)
        if filling is None:
            return to(under("connectors", name))
        refresh = filling.state == "running" and asked.query["refresh"] != "off"
        heading = f"Filling the list of {name}"
        return self._site.page(
            "filling", heading, step="Activate", connector=connector, filling=filling, refresh=refresh
        )
