"""What all pages of the setup have in common: the gate before them, how forms are read and pages and errors shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumer import web
from consumer.setup.asked import Asked, Words, address, under
from consumer.setup.security import MAX_BODY, TOKEN, Gate, Refusal
from consumer.setup.words import SetupProblem
from consumer.templating import address as asset_address
from consumer.templating import template

Handler = Callable[[Asked], Response]
"""What answers a request, in a worker thread. A SetupProblem that it raises becomes a page."""

ASSETS: Final = ("style.css", "setup.js")

_STATUS: Final = {"not_found": 404, "hubspot_down": 503, "kafka_down": 503}
_ON_FIELD, _ELSE = 422, 409
_MAX_FIELDS: Final = 50
_ERRORS: Final[Mapping[int, tuple[str, str, str]]] = {
    404: ("There is no such page", "The address leads nowhere", "Begin with the overview"),
    405: ("There is no such page", "This address takes no such request", "Begin with the overview"),
    413: ("This was refused", f"More than {MAX_BODY // 1024} KiB were sent", "Go back and type less"),
}
"""Heading, what is the case, what to do."""


class Site:
    """Makes routes of handlers, and pages of templates; `app` is the whole."""

    def __init__(self, port: int) -> None:
        self.gate = Gate(port, frozenset(f"/{name}" for name in ASSETS))

    def shows(self, path: str, handler: Handler) -> Route:
        """Return a route that shows something."""
        return self._route(path, "GET", handler)

    def does(self, path: str, handler: Handler) -> Route:
        """Return a route that changes something: a form, which must be one of these pages'."""
        return self._route(path, "POST", handler)

    def page(
        self, name: str, heading: str, *, step: str = "", problem: SetupProblem | None = None, **values: object
    ) -> Response:
        """Return a page: `step` of the setup that it belongs to, `problem` that it tells."""
        common = {"heading": heading, "step": step, "problem": problem, "token": self.gate.token, "token_field": TOKEN}
        links = {"under": under, "here": address, "script": asset_address("setup.js")}
        return HTMLResponse(template(f"setup/{name}.html")(**common, **links, **values), _status(problem))

    def app(self, routes: Sequence[Route]) -> ASGIApp:
        """Return the application: `routes`, assets and error pages behind the gate."""
        site = Starlette(
            routes=[*routes, *(web.asset_route(name) for name in ASSETS)],
            exception_handlers={HTTPException: self._http_error, Exception: self._broken},
        )
        return _Guarded(site, self.gate, self._refusal)

    def _route(self, path: str, method: str, handler: Handler) -> Route:
        async def answer(request: Request) -> Response:
            form = Words()
            if method == "POST":
                form = _form(await request.body())
                if not self.gate.vouches(form):
                    remedy = "Go back, load the page anew and send the form again"
                    return self._refusal(Refusal(403, "The form is not one that this setup has shown", remedy))
                del form[TOKEN]
            asked = Asked(request.path_params, Words(request.query_params), form)
            return await run_in_threadpool(self._told, handler, asked)

        return Route(path, answer, methods=[method])

    def _told(self, handler: Handler, asked: Asked) -> Response:
        try:
            return handler(asked)
        except SetupProblem as problem:
            return self.page("problem", "This did not succeed", problem=problem)

    def _refusal(self, refusal: Refusal) -> Response:
        if refusal.elsewhere is not None:
            return to(refusal.elsewhere)
        heading = {421: "Wrong address"}.get(refusal.status, "This was refused")
        return self._error(refusal.status, heading, refusal.told, refusal.remedy)

    async def _http_error(self, _: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._error(status, *_ERRORS.get(status, ("This was refused", "This cannot be answered", "Go back")))

    async def _broken(self, _: Request, __: Exception) -> Response:
        told, remedy = "That is a mistake of this program", "What it was stands in the terminal that `setup` runs in"
        return self._error(500, "Something broke", told, remedy)

    def _error(self, status: int, heading: str, told: str, remedy: str) -> Response:
        text = template("setup/error.html")(heading=heading, told=told, remedy=remedy, start=f"{self.gate.origin}/")
        return HTMLResponse(text, status)


class _Guarded:
    """Lets through what the gate does not refuse, reads no more than MAX_BODY, and sends every page's headers."""

    def __init__(self, app: ASGIApp, gate: Gate, refusal: Callable[[Refusal], Response]) -> None:
        self._app, self._gate, self._refusal = app, gate, refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        # Between these two nothing else is answered: the cookie is handed out once.
        refused = self._gate.refused(request)
        cookie = None if refused else self._gate.cookie_for(request)
        taken = 0

        async def take() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY:
                raise HTTPException(413)
            return message

        async def give(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in web.PAGE_HEADERS.items():
                    headers.setdefault(name, value)  # assets may be kept
                if cookie is not None:
                    headers.append("Set-Cookie", cookie)
            await send(message)

        await (self._refusal(refused) if refused else self._app)(scope, take, give)


def to(place: str) -> Response:
    """Send the browser on, as what it sees next is a page of its own."""
    return RedirectResponse(place, 303)


def _form(body: bytes) -> Words:
    """Read a form; what is none is empty."""
    try:
        return Words(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:  # not UTF-8, or too many fields
        return Words()


def _status(problem: SetupProblem | None) -> int:
    if problem is None:
        return 200
    return _STATUS.get(problem.kind, _ON_FIELD if problem.field else _ELSE)
