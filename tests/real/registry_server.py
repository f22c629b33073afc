"""A real registry, Apicurio, which speaks Confluent's API and asks for a name and a password."""

from pathlib import Path

import httpx
from confluent_kafka.schema_registry import SchemaRegistryClient

from tests.real import parts
from tests.real.processes import Process, Restartable, free_port, until

USER = "sync"
PASSWORD = "open-sesame"

_GUARD = {
    "quarkus.http.auth.basic": "true",
    "quarkus.http.auth.permission.all.paths": "/apis/*",
    "quarkus.http.auth.permission.all.policy": "authenticated",
    "quarkus.security.users.embedded.enabled": "true",
    "quarkus.security.users.embedded.plain-text": "true",
    f"quarkus.security.users.embedded.users.{USER}": PASSWORD,
    f"quarkus.security.users.embedded.roles.{USER}": "any",
}
"""Properties of a registry that asks who one is."""


class RegistryServer(Restartable):
    """Context manager: a registry at `url` (Confluent's API). If it is not `guarded`, nobody is asked for a name."""

    def __init__(self, folder: Path, *, guarded: bool = True) -> None:
        super().__init__()
        self._folder = folder
        self._guarded = guarded
        self.process: Process
        self.port = free_port()

    @property
    def url(self) -> str:
        """Address of the API."""
        return self.url_at(self.port)

    @staticmethod
    def url_at(port: int) -> str:
        """Address of the API behind another port."""
        return f"http://127.0.0.1:{port}/apis/ccompat/v7"

    @property
    def properties(self) -> dict[str, str]:
        """Return what a client needs."""
        return {"url": self.url, "basic.auth.user.info": f"{USER}:{PASSWORD}"}

    def client(self) -> SchemaRegistryClient:
        """Make a client."""
        return SchemaRegistryClient(self.properties)

    def _start(self) -> None:
        (jar,) = (parts.resolve() / "registry").glob("*-runner.jar")
        properties = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": self.port,
            "apicurio.datasource.url": f"jdbc:h2:file:{self._folder / 'registry'}",
            "apicurio.datasource.jdbc.initial-size": 1,
            "apicurio.datasource.jdbc.min-size": 1,
            **(_GUARD if self._guarded else {}),
        }
        given = [f"-D{name}={value}" for name, value in properties.items()]
        log_file = self._folder / "registry.log"
        self.process = self._run([*parts.JAVA, "-Xmx256m", *given, "-jar", jar], log_file)
        until(self._answers, self.process, within=120)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/subjects", auth=(USER, PASSWORD), trust_env=False).is_success
        except httpx.TransportError:
            return False
