"""The registry's answers, told apart; and nothing of them ever waits in the loop or tells a credential."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference

from consumer.kafka import registry
from consumer.kafka.registry import Found, Lookup, Registered, SchemaRegistry, Unknown, Unreachable

pytestmark = pytest.mark.process

LONGEST_WAIT = 30.0
PASSWORD = "open-sesame"


@contextmanager
def connected(url: str, **settings: Any) -> Iterator[SchemaRegistry]:  # noqa: ANN401 - any of the client's properties
    """Give a registry at a URL."""
    client = SchemaRegistry(registry.new_client({"url": url, **settings}))
    try:
        yield client
    finally:
        client.close()


def looked_up(client: SchemaRegistry, schema_id: int) -> Found | Unknown | Unreachable:
    """Look one schema up and wait for it."""
    client.lookup(schema_id)
    (done,) = client.take(LONGEST_WAIT)
    assert done.schema_id == schema_id
    return done.outcome


def registered(client: SchemaRegistry, subject: str, text: str) -> Registered | Unreachable:
    """Register one schema and wait for it."""
    client.register(subject, text)
    (done,) = client.take_registrations(LONGEST_WAIT)
    assert done.subject == subject
    return done.outcome


@dataclass
class Stub:
    """A registry over HTTP: an answer (status, body) for each path; it quotes what it was sent as its refusal."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    authorization: list[str | None] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def answer(self, path: str, authorization: str | None) -> tuple[int, str]:
        """Answer one request, once the stub is open."""
        self.authorization.append(authorization)
        assert self.open.wait(LONGEST_WAIT)
        quoted = json.dumps({"error_code": 40101, "message": f"refused: {authorization} {PASSWORD}"})
        return self.answers.get(path.partition("?")[0], (401, quoted))


@pytest.fixture
def stub() -> Iterator[Stub]:
    """Serve a stub on loopback."""
    served = Stub()
    served.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = served.answer(self.path, self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_port}"
        yield served
        served.open.set()
        server.shutdown()
        thread.join()


def error(code: int, message: str) -> str:
    """Body of a registry's error."""
    return json.dumps({"error_code": code, "message": message})


def test_register_and_look_up_in_memory() -> None:
    """What is registered under a subject is found by the id it got."""
    with connected("mock://register") as client:
        done = registered(client, "results-value", '"string"')
        assert isinstance(done, Registered)
        assert looked_up(client, done.schema_id) == Found('"string"')
        assert registered(client, "results-value", '"string"') == done


def test_unknown_in_memory() -> None:
    """An id that the registry in memory never gave is unknown."""
    with connected("mock://unknown") as client:
        assert looked_up(client, 7) == Unknown()


def test_references() -> None:
    """A schema comes with those it refers to, each once and after those it needs itself."""
    source = registry.new_client({"url": "mock://references"})
    source.register_schema("a", Schema('"A"', "AVRO"))
    source.register_schema("b", Schema('"B"', "AVRO", [SchemaReference("types.A", "a", 1)]))
    needs = [SchemaReference("types.B", "b", 1), SchemaReference("types.A", "a", 1)]
    whole = source.register_schema("whole", Schema('"W"', "AVRO", needs))
    broken = source.register_schema("broken", Schema('"X"', "AVRO", [SchemaReference("types.C", "c", 1)]))
    client = SchemaRegistry(source)
    assert looked_up(client, whole) == Found('"W"', (("types.A", '"A"'), ("types.B", '"B"')))
    assert looked_up(client, broken) == Unknown()
    client.close()


def test_found(stub: Stub) -> None:
    """A schema is found at a registry over HTTP, by the API that Confluent's has."""
    stub.answers["/schemas/ids/7"] = (200, json.dumps({"schema": '"string"'}))
    with connected(stub.url) as client:
        assert looked_up(client, 7) == Found('"string"')


def test_unknown(stub: Stub) -> None:
    """An id of which the registry says 40403 is unknown, and is asked again when the loop asks again."""
    stub.answers["/schemas/ids/7"] = (404, error(40403, "Schema 7 not found"))
    with connected(stub.url) as client:
        assert looked_up(client, 7) == Unknown()
        stub.answers["/schemas/ids/7"] = (200, json.dumps({"schema": '"string"'}))
        assert looked_up(client, 7) == Found('"string"')


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, error(404, "HTTP 404 Not Found"), "answered 404, error code 404: check that schema_registry.url"),
        (404, error(40401, "Subject not found"), "answered 404, error code 40401: check that schema_registry.url"),
        (404, "<html>no such page</html>", "answered 404, error code -1: check that schema_registry.url"),
        (401, error(40101, "Unauthorized"), "answered 401, error code 40101: check the credentials"),
        (500, error(50001, "Error in the backend"), "answered 500, error code 50001"),
        (503, "", "answered 503, error code -1"),
        (200, "<html>welcome</html>", "the answer is not JSON: check that schema_registry.url"),
        (200, "{}", "the answer holds no schema: check that schema_registry.url"),
        (200, "[]", ""),
    ],
)
def test_no_usable_answer(stub: Stub, status: int, body: str, told: str) -> None:
    """Any other answer is not one about the schema: it says what was wrong and does not make the id unknown."""
    stub.answers["/schemas/ids/7"] = (status, body)
    with connected(stub.url) as client:
        outcome = looked_up(client, 7)
        assert isinstance(outcome, Unreachable)
        assert told in outcome.message


def test_nobody_there(stub: Stub) -> None:
    """A registry that nobody serves is unreachable, in the operating system's words."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as gone:
        url = f"http://127.0.0.1:{gone.server_port}"
    with connected(url) as client:
        assert looked_up(client, 7) == Unreachable("ConnectError: Connection refused")
    stub.open.clear()
    with connected(stub.url, timeout=0.2) as client:
        assert "Timeout" in repr(looked_up(client, 7))


@pytest.mark.parametrize("within_url", [True, False])
def test_credentials_are_not_told(stub: Stub, *, within_url: bool) -> None:
    """Credentials are sent to the registry and told nowhere else, even where its refusal quotes them."""
    url = stub.url.replace("//", f"//reader:{PASSWORD}@") if within_url else stub.url
    settings = {} if within_url else {"basic.auth.user.info": f"reader:{PASSWORD}"}
    with connected(url, **settings) as client:
        refusals = [looked_up(client, 7), registered(client, "s", '"string"')]
        stub.answers["/schemas/ids/8"] = (404, f"<html>reader:{PASSWORD}</html>")
        refusals.append(looked_up(client, 8))
    assert None not in stub.authorization
    assert all(isinstance(each, Unreachable) for each in refusals)
    encoded = str(stub.authorization[0]).removeprefix("Basic ")
    assert not [each for each in refusals if PASSWORD in repr(each) or encoded in repr(each)]


def test_token_that_cannot_be_sent(stub: Stub) -> None:
    """A token with a line end, as files have it, is not told by the complaint about it."""
    token = {"bearer.auth.credentials.source": "STATIC_TOKEN", "bearer.auth.token": f"{PASSWORD}\n"}
    rest = {"bearer.auth.logical.cluster": "lsrc-1", "bearer.auth.identity.pool.id": "pool-1"}
    with connected(stub.url, **token, **rest) as client:
        assert looked_up(client, 7) == Unreachable("LocalProtocolError")


def test_register(stub: Stub) -> None:
    """A schema is registered over HTTP under its subject, and a refusal says what to do."""
    stub.answers["/subjects/results-value/versions"] = (200, json.dumps({"id": 12}))
    stub.answers["/subjects/other-value/versions"] = (409, error(409, "incompatible"))
    stub.answers["/subjects/wrong-value/versions"] = (200, "{}")
    with connected(stub.url) as client:
        assert registered(client, "results-value", '"string"') == Registered("results-value", 12)
        refused = registered(client, "other-value", '"string"')
        wrong = registered(client, "wrong-value", '"string"')
    assert isinstance(refused, Unreachable)
    assert "answered 409, error code 409: the schema does not fit the earlier ones" in refused.message
    assert isinstance(wrong, Unreachable)
    assert "no schema id" in wrong.message


def test_loop_never_waits(stub: Stub) -> None:
    """While the registry is silent nothing is given back and nothing blocks; each id is asked for once."""
    stub.open.clear()
    stub.answers["/schemas/ids/7"] = (404, error(40403, "Schema 7 not found"))
    with connected(stub.url, timeout=LONGEST_WAIT) as client:
        for _ in range(3):
            client.lookup(7)
            client.register("s", '"string"')
        assert client.take() == []
        assert client.take_registrations() == []
        stub.open.set()
        assert client.take(LONGEST_WAIT) == [Lookup(7, Unknown())]
        assert [done.subject for done in client.take_registrations(LONGEST_WAIT)] == ["s"]
        assert not client.take()
        assert not client.take_registrations()
    assert len(stub.authorization) == 2


def test_client_does_not_retry(stub: Stub) -> None:
    """A failing registry is asked once for each look-up: when to ask again is the loop's decision."""
    stub.answers["/schemas/ids/7"] = (503, "")
    with connected(stub.url) as client:
        assert isinstance(looked_up(client, 7), Unreachable)
    assert len(stub.authorization) == 1


def test_unknown_property() -> None:
    """A property that the registry's client does not know is refused when the client is made."""
    with pytest.raises(ValueError, match=r"Unrecognized properties: basic\.auth\.user"):
        registry.new_client({"url": "mock://x", "basic.auth.user": "me"})
