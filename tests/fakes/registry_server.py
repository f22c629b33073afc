"""A Schema Registry over HTTP, as small as two calls: register under a subject, and get by id."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def registry_server() -> Iterator[str]:
    """Serve an empty registry on loopback and give its URL."""
    schemas: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            number = int(self.path.partition("?")[0].rpartition("/")[2])
            if 0 < number <= len(schemas):
                self._answer(200, {"schema": schemas[number - 1]})
            else:
                self._answer(404, {"error_code": 40403, "message": "Schema not found"})

        def do_POST(self) -> None:
            text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"]
            if text not in schemas:
                schemas.append(text)
            self._answer(200, {"id": schemas.index(text) + 1})

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base's signature
            """Say nothing."""

        def _answer(self, status: int, body: dict[str, object]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
