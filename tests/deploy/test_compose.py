"""deploy/compose.yaml: whole, and what is ours in it run by podman. The images of others are not to be had here."""

import json
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from consumer import __version__
from consumer.demo import CLIENT_ID, LISTS, SECRETS, TOPIC, cdnow, expected
from consumer.demo.laptop import TOPICS
from consumer.settings import load
from tests.deploy.containers import IMAGE, Podman
from tests.house.tree import ROOT
from tests.real.kafka import Kafka
from tests.real.kafka_broker import IMAGE as KAFKA_IMAGE
from tests.real.kafka_broker import Broker, wait_for
from tests.real.parts import JAVA, resolve
from tests.real.processes import PATIENCE, free_port, run, running, until
from tests.real.registry_server import PASSWORD, USER, RegistryServer

pytestmark = pytest.mark.process

DEPLOY = ROOT / "deploy"
COMPOSE = YAML(typ="safe").load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CONFIG = DEPLOY / "compose" / "hubspot-list-sync.yaml"

# What may stand in a service, of all that the Compose specification knows.
KEYS = frozenset(
    {
        "build",
        "cap_drop",
        "command",
        "depends_on",
        "entrypoint",
        "environment",
        "image",
        "network_mode",
        "ports",
        "read_only",
        "restart",
        "security_opt",
        "stop_grace_period",
        "volumes",
    }
)


def mounted() -> list[tuple[str, str]]:
    """Give the files and folders that containers see: here and there."""
    told = [volume.split(":") for each in SERVICES.values() for volume in each.get("volumes", ())]
    assert [mode for *_, mode in told if mode != "ro"] == []
    return [(here, there) for here, there, _ in told]


def test_it_has_no_key_that_compose_would_refuse() -> None:
    """Whoever misspells a key learns it here."""
    assert COMPOSE.keys() == {"name", "services"}
    assert {key for each in SERVICES.values() for key in each} - KEYS == set()
    assert {needed for each in SERVICES.values() for needed in each.get("depends_on", ())} <= SERVICES.keys()


def test_every_image_has_its_version() -> None:
    """No image is `latest`; broker and registry are of the versions that the tests run, ours is this tree's."""
    images = {name: each["image"] for name, each in SERVICES.items()}
    assert [image for image in images.values() if not re.search(r":v?\d+\.\d+\.\d+$", image)] == []
    assert images["kafka"] == f"docker.io/{KAFKA_IMAGE}"
    [registry] = re.findall(
        r"apicurio-registry-app</artifactId>\s*<version>(.*?)<", (ROOT / "tests/real/pom.xml").read_text()
    )
    assert images["registry"] == f"docker.io/apicurio/apicurio-registry:{registry}"
    assert images["simulator"] == images["hubspot-list-sync"] == f"hubspot-list-sync:{__version__}"


def test_every_file_that_it_refers_to_is_there() -> None:
    """What is mounted or built exists."""
    assert [here for here, _ in mounted() if not (DEPLOY / here).exists()] == []
    for build in (SERVICES["simulator"]["build"], SERVICES["hubspot-list-sync"]["build"]):
        assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_only_this_machine_sees_it() -> None:
    """Ports are published on the loopback address alone."""
    ports = [port for each in SERVICES.values() for port in each.get("ports", ())]
    assert len(ports) == 3
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_its_configuration_is_valid() -> None:
    """The service finds its variables, topics and lists, and HubSpot in its own network."""
    settings = load(CONFIG, SERVICES["hubspot-list-sync"]["environment"])
    assert {name: each.list_id for name, each in settings.connectors.items()} == LISTS
    assert {*settings.topics.changes, settings.topics.results, settings.topics.dead_letters} == TOPICS.keys()
    assert SERVICES["hubspot-list-sync"]["network_mode"] == "service:simulator"
    assert (str(CONFIG.relative_to(DEPLOY)), "/etc/hubspot-list-sync/hubspot-list-sync.yaml") in [
        (here.removeprefix("./"), there) for here, there in mounted()
    ]


def test_its_broker_starts(tmp_path: Path) -> None:
    """The properties that Kafka's image makes of its variables are those of a broker that takes connections."""
    variables = SERVICES["kafka"]["environment"]
    port, controller_port = free_port(), free_port()
    here = {"kafka:": "127.0.0.1:", "//:": "//127.0.0.1:", ":9092": f":{port}", ":9093": f":{controller_port}"}
    properties = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): _replaced(value, here)
        for name, value in variables.items()
        if name.startswith("KAFKA_")
    }
    file = tmp_path / "server.properties"
    file.write_text(
        "".join(f"{name}={value}\n" for name, value in {**properties, "log.dirs": tmp_path / "data"}.items())
    )
    java = [*JAVA, "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{resolve()}/*"]
    run([*java, "kafka.tools.StorageTool", "format", "-t", variables["CLUSTER_ID"], "-c", file])
    with running([*java, "kafka.Kafka", file], tmp_path / "kafka.log") as process:
        wait_for(f"127.0.0.1:{port}", process)


def test_simulator_and_service_fill_the_lists(
    podman: Podman, broker: Broker, registry: RegistryServer, tmp_path: Path
) -> None:
    """Both, from the image and with what Compose gives them, beside a real broker and registry: lists become right."""
    hubspot_port, admin_port = free_port(), free_port()
    hubspot = f"http://127.0.0.1:{hubspot_port}"
    ours = {
        "kafka:9092": broker.bootstrap,
        "http://registry:8080/apis/ccompat/v7": registry.url.replace("//", f"//{USER}:{PASSWORD}@"),
        "http://127.0.0.1:8090": hubspot,
    }
    settings = YAML(typ="safe").load(_replaced(CONFIG.read_text(), ours))
    settings |= {"admin": {"address": f"127.0.0.1:{admin_port}"}, "window": {"max_age": "1s"}}
    settings["hubspot"]["settle"] = "1s"
    settings["schema_registry"] = {"url": registry.url, "basic.auth.user.info": {"env": "REGISTRY_USER"}}
    tmp_path.chmod(0o755)
    file = tmp_path / "hubspot-list-sync.yaml"
    file.write_text(json.dumps(settings))

    simulator, service = SERVICES["simulator"], SERVICES["hubspot-list-sync"]
    entry, *words = simulator["entrypoint"]
    words += [_replaced(word, ours) for word in simulator["command"]]
    words += ["--minutes", "0.05", "--port", str(hubspot_port)]  # argparse takes the last
    environ = {**service["environment"], "REGISTRY_USER": f"{USER}:{PASSWORD}"}
    variables = [f"--env={name}={value}" for name, value in environ.items()]
    mount = f"--volume={file}:/etc/hubspot-list-sync/hubspot-list-sync.yaml:ro"
    with (
        closing(Kafka(broker.bootstrap, registry.client())) as kafka,
        podman.running(
            tmp_path / "simulator.log", ["--network=host", *strictly(simulator), f"--entrypoint={entry}", IMAGE, *words]
        ) as simulated,
        podman.running(
            tmp_path / "service.log", ["--network=host", *strictly(service), *variables, mount, IMAGE]
        ) as process,
    ):
        until(lambda: "events told" in simulated.log_file.read_text(), simulated, process)
        bought = cdnow.purchases()
        events = len(list(cdnow.events(bought)))
        until(lambda: committed(kafka) == events, simulated, process, within=2 * PATIENCE)
        assert members(hubspot) == {list_id: expected(bought, source_id) for source_id, list_id in LISTS.items()}
        process.signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, process.tail()
        simulated.signal(signal.SIGTERM)
        assert simulated.wait(PATIENCE) == 0, simulated.tail()  # so it was never sent what must not be sent


def strictly(service: dict[str, Any]) -> list[str]:
    """Give podman's options for what a service of Compose may not do."""
    assert service["read_only"]
    return [
        "--read-only",
        "--read-only-tmpfs=false",
        *(f"--cap-drop={each.lower()}" for each in service["cap_drop"]),
        *(f"--security-opt={each.removesuffix(':true')}" for each in service["security_opt"]),
    ]


def committed(kafka: Kafka) -> int:
    """Give how many of the demo's events are done."""
    return sum(kafka.committed("hubspot-list-sync", TOPIC, number) for number in range(TOPICS[TOPIC]))


def members(hubspot: str) -> dict[int, frozenset[int]]:
    """Read who is on each list, as HubSpot shows it, with the token of the demo's app."""
    form = {"grant_type": "refresh_token", "client_id": CLIENT_ID, **SECRETS}
    with httpx.Client(base_url=hubspot, trust_env=False, timeout=PATIENCE) as client:
        token = client.post("/oauth/2026-03/token", data=form).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        return {list_id: frozenset(_members(client, list_id)) for list_id in LISTS.values()}


def _members(client: httpx.Client, list_id: int) -> Iterator[int]:
    path, after = f"/crm/lists/2026-03/{list_id}/memberships", "0"
    while after:
        page = client.get(path, params={"limit": 250, "after": after}).raise_for_status().json()
        yield from (int(each["recordId"]) for each in page["results"])
        after = page.get("paging", {}).get("next", {}).get("after", "")


def _replaced(text: str, other: Mapping[str, str]) -> str:
    for before, after in other.items():
        text = text.replace(before, after)
    return text
