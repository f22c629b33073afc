"""The Deployment's pod, played by podman: against a real broker, a real registry and a simulated HubSpot.

Podman's `kube play` keeps what the manifest says of user, rights, file system, memory, ConfigMap and Secrets. Its 4.3
runs no probe without curl in the container, knows neither fsGroup nor the mode of a Secret's files, and its `kube down`
kills at once. So the probes are asked here, and the pod is stopped with the manifest's grace before it is taken down;
what is left is held in test_manifests.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.deploy.containers import IMAGE, Podman
from tests.deploy.manifests import NAME, Document, container, one, variant
from tests.deploy.manifests import pod as pod_of
from tests.real import kafka_broker
from tests.real.authority import Authority
from tests.real.kafka import Event
from tests.real.kafka_broker import Broker
from tests.real.processes import free_port, running, until
from tests.real.registry_server import RegistryServer
from tests.real.service import CLIENT_SECRET, REFRESH_TOKEN, Service, World, world

pytestmark = pytest.mark.process

POD = f"{NAME}-pod-0"  # as podman calls the first of a Deployment
INSIDE = f"{POD}-{NAME}"
UID = 65532
CONFIG = f"/etc/{NAME}"

# What podman cannot do, or this machine has not: a network of the cluster, in which ports are published. HubSpot is
# simulated at a loopback address, so the pod is in the network of the machine.
PATCH = [
    {"op": "add", "path": "/spec/template/spec/hostNetwork", "value": True},
    {"op": "remove", "path": "/spec/template/spec/containers/0/ports"},
    {"op": "remove", "path": "/spec/template/spec/containers/0/livenessProbe"},
]


@pytest.fixture
def here(secure_broker: Broker, registry: RegistryServer, tmp_path: Path) -> Iterator[World]:
    """Yield a world with one event to do."""
    with world(secure_broker, registry, tmp_path) as made:
        made.create_topics()
        made.tell(Event(1))
        yield made


def configuration(here: World, overlay: list[Document], port: int) -> dict[str, Any]:
    """Give production's own configuration, with the addresses of the tests and their list."""
    own = YAML(typ="safe").load(one(overlay, "ConfigMap")["data"][f"{NAME}.yaml"])
    tests = here.settings()
    own["kafka"] |= {**tests["kafka"], "bootstrap.servers": here.broker.sasl_ssl, "ssl.ca.location": f"{CONFIG}/ca.pem"}
    own["schema_registry"] = {**here.registry.properties, "basic.auth.user.info": {"file": f"{CONFIG}/registry-user"}}
    own["accounts"]["acme"]["client_id"] = tests["accounts"]["acme"]["client_id"]
    return {
        **own,
        **{name: tests[name] for name in ("topics", "hubspot")},
        "window": {"max_age": "1h", "max_contacts": 2},
        "admin": {"address": f"127.0.0.1:{port}"},
    }


def keep(podman: Podman, file: Path, name: str, **values: str) -> None:
    """Make a Secret, as whoever keeps the secrets does. Podman 4.3 forgets that its values are in base64."""
    decoded = podman("--version").split()[-1].startswith("4.3.")
    data = {
        key.replace("_", "-"): value if decoded else base64.b64encode(value.encode()).decode()
        for key, value in values.items()
    }
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}))
    podman("secret", "create", name, file)


@contextmanager
def played(podman: Podman, here: World, authority: Authority) -> Iterator["Pod"]:
    """Play production's Deployment with what the tests have; all of it is gone at the end."""
    folder = here.folder / "overlay"
    folder.mkdir()
    settings = configuration(here, variant(folder, "production"), free_port())
    (folder / f"{NAME}.yaml").write_text(json.dumps(settings))
    (folder / "ca.pem").write_text(authority.ca_file.read_text())
    (folder / "registry-user").write_text(here.registry.properties["basic.auth.user.info"])
    image, _, tag = IMAGE.rpartition(":")
    files = [f"{NAME}.yaml", "ca.pem", "registry-user"]
    documents = variant(
        folder,
        "production",
        namespace=NAME,
        images=[{"name": f"registry.example.com/{NAME}", "newName": image, "newTag": tag}],
        replicas=[{"name": NAME, "count": 1}],
        configMapGenerator=[{"name": NAME, "behavior": "replace", "files": files}],
        patches=[{"target": {"kind": "Deployment"}, "patch": json.dumps(PATCH)}],
    )
    yaml = YAML(typ="safe")
    pod, config = folder / "pod.yaml", folder / "config-map.yaml"
    with pod.open("w") as file:
        yaml.dump(one(documents, "Deployment"), file)
    with config.open("w") as file:
        yaml.dump(one(documents, "ConfigMap"), file)
    kept = folder / "secret.json"
    try:
        keep(podman, kept, f"{NAME}-acme", client_secret=CLIENT_SECRET, refresh_token=REFRESH_TOKEN)
        keep(podman, kept, f"{NAME}-kafka", username=kafka_broker.USER, password=kafka_broker.PASSWORD)
        podman("kube", "play", "--configmap", config, pod)
        yield Pod(podman, pod, documents)
    finally:
        with suppress(AssertionError):  # it is not there, if it could not be made
            podman("kube", "down", pod)
        podman("volume", "rm", "--all", "--force")
        podman("secret", "rm", "--all")


class Pod:
    """A pod that podman plays: a command is called in its container."""

    def __init__(self, podman: Podman, file: Path, documents: list[Document]) -> None:
        self._podman = podman
        self._file = file
        self.documents = documents

    def __call__(self, *words: str) -> str:
        """Run a command in the container; give what it prints."""
        return self._podman("exec", INSIDE, *words)

    def inspect(self, what: str) -> Any:  # noqa: ANN401 - as podman tells it
        """Look at the container."""
        return json.loads(self._podman("inspect", INSIDE, "--format", f"{{{{json {what}}}}}"))

    @contextmanager
    def log(self) -> Iterator[Service]:
        """Follow what the service in the container says."""
        file = self._file.with_name("pod.log")
        with running(["podman", "logs", "--follow", INSIDE], file, self._podman.environ) as process:
            yield Service(process)

    def stop(self) -> int:
        """Let it end as Kubernetes does, with SIGTERM and the grace of the manifest; give its process's exit code."""
        grace = pod_of(self.documents)["terminationGracePeriodSeconds"]
        self._podman("pod", "stop", "--time", str(grace), POD)
        return int(self.inspect(".State.ExitCode"))


def test_the_pod_of_the_deployment_does_its_work(podman: Podman, here: World, authority: Authority) -> None:
    """It becomes ready, takes its secrets from their files, syncs a list, and loses nothing when it is taken down."""
    with played(podman, here, authority) as pod, pod.log() as service:
        inner = container(pod.documents)
        until(lambda: service.said("started"), service.process)
        ready = inner["readinessProbe"]["httpGet"]["path"]
        until(lambda: service.get(ready).status_code == 200, service.process)
        assert service.get(inner["startupProbe"]["httpGet"]["path"]).status_code == 200

        here.tell(Event(2))  # the second, which fills the window
        until(lambda: here.committed() == 2, service.process)
        assert here.members() == {1, 2}

        here.tell(Event(3))  # which waits for an hour, or for the end
        until(lambda: service.total("pending_contacts", connector="vip") == 1, service.process)
        assert pod.stop() == 0
        assert (here.committed(), here.members()) == (3, frozenset({1, 2, 3}))
        until(lambda: service.said("stopped"), service.process)
        assert service.said("stopped")[0]["left_for_the_next_owner"] == 0


def test_the_pod_is_as_strict_as_the_manifest(podman: Podman, here: World, authority: Authority) -> None:
    """Its process is nobody, has no rights and gets none, and writes nothing; memory is limited."""
    with played(podman, here, authority) as pod:
        status = dict(line.split(":\t", 1) for line in pod("cat", "/proc/1/status").splitlines() if ":\t" in line)
        assert {status["Uid"], status["Gid"]} == {"\t".join([str(UID)] * 4)}
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        places = ("/", "/var/tmp", CONFIG)  # noqa: S108 - in the container, where nothing can be written
        tried = pod("sh", "-c", f"for each in {' '.join(places)}; do touch $each/x 2>&1; done; true").splitlines()
        assert len(tried) == len(places)
        assert [line for line in tried if "cannot touch" not in line] == []
        limit = container(pod.documents)["resources"]["limits"]["memory"]
        assert pod.inspect(".HostConfig.Memory") == int(limit.removesuffix("Mi")) * 2**20
        assert pod.inspect(".HostConfig.ReadonlyRootfs")
