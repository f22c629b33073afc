"""A real Prometheus that scrapes services of the tests every second, with the rules of `deploy/`."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from deploy.prometheus import rules
from tests.house.tree import ROOT
from tests.real.processes import PATIENCE, Process, Restartable, free_port, until

CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yaml"

_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def fill(query: str, variables: Mapping[str, str]) -> str:
    """Put values in place of Grafana's variables. KeyError for one that is not told."""
    return _VARIABLE.sub(lambda found: variables[found[1]], query)


class Prometheus(Restartable):
    """Context manager: the server. It is configured as compose does it, but scrapes `targets`, and every second."""

    def __init__(self, folder: Path, targets: Sequence[str]) -> None:
        super().__init__()
        self._folder = folder
        self._port = free_port()
        self.process: Process
        configuration = YAML(typ="safe").load(CONFIGURATION)
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration["rule_files"] = [str(rules.PLAIN)]
        [job] = configuration["scrape_configs"]
        job["static_configs"] = [{"targets": list(targets)}]
        (folder / "prometheus.yaml").write_text(json.dumps(configuration))

    def ask(self, path: str, **parameters: str | float) -> Any:  # noqa: ANN401 - what Prometheus says
        """Ask the HTTP API; give the data. AssertionError with Prometheus' words if it refuses."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}"
        answer = httpx.get(url, params=parameters, trust_env=False, timeout=PATIENCE)
        assert answer.is_success, f"{parameters}: {answer.text}"
        return answer.json()["data"]

    def _start(self) -> None:
        program = shutil.which("prometheus")
        assert program, "this test needs a Prometheus server: install it (Debian: prometheus)"
        command: list[str | Path] = [
            program,
            f"--config.file={self._folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
        ]
        self.process = self._run(command, self._folder / "prometheus.log")
        until(self._ready, self.process)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/-/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False
