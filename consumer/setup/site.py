"""What all pages of the setup have in common: the gate before them, how forms are read and pages and errors shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import Final, TypeVar
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
from consumer.setup.security import MAX_BODY, START, TOKEN, Gate, Refusal
from consumer.setup.words import SetupProblem
from consumer.templating import address as asset_address
from consumer.templating import template

T = TypeVar("T")

Handler = Callable[[Asked], Response]
"""What answers a request, in a worker thread. A SetupProblem that it raises becomes a page."""

ASSETS: Final = ("style.css", "setup.js")
PASTED: Final = "secret_pasted"
"""The field of a form that carries a secret."""

_STATUS: Final = {"not_found": 404, "hubspot_down": 503, "kafka_down": 503}  # by kind; else the page is as it should be
_PROBLEM: Final = "/problem"
_MAX_FIELDS: Final = 50
_REMEMBERED: Final = 50
_SECRETS: Final = (PASTED, "secret_file", "secret_env")
_ERRORS: Final[Mapping[int, tuple[str, str, str]]] = {
    404: ("There is no such page", "The address leads nowhere", "Begin with the overview"),
    405: ("There is no such page", "This address takes no such request", "Begin with the overview"),
    413: ("This was refused", f"More than {MAX_BODY // 1024} KiB were sent", "Go back and type less"),
}
"""Heading, what is the case, what to do."""


class Memory:
    """What a page has to tell that stands not in its address: by a number, which does. The oldest is forgotten."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._kept: dict[str, object] = {}

    def keep(self, value: object) -> str:
        """Return the number by which `value` is found again."""
        number = next(self._numbers)
        self._kept[str(number)] = value
        self._kept.pop(str(number - _REMEMBERED), None)
        return str(number)

    def recall(self, number: str, kind: type[T]) -> T | None:
        """Return what was kept, if it is of that kind."""
        value = self._kept.get(number)
        return value if isinstance(value, kind) else None


@dataclass(frozen=True, slots=True)
class _Refused:
    """What a step has refused, and what had been typed."""

    problem: SetupProblem
    typed: Words


class Site:
    """Makes routes of handlers, and pages of templates; `app` is the whole."""

    def __init__(self, port: int) -> None:
        self.memory = Memory()
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

    def back(
        self, path: str, asked: Asked, problem: SetupProblem, chosen: Mapping[str, str] = MappingProxyType({})
    ) -> Response:
        """Send the browser back to a page, which tells the problem and shows again what was typed, but for secrets.

        It is not told in answer to the form: then the back button would ask whether to send the form again. `chosen`
        are the choices that the page needs.
        """
        given = {**asked.query, **asked.form}
        # A secret may stand in the wrong field.
        typed = {key: value for key, value in given.items() if problem.field != "secret" or key not in _SECRETS}
        typed.pop(PASTED, None)
        return to(address(path, chosen, told=self.memory.keep(_Refused(problem, Words(typed)))))

    def told(self, asked: Asked) -> tuple[SetupProblem | None, Words]:
        """Return the problem that the page is to tell, and what had been typed."""
        refused = self.memory.recall(asked.query["told"], _Refused)
        return (None, Words()) if refused is None else (refused.problem, refused.typed)

    def app(self, routes: Sequence[Route]) -> ASGIApp:
        """Return the application: `routes`, assets and error pages behind the gate."""
        site = Starlette(
            routes=[*routes, self.shows(_PROBLEM, self._told_problem), *(web.asset_route(name) for name in ASSETS)],
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
            return await run_in_threadpool(self._answer, handler, asked, method)

        return Route(path, answer, methods=[method])

    def _answer(self, handler: Handler, asked: Asked, method: str) -> Response:
        try:
            return handler(asked)
        except SetupProblem as problem:
            return self.back(_PROBLEM, asked, problem) if method == "POST" else self._problem(problem)

    def _told_problem(self, asked: Asked) -> Response:
        problem, _ = self.told(asked)
        return to(START) if problem is None else self._problem(problem)

    def _problem(self, problem: SetupProblem) -> Response:
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
    return 200 if problem is None else _STATUS.get(problem.kind, 200)
