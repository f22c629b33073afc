"""A Schema Registry over HTTP, as far as the commands ask one."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, object]]

_LOOKUP = re.compile(r"/subjects/([^/]+)")
_VERSIONS = re.compile(r"/subjects/([^/]+)/versions")
_COMPATIBILITY = re.compile(r"/compatibility/subjects/([^/]+)/versions/latest")


class StubRegistry:
    """Schemas by id, and ids by subject, newest last. `compatible` is what it says of every new schema."""

    def __init__(self) -> None:
        self.url = ""
        self.schemas: dict[int, str] = {}
        self.subjects: dict[str, list[int]] = {}
        self.compatible = True
        self.registers = False  # what somebody else brings
        self.asked: list[str] = []

    def add(self, subject: str, text: str) -> int:
        """Have a schema, and give its id."""
        schema_id = len(self.schemas) + 1
        self.schemas[schema_id] = text
        self.subjects.setdefault(subject, []).append(schema_id)
        return schema_id

    def answer(self, method: str, path: str, body: str) -> Answer:
        """Answer one request by Confluent's API reference; unless it `registers`, what changes anything is refused."""
        self.asked.append(f"{method} {path}")
        if method == "GET" and path.startswith("/schemas/ids/"):
            schema_id = int(path.rpartition("/")[2])
            return (200, {"schema": self.schemas[schema_id]}) if schema_id in self.schemas else _error(40403)
        if match := _LOOKUP.fullmatch(path):
            return self._look_up(match[1], json.loads(body)["schema"])
        if match := _COMPATIBILITY.fullmatch(path):
            return (200, {"is_compatible": self.compatible}) if match[1] in self.subjects else _error(40401)
        if self.registers and (match := _VERSIONS.fullmatch(path)):
            return 200, {"id": self.add(match[1], json.loads(body)["schema"])}
        return 403, {"error_code": 40301, "message": "not in this test"}

    def _look_up(self, subject: str, text: str) -> Answer:
        if subject not in self.subjects:
            return _error(40401)
        for version, schema_id in enumerate(self.subjects[subject], 1):
            if self.schemas[schema_id] == text:
                return 200, {"subject": subject, "version": version, "id": schema_id, "schema": text}
        return _error(40403)


def _error(code: int) -> Answer:
    return code // 100, {"error_code": code, "message": "not found"}


@contextmanager
def served() -> Iterator[StubRegistry]:
    """Yield a registry that is served on loopback."""
    registry = StubRegistry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("GET", "")

        def do_POST(self) -> None:
            self._answer("POST", self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _answer(self, method: str, body: str) -> None:
            status, said = registry.answer(method, self.path.partition("?")[0], body)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's signature
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        registry.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
